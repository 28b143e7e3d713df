import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, runCommand, temporaryFolder, removeFolder } from '@archipelago/testing';
import type { Campaign } from './campaign';
import { untilQuiet } from './kit/centre';
import { exams } from './kit/exams';
import { defineCampaign, type Stage } from './kit/run';
import { sendAll } from './kit/sender';
import { checkRetrieval, checkStored } from './kit/truth';
import { judge } from './strace/durability';
import { parseTrace, type Call } from './strace/trace';

const CALLS = 'openat,fdatasync,fsync,write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg';

/** The edge under strace: `-D` leaves it our own child, `-y` names what is behind descriptors. */
function underStrace(file: string, faults: string[]): (command: string[]) => string[] {
  const trace = ['-D', '-f', '-y', '-x', '-s', '9000', '-o', file, '-e', `trace=${CALLS}`, '-e', 'signal=none'];
  return (command) => ['strace', ...trace, ...faults.flatMap((fault) => ['-e', fault]), ...command];
}

interface Form {
  name: string;
  summary: string;
  faults: string[];
  play(stage: Stage, trace: () => Promise<Call[]>): Promise<void>;
}

function traced(form: Form): Campaign {
  let folder: string | undefined;
  return defineCampaign({
    name: form.name,
    summary: form.summary,
    store: 'fs',
    async system() {
      const { code, output } = await runCommand('strace', ['-V']).catch(() => ({ code: 127, output: '' }));
      if (code !== 0) throw new Error(`strace is needed: install the Debian package strace ${output}`);
      folder = temporaryFolder('strace');
      // file calls through io_uring would pass strace by
      return { wrapEdge: underStrace(join(folder, 'trace'), form.faults), env: { UV_USE_IO_URING: '0' } };
    },
    play: (stage) => form.play(stage, () => finishTrace(stage, join(folder as string, 'trace'))),
    after() {
      if (folder) removeFolder(folder);
      return Promise.resolve();
    },
  });
}

/** The trace is whole when the edge has ended. */
async function finishTrace({ system }: Stage, file: string): Promise<Call[]> {
  const { pid } = system.edge;
  await system.edge.stop();
  let size = -1;
  await eventually(
    'strace has written all',
    () => {
      const before = size;
      ({ size } = statSync(file));
      return Promise.resolve(
        size === before && new RegExp(`^${pid} +\\+\\+\\+ `, 'm').test(readFileSync(file, 'latin1')),
      );
    },
    30_000,
    300,
  );
  return parseTrace(readFileSync(file, 'latin1'));
}

async function send({ options, senders, ledger }: Stage, instances: number): Promise<void> {
  await sendAll(senders(4), exams(options.seed, 12), () => ledger.acknowledgedAt.length >= instances);
}

async function playOrder(stage: Stage, trace: () => Promise<Call[]>): Promise<void> {
  const { options, checks, ledger, system } = stage;
  await send(stage, options.instances ?? (options.long ? 3_000 : 200));
  await untilQuiet(system, 60_000);
  const calls = await trace();
  const verdict = judge(calls);
  checks.note(`${calls.length} calls, ${verdict.successes} success responses`);
  checks.equal('success responses seen on the socket', verdict.successes, ledger.acknowledgedAt.length);
  checks.none('success responses without a completed fdatasync before them', verdict.violations);
  const blind = calls.filter((call) => call.name !== 'fdatasync');
  checks.equal(
    'the same trace without its fdatasyncs fails for each',
    judge(blind).violations.length,
    verdict.successes,
  );
  const late = calls.map((call) => (call.name === 'fdatasync' ? { ...call, left: call.left + 1e9 } : call));
  checks.equal('with fdatasyncs that come back late, too', judge(late).violations.length, verdict.successes);
}

async function playFailures(stage: Stage, trace: () => Promise<Call[]>): Promise<void> {
  const { options, checks, ledger, system } = stage;
  await send(stage, options.instances ?? (options.long ? 1_000 : 80));
  await untilQuiet(system, 90_000);
  checks.note(ledger.summary());
  await stage.withCentre(async (centre) => {
    await checkRetrieval(centre, ledger, checks);
    await checkStored(centre, ledger, checks);
  });
  const calls = await trace();
  const verdict = judge(calls);
  checks.check('syncs failed', verdict.failedSyncs > 0, String(verdict.failedSyncs));
  checks.check('stores were refused for it', verdict.failures > 0, String(verdict.failures));
  checks.none('acknowledged although a sync of the segment had failed, or before one succeeded', verdict.violations);
  checks.equal('refused with', [...ledger.refusals.keys()], ['A701']);
}

export const fsyncOrder = traced({
  name: 'fsync-order',
  summary: 'strace of the edge: the fdatasync of its segment has come back before each success response goes out',
  faults: [],
  play: playOrder,
});

export const fsyncFails = traced({
  name: 'fsync-fails',
  summary: 'fdatasync made to fail by strace: never a success, nothing more in that segment, nothing lost',
  faults: ['inject=fdatasync:error=EIO:when=2+4'],
  play: playFailures,
});
