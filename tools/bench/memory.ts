import { startUs } from './receivers';
import { cpuTime, peakMemory, residentMemory, since, total } from './process-usage';
import { atMost, seconds, type BenchContext, type Benchmark, type BenchResult } from './report';
import { storescu } from './senders';
import { writeStudy } from './study-files';

/** 2048 frames of 512x512 with 16 bits: 1 GiB of pixels. */
export const LARGE_OBJECT = { kind: 'enhanced-ct', frames: 2048, rows: 512, columns: 512 };
const ASSOCIATIONS = 4;

async function run(context: BenchContext): Promise<BenchResult> {
  const { folder, note } = context;
  const us = await startUs(folder);
  try {
    const idle = residentMemory(us.pid);
    const study = writeStudy({
      name: 'large',
      seed: `${process.pid}:large`,
      count: ASSOCIATIONS,
      folder,
      ...LARGE_OBJECT,
    });
    const mib = study.bytes / 2 ** 20;
    note(`${ASSOCIATIONS} objects, ${mib.toFixed(0)} MiB in all`);
    const before = cpuTime(us.pid);
    const took = await storescu(
      us,
      study.files.map((file) => [file]),
      true,
    );
    const cpu = total(since(us.pid, before)) / 1000;
    const peak = peakMemory(us.pid);
    await us.settle(ASSOCIATIONS);
    const after = peakMemory(us.pid);
    study.remove();
    const show = (value: number): string => `${value.toFixed(0)} MiB`;
    const columns = [
      'idle',
      'peak while receiving',
      'peak with sealing and upload',
      'seconds',
      'MiB/s',
      'edge processor seconds',
    ];
    const row = [show(idle), show(peak), show(after), seconds(took), (mib / took).toFixed(0), cpu.toFixed(1)];
    return {
      tables: [{ title: 'Edge memory: 4 associations, 1 GiB multi-frame object each', columns, rows: [row] }],
      verdicts: [atMost('edge: peak resident memory', Math.max(peak, after), 250, show)],
      notes: ['resident memory is VmHWM of the edge process: its highest since it began'],
      raw: { idle, peak, after, took, cpu, mib },
    };
  } finally {
    await us.stop();
  }
}

export const memory: Benchmark = {
  name: 'memory',
  summary: 'edge memory while four associations send 1 GiB each',
  run,
};
