import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually, type RunningServer } from '@archipelago/testing';
import { untilQuiet } from './kit/centre';
import { exams, type Exam } from './kit/exams';
import { findStudies } from './kit/retrieve';
import { defineCampaign, type Stage } from './kit/run';
import { checkAll } from './kit/truth';

/** Longest time without any acknowledgement that counts as "keeps acknowledging", ms. */
const LONGEST_PAUSE_MS = 3_000;
/** Failure statuses of C-FIND (PS3.4 C.4.1.1.4): A7xx and Cxxx. */
const isFailure = (status: number): boolean => (status & 0xff00) === 0xa700 || (status & 0xf000) === 0xc000;

/** PostgreSQL, NATS and the object store away under load, killed and frozen. */
async function play(stage: Stage): Promise<void> {
  const { options, system, checks, ledger } = stage;
  const stop = new AbortController();
  const source = exams(options.seed, 30);
  const load = Promise.all(
    // a load that ingest outruns on a small machine: else what piled up in an outage is never worked off
    stage.senders(3, { pauseMs: 150, signal: stop.signal }).map(async (sender) => {
      while (!stop.signal.aborted) await sender.exam({ ...(source.next().value as Exam), onePerAssociation: false });
    }),
  );
  try {
    await eventually('the first study is found', async () => (await findStudies(system)).matches > 0, 30_000);
    const { postgres, nats } = system;
    for (const how of ['killed', 'frozen'] as const) {
      await outage(stage, 'PostgreSQL', postgres, how, 'fails');
      await outage(stage, 'NATS', nats, how, 'fails');
      if (system.minio) await outage(stage, 'the object store', system.minio, how, 'answers');
    }
  } finally {
    stop.abort();
    await load;
  }
  await untilQuiet(system, 120_000);
  checks.note(ledger.summary());
  await stage.withCentre((centre) => checkAll(centre, ledger, checks));
}

async function outage(
  stage: Stage,
  name: string,
  server: RunningServer,
  how: 'killed' | 'frozen',
  queries: 'fails' | 'answers',
): Promise<void> {
  const { options, system, checks, ledger } = stage;
  const seconds = options.long ? 60 : 8;
  const what = `${name} ${how}`;
  const from = Date.now();
  if (how === 'killed') await server.kill9();
  else freeze(server);
  const asked: string[] = [];
  const wrong: string[] = [];
  // a query that was answered before the last connection noticed proves nothing: ask after a moment, and again
  await pause(300);
  while (Date.now() < from + seconds * 1000 - 1_000) {
    const { status, matches, ms } = await findStudies(system);
    const seen = `${status.toString(16).toUpperCase().padStart(4, '0')} with ${matches} matches in ${Math.round(ms)} ms`;
    asked.push(seen);
    const right = queries === 'fails' ? isFailure(status) : status === 0 && matches > 0;
    if (!right || ms > 5_000) wrong.push(seen);
    await pause(500);
  }
  await pause(Math.max(0, from + seconds * 1000 - Date.now()));
  const to = Date.now();
  checks.none(
    `${what}: of ${asked.length} C-FINDs those that do not ${queries === 'fails' ? 'fail' : 'answer'} within 5 s`,
    wrong,
  );
  const acknowledged = ledger.acknowledgedBetween(from, to);
  const longest = ledger.longestPause(from, to);
  checks.check(
    `${what}: the edge keeps acknowledging`,
    acknowledged > seconds * 2 && longest < LONGEST_PAUSE_MS,
    `${acknowledged} in ${seconds} s, longest pause ${longest} ms`,
  );
  if (how === 'killed') await eventually(`${name} runs again`, async () => (await server.restart(), true), 60_000, 300);
  else thaw(server);
  await catchesUp(stage, what, to);
}

/** SIGSTOP to the server and its children: PostgreSQL's connections have a process each. */
function freeze(server: RunningServer): void {
  server.pause();
  for (const pid of childrenOf(server.pid)) process.kill(pid, 'SIGSTOP');
}

function thaw(server: RunningServer): void {
  for (const pid of childrenOf(server.pid)) process.kill(pid, 'SIGCONT');
  server.resume();
}

function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        return /^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${name}/status`, 'utf8'))?.[1] === String(pid);
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** Within a minute a study sent during the outage is found, and the edge's oldest unanswered pack is a fresh one. */
async function catchesUp({ system, checks, ledger }: Stage, what: string, back: number): Promise<void> {
  const during = ledger.acknowledged().at(-1)?.studyInstanceUid ?? '';
  try {
    await eventually(
      `a study sent while ${what} is found`,
      async () => {
        const { status, matches } = await findStudies(system, during);
        return status === 0 && matches === 1;
      },
      75_000,
      250,
    );
    checks.check(`${what}: caught up`, true, `after ${((Date.now() - back) / 1000).toFixed(1)} s`);
  } catch (error) {
    checks.broken(`${what}: caught up`, error);
  }
}

export const outages = defineCampaign({
  name: 'outages',
  summary:
    'PostgreSQL, NATS, object store away under load: the edge acknowledges, queries fail in time, all catches up',
  store: 's3',
  play,
});
