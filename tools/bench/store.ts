import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { diskFloor } from './disk-floor';
import { BusyMeter, load } from './machine';
import { cpuTime, peakMemory, since } from './process-usage';
import {
  startDicomRs,
  startNullSink,
  startOrthancReceiver,
  startStorescpReceiver,
  startUs,
  type Receiver,
} from './receivers';
import {
  atLeast,
  atMost,
  millis,
  seconds,
  times,
  type BenchContext,
  type Benchmark,
  type BenchResult,
  type Verdict,
} from './report';
import { dicomRsStorescu, dicomRsVersion, findDicomRs, share, storescu } from './senders';
import { median } from './statistics';
import { writeStudy, type StudyFiles } from './study-files';

/** One way of sending, measured with some of the receivers. */
interface Variant {
  key: string;
  title: string;
  associations: number;
  send(receiver: Receiver, files: readonly string[]): Promise<number>;
  to: string[];
}

interface Sample {
  variant: string;
  receiver: string;
  round: number;
  seconds: number;
  /** Milliseconds of the receiver's processor time per instance, until the sender was done. */
  user: number;
  system: number;
  /** The same until everything that follows was done too: sealing, upload, announcement. */
  withAfter: number;
  busy: number;
  stolen: number;
}

const US = 'archipelago';
const NULL_SINK = 'bare upper layer (stores nothing)';
const DICOM_RS = 'dicom-rs storescp (files, no sync)';
const FLOOR = 'disk floor (append and fdatasync per instance)';

function variants(dicomRs: string | undefined): Variant[] {
  const dcmtk = (associations: number, tuned: boolean): Variant['send'] => {
    return (receiver, files) => storescu(receiver, share(files, associations), tuned);
  };
  const tuned = 'DCMTK storescu, TCP_NODELAY=1';
  const all = [US, NULL_SINK, 'Orthanc', 'DCMTK storescp --ignore', 'DCMTK storescp (files, no sync)', DICOM_RS];
  const list: Variant[] = [
    { key: 'one', title: `${tuned}, 1 association`, associations: 1, send: dcmtk(1, true), to: all },
    {
      key: 'four',
      title: `${tuned}, 4 associations`,
      associations: 4,
      send: dcmtk(4, true),
      to: [US, 'Orthanc', DICOM_RS],
    },
    {
      key: 'untuned',
      title: 'DCMTK storescu as shipped, 1 association',
      associations: 1,
      send: dcmtk(1, false),
      to: [US, 'Orthanc as shipped'],
    },
  ];
  if (dicomRs) {
    const send: Variant['send'] = (receiver, files) => dicomRsStorescu(dicomRs, receiver, files);
    const to = [US, NULL_SINK, DICOM_RS];
    list.push({ key: 'rs', title: `dicom-rs ${dicomRsVersion()} storescu, 1 association`, associations: 1, send, to });
  }
  return list;
}

async function startAll(context: BenchContext, wanted: (name: string) => boolean): Promise<Receiver[]> {
  const { folder, note } = context;
  const started: Receiver[] = [];
  const dicomRs = findDicomRs('dicom-storescp');
  if (!dicomRs)
    note(
      `dicom-rs storescp is not installed: cargo install dicom-storescp dicom-storescu --version ${dicomRsVersion()}`,
    );
  const starters: [string, () => Promise<Receiver>][] = [
    [US, () => startUs(folder)],
    [NULL_SINK, () => startNullSink(folder)],
    ['Orthanc', () => startOrthancReceiver(folder, true)],
    ['Orthanc as shipped', () => startOrthancReceiver(folder, false)],
    ['DCMTK storescp --ignore', () => startStorescpReceiver(folder, true)],
    ['DCMTK storescp (files, no sync)', () => startStorescpReceiver(folder, false)],
    ...(dicomRs ? [[DICOM_RS, () => startDicomRs(folder, dicomRs)] as [string, () => Promise<Receiver>]] : []),
  ];
  try {
    for (const [name, start] of starters) if (wanted(name)) started.push(await start());
  } catch (error) {
    for (const receiver of started) await receiver.stop();
    throw error;
  }
  return started;
}

/** Dirty pages of others (files that nobody syncs) must not be written during the next one's turn. */
function flushDisk(): void {
  execFileSync('sync');
}

class StoreBench {
  readonly samples: Sample[] = [];
  readonly floors: number[] = [];
  private readonly stored = new Map<string, number>();

  constructor(
    private readonly context: BenchContext,
    private readonly receivers: Receiver[],
    private readonly list: Variant[],
  ) {}

  async run(): Promise<void> {
    const { rounds, instances, note } = this.context;
    // Round 0 warms everyone up and is not counted.
    for (let round = 0; round <= rounds; round++) {
      for (const variant of this.list) {
        const study = writeStudy({
          name: variant.key,
          seed: `${process.pid}:${variant.key}:${round}`,
          count: instances,
        });
        try {
          await this.turn(variant, study, round);
        } finally {
          study.remove();
        }
      }
      note(round === 0 ? 'warm' : `round ${round} of ${rounds}, load ${load().toFixed(1)}`);
    }
  }

  private async turn(variant: Variant, study: StudyFiles, round: number): Promise<void> {
    const present = this.receivers.filter(({ name }) => variant.to.includes(name));
    for (let i = 0; i < present.length; i++) {
      const receiver = present[(i + round) % present.length]!;
      const sample = await this.measure(variant, receiver, study, round);
      if (round > 0) this.samples.push(sample);
    }
    if (variant.key !== 'one' || round === 0) return;
    flushDisk();
    const folder = join(this.context.folder, 'floor');
    mkdirSync(folder, { recursive: true });
    this.floors.push(diskFloor(folder, study.files));
  }

  private async measure(variant: Variant, receiver: Receiver, study: StudyFiles, round: number): Promise<Sample> {
    flushDisk();
    const count = study.files.length;
    const meter = new BusyMeter();
    const before = cpuTime(receiver.pid);
    const took = await variant.send(receiver, study.files);
    const cpu = since(receiver.pid, before);
    const { busy, stolen } = meter.take();
    const stored = (this.stored.get(receiver.name) ?? 0) + count;
    this.stored.set(receiver.name, stored);
    await receiver.settle(stored);
    const after = since(receiver.pid, before);
    return {
      variant: variant.key,
      receiver: receiver.name,
      round,
      seconds: took,
      user: cpu.user / count,
      system: cpu.system / count,
      withAfter: (after.user + after.system) / count,
      busy,
      stolen,
    };
  }
}

type Pick = (variant: string, receiver: string, field?: 'seconds' | 'user' | 'system' | 'withAfter') => number;

function picker(samples: Sample[]): Pick {
  return (variant, receiver, field = 'seconds') =>
    median(samples.filter((each) => each.variant === variant && each.receiver === receiver).map((each) => each[field]));
}

function verdicts(pick: Pick, floor: number): Verdict[] {
  const list: Verdict[] = [];
  const us = pick('one', US);
  const orthanc = pick('one', 'Orthanc') / us;
  const bound = pick('one', NULL_SINK) + floor;
  const first: Verdict = {
    figure: 'C-STORE durable, 1 association: times as fast as Orthanc; else time against bare transfer + disk floor',
    measured: `${times(orthanc)}; ${times(us / bound)} of ${seconds(bound)}`,
    required: 'at least 3.00x; else at most 1.25x',
    holds: orthanc >= 3 || us / bound <= 1.25,
  };
  if (Number.isFinite(orthanc)) list.push(first);
  const add = (value: number, verdict: Verdict): void => {
    if (Number.isFinite(value)) list.push(verdict);
  };
  const four = pick('four', 'Orthanc') / pick('four', US);
  add(four, atLeast('C-STORE durable, 4 associations: times as fast as Orthanc', four, 4));
  const rs = pick('one', DICOM_RS) / us;
  add(rs, atLeast('C-STORE durable: times as fast as dicom-rs without sync', rs, 1));
  const untuned = pick('untuned', US) / us;
  add(untuned, atMost('DCMTK sender as shipped: time against the tuned one', untuned, 1.5, times));
  const rsSender = pick('rs', US) / us;
  add(rsSender, atMost('dicom-rs sender: time against the tuned DCMTK one', rsSender, 1.5, times));
  const cpu = pick('one', US, 'user') + pick('one', US, 'system');
  add(
    cpu,
    atMost('edge: processor time per instance', cpu, 0.6, (value) => millis(value)),
  );
  return list;
}

async function run(context: BenchContext): Promise<BenchResult> {
  const only = context.option('only')?.split(',');
  const wanted = (name: string): boolean =>
    !only || only.some((each) => name.toLowerCase().includes(each.toLowerCase()));
  const receivers = await startAll(context, wanted);
  const list = variants(findDicomRs('dicom-storescu'));
  const bench = new StoreBench(context, receivers, list);
  const peaks: string[] = [];
  try {
    await bench.run();
    for (const receiver of receivers) peaks.push(`${receiver.name} ${peakMemory(receiver.pid).toFixed(0)} MiB`);
  } finally {
    for (const receiver of receivers) await receiver.stop();
  }
  const pick = picker(bench.samples);
  const floor = median(bench.floors);
  const tables = list.map((variant) => {
    const rows = variant.to
      .filter((name) => Number.isFinite(pick(variant.key, name)))
      .map((name) => [
        name,
        seconds(pick(variant.key, name)),
        times(pick(variant.key, name) / pick(variant.key, US)),
        millis(pick(variant.key, name, 'user')),
        millis(pick(variant.key, name, 'system')),
        millis(pick(variant.key, name, 'withAfter')),
      ]);
    if (variant.key === 'one') rows.push([FLOOR, seconds(floor), times(floor / pick('one', US)), '', '', '']);
    return {
      title: `C-STORE of ${context.instances} CT: ${variant.title}`,
      columns: ['receiver', 'median', 'against us', 'user/instance', 'system/instance', 'all, with what follows'],
      rows,
    };
  });
  const busy = bench.samples
    .filter((each) => each.receiver === US && each.variant === 'one')
    .map((each) => each.stolen);
  const notes = [
    `medians of ${context.rounds} rounds after one to warm up; receivers take turns within a round; fresh UIDs each round`,
    `peak resident memory: ${peaks.join(', ')}`,
    `time stolen by other machines while we were measured: ${median(busy).toFixed(1)} %`,
  ];
  return { tables, verdicts: verdicts(pick, floor), notes, raw: { samples: bench.samples, floors: bench.floors } };
}

export const store: Benchmark = {
  name: 'store',
  summary: 'C-STORE: us, Orthanc, DCMTK, dicom-rs; tuned and untuned senders; processor time',
  run,
};
