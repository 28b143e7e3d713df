/**
 * `npm start -- --demo`: two stock archives with numbers of their own for the same people, joined by Archipelago, and a guided
 * tour of what a workstation sees. Everything lies in a folder of its own and is removed at the end.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, repositoryRoot } from '@archipelago/platform-embedded';
import { runCommand, startOrthanc, startStandalone, type TestOrthanc, type TestStandalone } from '@archipelago/testing';
import { fill, PEOPLE } from './people';
import { Tour } from './tour';

const say = (line = ''): void => void process.stdout.write(`${line}\n`);

interface Islands {
  north: TestOrthanc;
  south: TestOrthanc;
  system: TestStandalone;
}

async function start(root: string): Promise<Islands> {
  const dicomPort = Number(process.env['ARCHIPELAGO_DIMSE_PORT'] ?? (await freePort()));
  const us = { aet: 'ARCHFETCH', port: dicomPort };
  const [north, south] = await Promise.all([
    startOrthanc({ aet: 'NORTHPACS', peers: { us } }),
    startOrthanc({ aet: 'SOUTHPACS', peers: { us } }),
  ]);
  say(`North: stock Orthanc NORTHPACS@127.0.0.1:${north.port}; South: stock Orthanc SOUTHPACS@127.0.0.1:${south.port}`);
  say(
    `Filled with ${await fill(north, 'north')} and ${await fill(south, 'south')} images of the same people, under other numbers.`,
  );
  const config = join(root, 'archipelago.yaml');
  const at = { host: '127.0.0.1' };
  writeFileSync(
    config,
    JSON.stringify({
      peers: [{ aeTitle: 'READER', issuer: 'NORTH' }],
      archives: [
        { name: 'north', aeTitle: 'NORTHPACS', ...at, port: north.port, issuer: 'NORTH' },
        { name: 'south', aeTitle: 'SOUTHPACS', ...at, port: south.port, issuer: 'SOUTH' },
      ],
    }),
  );
  const home = join(root, 'home');
  mkdirSync(home, { mode: 0o711 });
  const system = await startStandalone({
    home,
    env: {
      ARCHIPELAGO_CONFIG: config,
      ARCHIPELAGO_DIMSE_PORT: String(dicomPort),
      ARCHIPELAGO_HARVEST_INTERVAL_SECONDS: '3',
    },
  });
  say(`Archipelago: ${system.aeTitle}@127.0.0.1:${system.dicomPort}, home ${home}`);
  return { north, south, system };
}

async function command(system: TestStandalone, ...args: string[]): Promise<string> {
  const script = join(repositoryRoot(), 'tools', 'dist', 'cli', 'main.js');
  const env = { ...process.env, ARCHIPELAGO_HOME: system.home };
  const { code, stdout, output } = await runCommand(process.execPath, [script, ...args], { env });
  if (code !== 0) throw new Error(`npm run archipelago -- ${args.join(' ')}: ${output}`);
  return stdout.trimEnd();
}

async function tour({ south, system }: Islands): Promise<void> {
  const guide = new Tour({ port: system.dicomPort, aeTitle: system.aeTitle }, 'READER', say);
  const [first] = PEOPLE;
  say('\n1. Reading the tags of both archives (no pixels) ...');
  await guide.untilComplete(PEOPLE.length * 2);
  say(await command(system, 'archive', 'list'));
  say(`\n2. ${first.name} is ${first.north} in the north and ${first.south} in the south. Who is one person?`);
  say(await command(system, 'identity', 'show', `NORTH:${first.north}`));
  say('   Both archives hold a copy of one of her studies, with one birth date: that linked them, by itself.');
  say(`\n3. One C-FIND by the northern number ${first.north}: all studies of the person, from both.`);
  await guide.find(first.north);
  say('\n4. One C-GET for each: the images come from wherever they are, byte for byte.');
  await guide.retrieveAll(first.north);
  say('\n5. The southern archive is stopped.');
  await south.stop();
  await guide.untilSaid('south unreachable');
  await guide.find(first.north);
  say('   What was read before is still served; what was not fails by name, and the answer says why:');
  await guide.retrieveAll(first.north);
  await guide.retrieveAll(PEOPLE[1]!.north);
}

async function main(): Promise<number> {
  const root = await mkdtemp(join(tmpdir(), 'archipelago-demo-'));
  const asked = new Promise<void>((resolve) => {
    process.on('SIGINT', () => resolve());
    process.on('SIGTERM', () => resolve());
  });
  let islands: Islands | undefined;
  try {
    islands = await start(root);
    await tour(islands);
    const { system } = islands;
    if (process.argv.includes('--once')) return 0;
    say(
      `\nIt goes on: ${system.aeTitle}@127.0.0.1:${system.dicomPort} (call as READER), metrics ${system.httpUrl}/metrics.`,
    );
    say(
      `Commands: ARCHIPELAGO_HOME=${system.home} npm run archipelago -- --help. Ctrl-C stops everything and removes it.`,
    );
    await asked;
    return 0;
  } finally {
    await islands?.system.stop();
    await Promise.all([islands?.north.stop(), islands?.south.stop()]);
    rmSync(root, { recursive: true, force: true });
  }
}

main().then(
  (status) => process.exit(status),
  (error: unknown) => {
    process.stderr.write(`the demonstration failed: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  },
);
