import { generateStudy, type GeneratedInstance } from '@archipelago/testing';
import { untilQuiet } from './kit/centre';
import { datasetDigest } from '@archipelago/pack';
import { defineCampaign, type Stage } from './kit/run';
import type { Sender } from './kit/sender';
import { checkCatalog, checkEvents, checkStored } from './kit/truth';

/**
 * The same SOP Instance UIDs with other pixels, from several senders at once, in studies that they share; two ingests
 * index the packs at the same time. Every content is kept, one is the answer, each difference is flagged once, and no sum
 * counts anything twice.
 */
async function play(stage: Stage): Promise<void> {
  const { options, system, checks, ledger } = stage;
  const studies = options.long ? 40 : 8;
  const count = options.long ? 100 : 30;
  const variants = 3;
  for (let n = 0; n < studies; n += 2) {
    // ingests hold their packs back until all senders are done: then they meet
    for (const ingest of system.ingests) ingest.pause();
    await Promise.all(
      stage.senders(variants, { pauseMs: 0 }).map(async (sender, variant) => {
        const own = [n, n + 1].flatMap((study) => variantOf(`${options.seed}/${study}`, count, variant));
        await sendInPieces(sender, variant % 2 === 0 ? own : own.reverse(), 20);
      }),
    );
    for (const ingest of system.ingests) ingest.resume();
  }
  await untilQuiet(system, 120_000);
  checks.note(ledger.summary());
  const contents = new Set(ledger.all().map((each) => `${each.sopInstanceUid} ${each.wireDigest}`)).size;
  checks.equal('different contents sent', contents, studies * count * variants);
  await stage.withCentre(async (centre) => {
    const answers = await centre.count('instance WHERE is_answer');
    checks.equal('answers', answers, studies * count);
    await checkStored(centre, ledger, checks);
    await checkCatalog(centre, ledger, checks, { contents, differences: studies * count * (variants - 1) });
    await checkEvents(centre, checks);
    const by = await Promise.all(
      system.ingests.map((ingest) => ingest.metric('archipelago_ingest_answers_total', { outcome: 'indexed' })),
    );
    checks.check(
      'both ingests indexed packs',
      by.every((packs) => (packs ?? 0) > 0),
      by.join(' and '),
    );
  });
}

/** The instances of a study with pixels of their own; every variant has the same header. */
function variantOf(seed: string, count: number, variant: number): GeneratedInstance[] {
  return [...generateStudy({ kind: 'ct', seed, count, seriesCount: 2, rows: 16, columns: 16 })].map((instance) => {
    const dataset = instance.dataset();
    dataset[dataset.length - 4]! ^= variant;
    return Object.create(instance, { dataset: { value: () => dataset } }) as GeneratedInstance;
  });
}

/** An association for each piece, so that each variant comes in several packs. */
async function sendInPieces(sender: Sender, instances: GeneratedInstance[], size: number): Promise<void> {
  for (let at = 0; at < instances.length; at += size) {
    for (const instance of instances.slice(at, at + size)) {
      const dataset = instance.dataset();
      while ((await sender.once(instance, dataset, datasetDigest(dataset))) !== 'acknowledged') sender.abort();
    }
    await sender.release();
  }
}

export const conflict = defineCampaign({
  name: 'conflict',
  summary: 'conflicting packs on two ingests at once; both contents kept, one answer, sums equal a recount',
  store: 'fs',
  system: () => ({ ingests: 2 }),
  play,
});
