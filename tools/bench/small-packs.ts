import { connect } from '@archipelago/dimse';
import { eventually, generateStudy } from '@archipelago/testing';
import { load } from './machine';
import { startUs, type Us } from './receivers';
import type { BenchContext, BenchResult, Table } from './report';
import { median } from './statistics';

const EXPLICIT_LE = '1.2.840.10008.1.2.1';
/** Associations open at a time: modalities that send at once. */
const SENDERS = 8;

interface Image {
  sopClassUid: string;
  sopInstanceUid: string;
  bytes: Buffer;
}

/** Small images, round the studies: neighbours are of different ones where there are several. */
function images(count: number, studies: number, seed: string): Image[] {
  const each = Array.from({ length: studies }, (_, n) => [
    ...generateStudy({ kind: 'ct', count: Math.ceil(count / studies), seed: `${seed}:${n}`, rows: 64, columns: 64 }),
  ]);
  return Array.from({ length: count }, (_, i) => {
    const instance = each[i % studies]![Math.floor(i / studies)]!;
    const { sopClassUid, sopInstanceUid } = instance;
    return { sopClassUid, sopInstanceUid, bytes: instance.dataset() };
  });
}

async function sendAlone(us: Us, image: Image): Promise<void> {
  const association = await connect({
    host: '127.0.0.1',
    port: us.port,
    calledAeTitle: us.aet,
    callingAeTitle: 'BENCH',
    contexts: [{ abstractSyntax: image.sopClassUid, transferSyntaxes: [EXPLICIT_LE] }],
  });
  const { sopClassUid, sopInstanceUid, bytes } = image;
  const contextId = association.contexts[0]!.id;
  const { status } = await association.store({ contextId, sopClassUid, sopInstanceUid, body: [bytes] });
  if (status !== 0) throw new Error(`C-STORE was answered ${status.toString(16)}`);
  await association.release();
}

/** An association for each image. @returns seconds */
async function sendAll(us: Us, list: readonly Image[]): Promise<number> {
  const started = performance.now();
  let next = 0;
  const sender = async (): Promise<void> => {
    for (let i = next++; i < list.length; i = next++) await sendAlone(us, list[i]!);
  };
  await Promise.all(Array.from({ length: SENDERS }, sender));
  return (performance.now() - started) / 1000;
}

async function indexed(us: Us): Promise<number> {
  const [ingest] = us.system.ingests;
  return (await ingest!.metric('archipelago_ingest_instances_total')) ?? 0;
}

interface Sample {
  studies: number;
  sendSeconds: number;
  /** From the first association until the last image was in the catalog. */
  liveSeconds: number;
  /** Until all was in the catalog, beginning with all of it announced and nothing indexed. */
  backlogSeconds: number;
}

/**
 * Packs of one image: the catalog work of modalities that open an association for each. Once as it comes; once as a
 * backlog, after ingest was away while all was sent.
 */
export async function smallPacks(context: BenchContext): Promise<BenchResult> {
  const { folder, rounds, instances, note } = context;
  const us = await startUs(folder);
  const [ingest] = us.system.ingests;
  const samples: Sample[] = [];
  let total = 0;
  const settled = async (): Promise<void> => {
    await eventually(`${total} instances in the catalog`, async () => (await indexed(us)) >= total, 600_000, 20);
  };
  try {
    for (let round = 0; round <= rounds; round++) {
      for (const studies of [1, 10]) {
        const live = images(instances, studies, `${process.pid}:live:${studies}:${round}`);
        const started = performance.now();
        total += live.length;
        const sendSeconds = await sendAll(us, live);
        await settled();
        const liveSeconds = (performance.now() - started) / 1000;
        const later = images(instances, studies, `${process.pid}:later:${studies}:${round}`);
        ingest!.pause();
        total += later.length;
        await sendAll(us, later);
        await eventually('all is announced', async () => {
          const waiting = await us.system.edge.metric('archipelago_edge_packs', { waiting_for: 'answer' });
          return (waiting ?? 0) >= later.length;
        });
        const resumed = performance.now();
        ingest!.resume();
        await settled();
        const backlogSeconds = (performance.now() - resumed) / 1000;
        note(
          `round ${round}, ${studies} studies: sent in ${sendSeconds.toFixed(2)} s, indexed after ${liveSeconds.toFixed(2)} s; ` +
            `backlog ${backlogSeconds.toFixed(2)} s; load ${load().toFixed(1)}`,
        );
        if (round > 0) samples.push({ studies, sendSeconds, liveSeconds, backlogSeconds });
      }
    }
  } finally {
    ingest!.resume();
    await us.stop();
  }
  const rate = (values: number[]): string => `${(instances / median(values)).toFixed(0)} a second`;
  const of = (studies: number, field: keyof Sample): number[] =>
    samples.filter((each) => each.studies === studies).map((each) => each[field]);
  const table: Table = {
    title: `${instances} packs of one image, ${SENDERS} associations at a time`,
    columns: ['images of', 'sent', 'sent and indexed', 'a backlog indexed'],
    rows: [1, 10].map((studies) => [
      studies === 1 ? 'one study' : `${studies} studies`,
      rate(of(studies, 'sendSeconds')),
      rate(of(studies, 'liveSeconds')),
      rate(of(studies, 'backlogSeconds')),
    ]),
  };
  return {
    tables: [table],
    verdicts: [],
    notes: [`medians of ${rounds} rounds after one to warm up`],
    raw: { samples },
  };
}
