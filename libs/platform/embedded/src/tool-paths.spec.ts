import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  compareVersions,
  findMinio,
  findNatsServer,
  findOnPath,
  findPeersPython,
  parseVersion,
  pythonPeersFolder,
  repositoryRoot,
  ToolMissingError,
  toolsCache,
  toolVersions,
} from './tool-paths';

describe('tool lookup', () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'tools-'))));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function program(path: string, output: string): void {
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, `#!/bin/sh\necho '${output}'\n`);
    chmodSync(path, 0o755);
  }
  const env = (): NodeJS.ProcessEnv => ({ PATH: join(folder, 'bin'), ARCHIPELAGO_TOOLS: join(folder, 'tools') });
  const built = (): string => join(folder, 'tools', `nats-server-${toolVersions().natsServer.version}`, 'nats-server');

  it.each([
    ['nats-server: v2.15.2', [2, 15, 2]],
    ['go version go1.24 linux/amd64', [1, 24, 0]],
    ['$dcmtk: storescu v3.6.7 2022-04-22 $', [3, 6, 7]],
    ['no number', undefined],
  ])('reads the version in %j', (text, version) => expect(parseVersion(text)).toEqual(version));

  it('compares by number, not by letter', () => {
    expect(compareVersions('2.10.0', '2.9.10')).toBeGreaterThan(0);
    expect(compareVersions('2.9.10', '2.9.10')).toBe(0);
    expect(compareVersions('1.24', '1.24.1')).toBeLessThan(0);
    expect(() => compareVersions('new', '1.0')).toThrow('not a version: new');
  });

  it('knows the cache by its variable, then the cache folder of the user', () => {
    expect(toolsCache({ ARCHIPELAGO_TOOLS: '/a' })).toBe('/a');
    expect(toolsCache({ XDG_CACHE_HOME: '/c' })).toBe('/c/archipelago/tools');
    expect(toolsCache({})).toMatch(/\.cache\/archipelago\/tools$/);
  });

  it('finds the root of the clone', () => {
    expect(repositoryRoot()).toBe(join(__dirname, '..', '..', '..', '..'));
    expect(() => repositoryRoot('/')).toThrow('no tools/versions.json');
  });

  it('takes a program only when it can be run', () => {
    mkdirSync(join(folder, 'bin'), { recursive: true });
    writeFileSync(join(folder, 'bin', 'thing'), '');
    expect(findOnPath('thing', env())).toBeUndefined();
    chmodSync(join(folder, 'bin', 'thing'), 0o755);
    expect(findOnPath('thing', env())).toBe(join(folder, 'bin', 'thing'));
  });

  it('prefers nats-server on PATH from 2.10, then the built one, then an old one on PATH', () => {
    expect(() => findNatsServer('path', env())).toThrow(ToolMissingError);
    program(join(folder, 'bin', 'nats-server'), 'nats-server: v2.9.10');
    expect(findNatsServer('path', env())).toEqual({ path: join(folder, 'bin', 'nats-server'), version: '2.9.10' });
    program(built(), 'nats-server: v2.15.2');
    expect(findNatsServer('path', env()).path).toBe(built());
    program(join(folder, 'bin', 'nats-server'), 'nats-server: v2.10.20');
    expect(findNatsServer('path', env()).version).toBe('2.10.20');
    expect(findNatsServer('newest', env()).path).toBe(built());
  });

  it('refuses a nats-server that is too old or named wrongly', () => {
    program(join(folder, 'bin', 'nats-server'), 'nats-server: v2.8.1');
    expect(() => findNatsServer('path', env())).toThrow(/install nats-server 2\.10\.0 or newer on PATH/);
    expect(() => findNatsServer('path', { ...env(), ARCHIPELAGO_NATS_SERVER: '/none' })).toThrow(
      /ARCHIPELAGO_NATS_SERVER names \/none/,
    );
  });

  it('names the set-up script of what is missing', () => {
    expect(() => findMinio(env())).toThrow(/tools\/setup\/minio\.sh/);
    expect(() => findPeersPython(env())).toThrow(/tools\/setup\/python-peers\.sh/);
  });

  it('gives the Python peers another folder with every pin', () => {
    expect(pythonPeersFolder({ a: '1' })).toMatch(/^python-peers-[0-9a-f]{12}$/);
    expect(pythonPeersFolder({ a: '1' })).not.toBe(pythonPeersFolder({ a: '2' }));
  });
});
