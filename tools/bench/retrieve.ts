import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { findDebianCommand } from '@archipelago/platform-embedded';
import { runCommand } from '@archipelago/testing';
import { load } from './machine';
import { cpuTime, since } from './process-usage';
import {
  startDcmqrscpReceiver,
  startMemorySource,
  startNullSink,
  startOrthancReceiver,
  startUs,
  type Receiver,
} from './receivers';
import { atLeast, millis, seconds, times, type BenchContext, type Benchmark, type BenchResult } from './report';
import { storescu } from './senders';
import { median } from './statistics';
import { studyFolder, writeStudy, type StudyFiles } from './study-files';

type Operation = 'get' | 'move';

interface Sample {
  server: string;
  round: number;
  seconds: number;
  user: number;
  system: number;
}

const US = 'archipelago';
const BARE = 'bare upper layer (from memory)';
const FORKS = 'DCMTK dcmqrscp';

/** DCMTK's getscu or movescu for one study. @returns seconds */
async function retrieve(op: Operation, from: Receiver, study: StudyFiles, folder: string, to: string): Promise<number> {
  const out = join(folder, 'retrieved');
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const keys = ['-k', '0008,0052=STUDY', '-k', `0020,000D=${study.studyInstanceUid}`];
  const common = ['-q', '-S', '-aet', 'BENCH', '-aec', from.aet];
  const mode = op === 'get' ? ['--bit-preserving', '-od', out] : ['--no-port', '-aem', to];
  const command = findDebianCommand(op === 'get' ? 'getscu' : 'movescu', 'dcmtk');
  const env = { TCP_NODELAY: '1' };
  const started = performance.now();
  const run = await runCommand(command, [...common, ...mode, '127.0.0.1', String(from.port), ...keys], {
    env,
    timeoutMs: 600_000,
  });
  const took = (performance.now() - started) / 1000;
  if (run.code !== 0) throw new Error(`${op} from ${from.name} failed (${run.code}): ${run.output.slice(0, 500)}`);
  const came = readdirSync(out).length;
  if (op === 'get' && came !== study.files.length)
    throw new Error(`C-GET from ${from.name}: ${came} of ${study.files.length} came`);
  rmSync(out, { recursive: true, force: true });
  return took;
}

/** Us, those that we are measured by, and what our upper layer can do at all: all that `--only` does not leave out. */
async function startServers(op: Operation, context: BenchContext, sink: Receiver): Promise<Receiver[]> {
  const { folder } = context;
  const only = context.option('only')?.toLowerCase().split(',');
  const peer = { aet: sink.aet, port: sink.port };
  const starters: [string, () => Promise<Receiver>][] = [
    [US, () => startUs(folder, [peer])],
    ['Orthanc', () => startOrthancReceiver(folder, true, { sink: peer })],
    ['DCMTK dcmqrscp', () => startDcmqrscpReceiver(folder, [peer])],
    [BARE, () => startMemorySource(folder, studyFolder(op), peer)],
  ];
  const started: Receiver[] = [];
  try {
    for (const [name, start] of starters) {
      if (!only || only.some((each) => name.toLowerCase().includes(each))) started.push(await start());
    }
  } catch (error) {
    for (const server of started) await server.stop();
    throw error;
  }
  return started;
}

/** Stores a study at each server, then retrieves it from each, in turn. */
async function measure(op: Operation, context: BenchContext): Promise<Sample[]> {
  const { folder, rounds, instances, note } = context;
  const sink = await startNullSink(folder);
  const started: Receiver[] = [sink];
  const samples: Sample[] = [];
  try {
    const servers = await startServers(op, context, sink);
    started.push(...servers);
    let stored = 0;
    for (let round = 0; round <= rounds; round++) {
      const study = writeStudy({ name: op, seed: `${process.pid}:${op}:${round}`, count: instances });
      stored += instances;
      for (const server of servers) {
        if (server.name !== BARE) await storescu(server, [study.files], true);
        await server.settle(stored);
      }
      for (let i = 0; i < servers.length; i++) {
        const server = servers[(i + round) % servers.length]!;
        const before = cpuTime(server.pid);
        const took = await retrieve(op, server, study, sourceOf(folder), sink.aet);
        const { user, system } = since(server.pid, before);
        if (round > 0)
          samples.push({
            server: server.name,
            round,
            seconds: took,
            user: user / instances,
            system: system / instances,
          });
      }
      study.remove();
      note(round === 0 ? 'warm' : `round ${round} of ${rounds}, load ${load().toFixed(1)}`);
    }
    return samples;
  } finally {
    for (const server of started.reverse()) await server.stop();
  }
}

let memory: string | undefined;

/** Retrieved files go to memory where there is such a folder: the requester's disk is not measured. */
function sourceOf(folder: string): string {
  if (memory !== undefined) return memory;
  try {
    const made = join('/dev/shm', `archipelago-bench-${process.pid}-out`);
    mkdirSync(made, { recursive: true });
    process.once('exit', () => rmSync(made, { recursive: true, force: true }));
    memory = made;
  } catch {
    memory = folder;
  }
  return memory;
}

async function run(op: Operation, context: BenchContext): Promise<BenchResult> {
  const samples = await measure(op, context);
  const names = [...new Set(samples.map((each) => each.server))];
  const pick = (server: string, field: 'seconds' | 'user' | 'system'): number =>
    median(samples.filter((each) => each.server === server).map((each) => each[field]));
  const us = pick(US, 'seconds');
  const label = op === 'get' ? 'C-GET (getscu)' : 'C-MOVE (movescu, to our upper layer storing nothing)';
  const rows = names.map((name) => [
    name,
    seconds(pick(name, 'seconds')),
    times(pick(name, 'seconds') / us),
    // a process for each association: its time is not that of the one we know
    name === FORKS ? '-' : millis(pick(name, 'user')),
    name === FORKS ? '-' : millis(pick(name, 'system')),
  ]);
  const columns = ['server', 'median', 'against us', 'user/instance', 'system/instance'];
  return {
    tables: [{ title: `${label} of a study of ${context.instances} CT`, columns, rows }],
    verdicts: names.includes('Orthanc')
      ? [atLeast(`${label}: times as fast as Orthanc`, pick('Orthanc', 'seconds') / us, 1.5)]
      : [],
    notes: [
      `medians of ${context.rounds} rounds after one to warm up; in turn; each study retrieved once, soon after it was stored`,
    ],
    raw: { samples },
  };
}

export const get: Benchmark = {
  name: 'get',
  summary: 'C-GET of a study: us, Orthanc, DCMTK, and our upper layer from memory',
  run: (context) => run('get', context),
};
export const move: Benchmark = {
  name: 'move',
  summary: 'C-MOVE of a study to a receiver that stores nothing: the same',
  run: (context) => run('move', context),
};
