import { mkdirSync, readdirSync, statfsSync, statSync, writeFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { generateStudy, runCommand, temporaryFolder, type GeneratedInstance } from '@archipelago/testing';
import { spoolFiles, untilQuiet } from './kit/centre';
import { datasetDigest } from '@archipelago/pack';
import { defineCampaign, type Stage } from './kit/run';
import type { Sender } from './kit/sender';
import { checkAll } from './kit/truth';

const MIB = 1024 * 1024;
const VOLUME = 96 * MIB;
const RESERVE = 24 * MIB;

/** The volume of the spool: a small one of its own where we may mount one, else a reserve just below what is free. */
let volume: { dir: string; mounted: boolean; reserve: number } | undefined;

async function makeVolume(): Promise<{ dir: string; mounted: boolean; reserve: number }> {
  const dir = temporaryFolder('volume');
  const { code } = await runCommand('mount', ['-t', 'tmpfs', '-o', `size=${VOLUME},mode=755`, 'tmpfs', dir]).catch(
    () => ({ code: 1 }),
  );
  const mounted = code === 0;
  const free = (): number => statfsSync(dir).bavail * statfsSync(dir).bsize;
  return { dir, mounted, reserve: mounted ? RESERVE : free() - 256 * MIB };
}

async function removeVolume(): Promise<void> {
  if (!volume) return;
  if (volume.mounted) await runCommand('umount', [volume.dir]);
  rmSync(volume.dir, { recursive: true, force: true });
  volume = undefined;
}

/** The object store is away and the spool's volume fills up; then there is space again, then the store is back. */
async function play(stage: Stage): Promise<void> {
  const { system, checks, ledger } = stage;
  const { dir, mounted, reserve } = volume!;
  checks.note(
    mounted ? `spool on a volume of ${VOLUME / MIB} MiB` : 'no right to mount: a reserve just below the free space',
  );
  await system.minio!.kill9();
  const [sender] = stage.senders(1) as [Sender];
  const source = objects(stage.options.seed);
  const free = (): number => statfsSync(dir).bavail * statfsSync(dir).bsize;

  const refused = await fill(sender, source, 2_000);
  checks.equal('when the volume is full the sender gets', [...ledger.refusals.keys()], ['A700']);
  checks.check('space that is kept for sealing', free() > reserve / 2, `${(free() / MIB).toFixed(1)} MiB free`);
  await sender.release();
  await checkNothingHalf(stage);

  const { matches } = { matches: spoolFiles(system, 'sealed').length };
  checks.check('sealed packs wait for the store', matches > 0, String(matches));
  const echoed = await sender.once(refused);
  checks.equal('still full for the next association', echoed, 'refused');
  await sender.release();

  // hysteresis: a little space is not enough, a tenth of the reserve more is
  await checkHysteresis(stage, sender, refused, free, reserve);
  await sender.release();
  await system.minio!.restart();
  await untilQuiet(system, 150_000);
  checks.note(ledger.summary());
  await stage.withCentre((centre) => checkAll(centre, ledger, checks));
}

/** Sends until the first refusal. */
async function fill(sender: Sender, source: Iterator<GeneratedInstance>, most: number): Promise<GeneratedInstance> {
  for (let n = 0; n < most; n++) {
    const instance = source.next().value as GeneratedInstance;
    const dataset = instance.dataset();
    if ((await sender.once(instance, dataset, datasetDigest(dataset))) === 'refused') return instance;
  }
  throw new Error('the volume did not fill up');
}

/** What is on the spool belongs to acknowledged objects: their bytes and what describes them. */
async function checkNothingHalf({ system, checks, ledger }: Stage): Promise<void> {
  const bytes = (folder: 'open' | 'sealed'): number =>
    spoolFiles(system, folder).reduce((sum, name) => sum + statSync(join(system.spoolDir, folder, name)).size, 0);
  for (let n = 0; n < 100 && spoolFiles(system, 'open').length > 0; n++)
    await new Promise((resolve) => setTimeout(resolve, 100));
  checks.equal('segments left open after the association', readdirSync(join(system.spoolDir, 'open')).length, 0);
  const acknowledged = ledger.acknowledged().reduce((sum, each) => sum + each.bytes, 0);
  const kept = bytes('sealed');
  const most = acknowledged + ledger.acknowledged().length * 16_384 + 100_000;
  checks.check(
    'the spool holds what was acknowledged and no more',
    kept >= acknowledged && kept <= most,
    `${kept} bytes for ${acknowledged} acknowledged`,
  );
}

async function checkHysteresis(
  { checks, system }: Stage,
  sender: Sender,
  refused: GeneratedInstance,
  free: () => number,
  reserve: number,
): Promise<void> {
  if (!volume!.mounted) {
    checks.note('hysteresis is shown where a volume can be mounted');
    return;
  }
  const ballast = join(system.spoolDir, '..', 'ballast');
  const grow = (bytes: number): void => writeFileSync(ballast, Buffer.alloc(Math.max(0, bytes)));
  mkdirSync(join(system.spoolDir, '..'), { recursive: true });
  // the space of one pack becomes free by taking the biggest one away and putting ballast in its place
  grow(0);
  const at = (wanted: number): number => free() - wanted;
  grow(at(reserve - 2 * MIB));
  checks.equal('less than the reserve is free', await sender.once(refused), 'refused');
  checks.check('free space now', free() < reserve, `${(free() / MIB).toFixed(1)} of ${reserve / MIB} MiB`);
  rmSync(ballast);
  await resize(VOLUME + 4 * MIB);
  grow(at(reserve + MIB));
  checks.equal('a little more than the reserve is free', await sender.once(refused), 'refused');
  await resize(VOLUME * 2);
  rmSync(ballast);
  await new Promise((resolve) => setTimeout(resolve, 300));
  checks.equal('much is free again', await sender.once(refused), 'acknowledged');
}

async function resize(bytes: number): Promise<void> {
  const { code, output } = await runCommand('mount', ['-o', `remount,size=${bytes}`, volume!.dir]);
  if (code !== 0) throw new Error(`remount: ${output}`);
}

/** CTs of half a megabyte. */
function* objects(seed: string): Generator<GeneratedInstance> {
  for (let n = 0; ; n++)
    yield* generateStudy({ kind: 'ct', seed: `${seed}/disk/${n}`, count: 40, rows: 512, columns: 512 });
}

export const diskFull = defineCampaign({
  name: 'disk-full',
  summary:
    'the spool is full and nothing can be uploaded: A700, nothing half-stored, and it goes on when space returns',
  store: 's3',
  async system() {
    volume = await makeVolume();
    return {
      env: {
        ARCHIPELAGO_SPOOL_DIR: join(volume.dir, 'spool'),
        ARCHIPELAGO_SPOOL_MIN_FREE_BYTES: String(volume.reserve),
      },
    };
  },
  play,
  after: removeVolume,
});
