import { Module } from '@nestjs/common';
import { z } from 'zod';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  checkConfig,
  checkTlsFiles,
  ConfigError,
  defineConfig,
  envBoolean,
  envInteger,
  isAeTitle,
  parseArchipelagoConfig,
} from '../index';

const first = defineConfig('first', z.object({ url: z.string('where it is'), size: envInteger(1, 9).default(3) }), {
  url: 'PROBE_URL',
  size: 'PROBE_SIZE',
});
const second = defineConfig('second', z.object({ on: envBoolean() }), { on: 'PROBE_ON' });

@Module({ providers: [second.provider()] })
class InnerModule {}
@Module({ imports: [InnerModule], providers: [first.provider()] })
class OuterModule {}

function mistakesOf(run: () => unknown): string[] {
  try {
    run();
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes.map((m) => `${m.where}: ${m.message}`);
    throw error;
  }
  return [];
}

describe('configuration', () => {
  it('reads, converts and defaults; an empty value counts as unset', () => {
    expect(first.load({ PROBE_URL: 'x', PROBE_SIZE: '' })).toEqual({ url: 'x', size: 3 });
    expect(second.load({ PROBE_ON: 'yes' })).toEqual({ on: true });
    expect(mistakesOf(() => second.load({ PROBE_ON: 'maybe' }))).toEqual(['PROBE_ON: expected true or false']);
  });

  it('lists the mistakes of all modules at once', async () => {
    process.env['PROBE_SIZE'] = '10';
    const error = await checkConfig(OuterModule).then(
      () => null,
      (e: unknown) => e as ConfigError,
    );
    delete process.env['PROBE_SIZE'];
    expect(error?.mistakes.map((m) => m.where).sort()).toEqual(['PROBE_ON', 'PROBE_SIZE', 'PROBE_URL']);
  });

  it('AE titles: PS3.5 Table 6.2-1', () => {
    for (const good of ['A', 'ARCHIPELAGO', ' CT 1 ', 'X'.repeat(16)]) expect(isAeTitle(good)).toBe(true);
    for (const bad of ['', '   ', 'X'.repeat(17), 'A\\B', 'A\tB', 'Ä']) expect(isAeTitle(bad)).toBe(false);
  });
});

describe('the site file', () => {
  it('takes what the design shows', () => {
    const config = parseArchipelagoConfig(`
site: main
aes:
  - { aeTitle: RESEARCH, view: deidentified }
peers:
  - { aeTitle: WORKSTATION1, host: 10.1.2.3, port: 104, issuer: NORTH, addresses: [10.1.0.0/16] }
archives:
  - { name: north, aeTitle: NORTHPACS, host: 10.1.0.5, port: 104, issuer: NORTH, harvest: { depth: full } }
`);
    expect(config.peers[0]).toMatchObject({ aeTitle: 'WORKSTATION1', tls: false });
    expect(config.limits.maxAssociations).toBeGreaterThan(0);
    expect(parseArchipelagoConfig('').site).toBe('main');
  });

  it('lists every mistake with its line', () => {
    const text = `site: bad site
peers:
  - aeTitle: THIS_TITLE_IS_TOO_LONG
    host: 10.1.2.3
    port: 70000
  - { aeTitle: WS, colour: red }
  - { aeTitle: WS, host: a }
archives:
  - { name: north }
nonsense: 1
`;
    const found = mistakesOf(() => parseArchipelagoConfig(text, 'site.yaml'));
    const lines = found.map((line) => Number(/^site\.yaml:(\d+)/.exec(line)?.[1]));
    expect(new Set(lines)).toEqual(new Set([1, 3, 5, 6, 9, 10]));
    expect(found.find((line) => line.includes('colour'))).toBe('site.yaml:6: peers[1].colour: unknown key');
    expect(mistakesOf(() => parseArchipelagoConfig('peers: [', 'site.yaml'))[0]).toMatch(/^site\.yaml:1: /);
    expect(mistakesOf(() => parseArchipelagoConfig('peers: [{aeTitle: A},\n {aeTitle: A, host: x}]'))).toEqual([
      'archipelago.yaml:2: peers[1]: host and port are given together or not at all',
      'archipelago.yaml:2: peers[1].aeTitle: this peer is given twice',
    ]);
    // a C-MOVE destination may be a name or an AE title: each means one peer
    expect(mistakesOf(() => parseArchipelagoConfig('peers: [{aeTitle: A},\n {aeTitle: B, name: A}]'))).toEqual([
      'archipelago.yaml:2: peers[1].name: another peer is called so',
    ]);
  });
});

describe('the files of TLS', () => {
  let folder: string;
  const file = (name: string): string => join(folder, name);
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'archipelago-tls-'));
    for (const name of ['a', 'b']) {
      const output = ['-keyout', file(`${name}.key`), '-out', file(`${name}.crt`)];
      execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', `/CN=${name}`, ...output], {
        stdio: 'ignore',
      });
    }
    writeFileSync(file('text'), 'no certificate');
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const mistakes = (tls: Record<string, string>): string[] => {
    const lines = Object.entries(tls).map(([key, name]) => `  ${key}: ${file(name)}`);
    return mistakesOf(() =>
      parseArchipelagoConfig(['site: main', 'tls:', ...lines].join('\n'), 'site.yaml', checkTlsFiles),
    );
  };

  it('must be there, and be what they are said to be: each with its key and line', () => {
    expect(mistakes({ cert: 'a.crt', key: 'a.key', ca: 'b.crt' })).toEqual([]);
    expect(mistakes({ cert: 'none', key: 'nowhere', ca: 'text' })).toEqual([
      `site.yaml:3: tls.cert: cannot read ${file('none')}: ENOENT`,
      `site.yaml:4: tls.key: cannot read ${file('nowhere')}: ENOENT`,
      expect.stringMatching(/^site\.yaml:5: tls\.ca: .*text cannot be used: /) as string,
    ]);
    expect(mistakes({ cert: 'a.crt', key: 'text' })).toEqual([
      expect.stringMatching(/^site\.yaml:4: tls\.key: .*text cannot be used: /) as string,
    ]);
    expect(mistakes({ cert: 'a.crt', key: 'b.key' })).toEqual([
      expect.stringMatching(/^site\.yaml:4: tls\.key: .*b\.key does not belong to .*a\.crt: /) as string,
    ]);
  });

  it('are looked for by those who need them only', () =>
    expect(parseArchipelagoConfig('tls: { cert: none, key: none }').tls).toMatchObject({ cert: 'none' }));
});
