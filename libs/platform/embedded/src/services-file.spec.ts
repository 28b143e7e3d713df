import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readServicesFile, removeServicesFile, writeServicesFile } from './services-file';

describe('services file', () => {
  const home = mkdtempSync(join(tmpdir(), 'services-'));
  const environment = { ARCHIPELAGO_DATABASE_URL: 'postgres://a:b@127.0.0.1:1/c' };
  beforeAll(() => mkdirSync(join(home, 'run')));
  afterAll(() => rmSync(home, { recursive: true }));

  it('is read while its writer runs, by its owner only, and gone after', () => {
    expect(readServicesFile(home)).toBeUndefined();
    writeServicesFile(home, environment);
    expect(statSync(join(home, 'run', 'services.json')).mode & 0o777).toBe(0o600);
    expect(readServicesFile(home)).toEqual(environment);
    removeServicesFile(home);
    expect(readServicesFile(home)).toBeUndefined();
  });

  it('means nothing when its writer was killed', () => {
    const { pid } = spawnSync(process.execPath, ['-e', '']);
    writeFileSync(join(home, 'run', 'services.json'), JSON.stringify({ pid, environment }));
    expect(readServicesFile(home)).toBeUndefined();
  });
});
