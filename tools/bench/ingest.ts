import { startUs, type Us } from './receivers';
import { atMost, millis, type BenchContext, type Benchmark, type BenchResult } from './report';
import { storescu } from './senders';
import { smallPacks } from './small-packs';
import { median } from './statistics';
import { writeStudy } from './study-files';

/** Sum and count of a histogram of ours. */
async function histogram(us: Us, name: string): Promise<{ sum: number; count: number }> {
  const values = await Promise.all(
    us.system.ingests.flatMap((each) => [each.metric(`${name}_sum`), each.metric(`${name}_count`)]),
  );
  let [sum, count] = [0, 0];
  values.forEach((value, i) => (i % 2 === 0 ? (sum += value ?? 0) : (count += value ?? 0)));
  return { sum, count };
}

/** One association with small images: one pack, whose catalog work is that of any other with as many instances. */
async function run(context: BenchContext): Promise<BenchResult> {
  if (context.option('small')) return smallPacks(context);
  const { folder, rounds, instances, note } = context;
  const us = await startUs(folder);
  const ms: number[] = [];
  const delays: number[] = [];
  try {
    for (let round = 0; round <= rounds; round++) {
      const study = writeStudy({
        name: 'ingest',
        seed: `${process.pid}:ingest:${round}`,
        count: instances,
        rows: 64,
        columns: 64,
      });
      const before = await histogram(us, 'archipelago_ingest_pack_seconds');
      const delayBefore = await histogram(us, 'archipelago_ingest_delay_seconds');
      await storescu(us, [study.files], true);
      await us.settle((round + 1) * instances);
      study.remove();
      const after = await histogram(us, 'archipelago_ingest_pack_seconds');
      const delayAfter = await histogram(us, 'archipelago_ingest_delay_seconds');
      const packs = after.count - before.count;
      const took = (after.sum - before.sum) * 1000;
      note(`round ${round}: ${packs} packs, ${took.toFixed(0)} ms`);
      if (packs !== 1) throw new Error(`the study came as ${packs} packs: give fewer --instances`);
      if (round === 0) continue;
      ms.push(took);
      delays.push((delayAfter.sum - delayBefore.sum) * 1000);
    }
  } finally {
    await us.stop();
  }
  const columns = ['what', 'median', 'slowest'];
  const row = (what: string, values: number[]): string[] => [
    what,
    millis(median(values), 0),
    millis(Math.max(...values), 0),
  ];
  const rows = [row('from the message to the commit', ms), row('from sealing at the edge to the commit', delays)];
  return {
    tables: [{ title: `Ingest of a pack of ${instances} instances`, columns, rows }],
    verdicts: [
      atMost(`ingest of a pack of ${instances} instances (median)`, median(ms), 200, (value) => millis(value, 0)),
    ],
    notes: [
      'measured by ingest itself (archipelago_ingest_pack_seconds): tail read, header blocks parsed, one transaction',
    ],
    raw: { ms, delays },
  };
}

export const ingest: Benchmark = {
  name: 'ingest',
  summary: 'a pack of 500 instances into the catalog; --small: 500 packs of one image',
  run,
};
