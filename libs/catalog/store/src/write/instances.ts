import type { SqlClient } from '@archipelago/platform-storage';
import { seriesKey, studyKey, type Batch, type BatchEntry } from './batch';
import type { StoredCopy } from './index-pack.types';
import type { Locked } from './levels';

/** What became of one entry. */
export interface Verdict {
  one: BatchEntry;
  /** `answer`: new, and what its UID now means; `kept`: another content of a known UID, kept beside; `copy`: nothing new. */
  outcome: 'answer' | 'kept' | 'copy';
  /** Wire digest (hex) of the kept instance that it is, or is a copy of. */
  sameAs: string;
  /** The answer that this one took the place of. */
  replaced?: KnownInstance;
  /** What archives said of it, of which the bytes have come now: no difference, whatever they said. */
  arrived?: KnownInstance;
  /** Kept beside this answer, and it must be decided which is right. */
  differsFrom?: KnownInstance;
}

export interface KnownInstance {
  uid: string;
  wire: string;
  header: string;
  answer: boolean;
  source: number;
  study: string | null;
  series: string | null;
  /** False: known from archives only. */
  held: boolean;
}

const COLUMNS =
  'sop_instance_uid, study, series, sop_class_uid, instance_number, sort_number, wire_digest, header_digest, is_answer, source, origin, transfer_syntax_uid, bytes, received_at, attributes';

/** Inserts rows in UID order; those that a unique index refuses are left out. Returns `uid + wire` of the inserted. */
async function insert(
  client: SqlClient,
  locked: Locked,
  entries: readonly BatchEntry[],
  answer: boolean,
): Promise<Set<string>> {
  if (entries.length === 0) return new Set();
  const sorted = [...entries].sort(byUid);
  const numbers = sorted.map((one) => one.projection.instance.number);
  const { rows } = await client.query<{ uid: string; wire: string }>(
    `INSERT INTO instance (${COLUMNS})
     SELECT k.uid, k.study, k.series, k.sop_class, k.number, coalesce(k.number, 2147483647), decode(k.wire, 'hex'),
            decode(k.header, 'hex'), $13, k.source, k.origin, k.syntax, k.bytes, k.received_at::timestamptz, k.attributes::jsonb
     FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::int[], $6::text[], $7::text[], $8::int[],
                 $9::text[], $10::text[], $11::bigint[], $12::text[], $14::text[]) WITH ORDINALITY
       k(uid, study, series, sop_class, number, wire, header, source, origin, syntax, bytes, received_at, attributes, n)
     ORDER BY k.n ON CONFLICT DO NOTHING
     RETURNING sop_instance_uid AS uid, encode(wire_digest, 'hex') AS wire`,
    [
      sorted.map((one) => one.entry.sopInstanceUid),
      sorted.map((one) => locked.studies.get(studyKey(one) ?? '')?.id ?? null),
      sorted.map((one) => locked.series.get(seriesKey(one) ?? '')?.id ?? null),
      sorted.map((one) => one.entry.sopClassUid),
      numbers,
      sorted.map((one) => one.entry.wireDigest),
      sorted.map((one) => one.entry.headerDigest),
      sorted.map((one) => one.sourceId),
      sorted.map((one) => one.entry.origin),
      sorted.map((one) => one.entry.transferSyntaxUid),
      sorted.map((one) => one.entry.datasetLength),
      sorted.map((one) => one.entry.receivedAt),
      answer,
      sorted.map((one) => JSON.stringify(one.projection.instance.attributes)),
    ],
  );
  return new Set(rows.map((row) => row.uid + row.wire));
}

function byUid(a: BatchEntry, b: BatchEntry): number {
  const [left, right] = [a.entry.sopInstanceUid, b.entry.sopInstanceUid];
  return left === right ? a.position - b.position : left < right ? -1 : 1;
}

function versionKey(one: BatchEntry): string {
  return one.entry.sopInstanceUid + one.entry.wireDigest;
}

async function readKnown(client: SqlClient, uids: readonly string[]): Promise<Map<string, KnownInstance[]>> {
  const { rows } = await client.query<KnownInstance>(
    `SELECT sop_instance_uid AS uid, encode(wire_digest, 'hex') AS wire, encode(header_digest, 'hex') AS header,
            is_answer AS answer, source, study::text, series::text, held
     FROM instance WHERE sop_instance_uid = ANY($1) ORDER BY sop_instance_uid, id`,
    [uids],
  );
  const known = new Map<string, KnownInstance[]>();
  for (const row of rows) known.set(row.uid, [...(known.get(row.uid) ?? []), row]);
  return known;
}

/** A stored copy of the instance with this wire digest, from earlier packs, if possible in the store; null when all are gone. */
async function findCopy(client: SqlClient, uid: string, wire: string, store: string): Promise<StoredCopy | null> {
  const { rows } = await client.query<StoredCopy>(
    `SELECT p.pack_id AS "packId", e.ordinal, l.store, l.key, e.sop_instance_uid AS "sopInstanceUid",
            encode(e.wire_digest, 'hex') AS "wireDigest", e.dataset_offset::float8 AS "datasetOffset",
            e.dataset_length::float8 AS "datasetLength", e.transfer_syntax_uid AS "transferSyntaxUid",
            p.bytes::float8 AS "packBytes", p.tail_offset::float8 AS "packTailOffset"
     FROM pack_entry e JOIN pack p ON p.id = e.pack JOIN pack_location l ON l.pack = p.id AND l.missing_at IS NULL
     WHERE e.sop_instance_uid = $1 AND e.same_as = decode($2, 'hex')
     ORDER BY (l.store = $3) DESC, (e.wire_digest = e.same_as) DESC, e.pack, e.ordinal LIMIT 1`,
    [uid, wire, store],
  );
  return rows[0] ?? null;
}

/** Decides same or different for the entries whose UID was known before them (docs/architecture/README.md, same and different). */
class Comparer {
  private readonly inBatch = new Map<string, StoredCopy>();

  constructor(
    private readonly client: SqlClient,
    private readonly batch: Batch,
  ) {
    for (const one of batch.entries) {
      const key = versionKey(one);
      if (!this.inBatch.has(key)) this.inBatch.set(key, one.place);
    }
  }

  /** The known instance that the entry is another copy of. */
  async findSame(one: BatchEntry, known: readonly KnownInstance[]): Promise<KnownInstance | undefined> {
    const wireEqual = known.find((candidate) => candidate.wire === one.entry.wireDigest);
    if (wireEqual) return wireEqual;
    for (const candidate of known) {
      if (candidate.header === one.entry.headerDigest && (await this.pixelsEqual(one, candidate))) return candidate;
    }
    return undefined;
  }

  private async pixelsEqual(one: BatchEntry, candidate: KnownInstance): Promise<boolean> {
    const pair = [one.entry.wireDigest, candidate.wire].sort();
    const { rows } = await this.client.query<{ equal: boolean }>(
      "SELECT equal FROM pixel_comparison WHERE wire_a = decode($1, 'hex') AND wire_b = decode($2, 'hex')",
      pair,
    );
    if (rows[0]) return rows[0].equal;
    const stored =
      this.inBatch.get(candidate.uid + candidate.wire) ??
      (await findCopy(this.client, candidate.uid, candidate.wire, one.place.store));
    // no copy left to compare with: never guessed to be the same
    const equal = stored !== null && (await this.batch.comparePixels(one.place, stored));
    if (stored !== null) {
      await this.client.query(
        `INSERT INTO pixel_comparison (wire_a, wire_b, equal) VALUES (decode($1, 'hex'), decode($2, 'hex'), $3)
         ON CONFLICT DO NOTHING`,
        [...pair, equal],
      );
    }
    return equal;
  }
}

async function replaceAnswer(
  client: SqlClient,
  locked: Locked,
  one: BatchEntry,
  answer: KnownInstance,
): Promise<Verdict> {
  await client.query(
    "UPDATE instance SET is_answer = false WHERE sop_instance_uid = $1 AND wire_digest = decode($2, 'hex')",
    [answer.uid, answer.wire],
  );
  await insert(client, locked, [one], true);
  answer.answer = false;
  return { one, outcome: 'answer', sameAs: one.entry.wireDigest, replaced: answer };
}

/** One entry whose UID has an answer already. Transactions come here with all their own answers inserted, in UID order. */
async function decide(
  client: SqlClient,
  locked: Locked,
  comparer: Comparer,
  one: BatchEntry,
  known: KnownInstance[],
): Promise<Verdict> {
  const same = await comparer.findSame(one, known);
  if (same) return { one, outcome: 'copy', sameAs: same.wire };
  const answer = known.find((candidate) => candidate.answer);
  const restates = one.entry.origin === 'fetched' || one.entry.origin === 'migrated';
  // a source that says something new about its own object: a new version, not a conflict
  if (restates && answer?.source === one.sourceId) return replaceAnswer(client, locked, one, answer);
  const inserted = await insert(client, locked, [one], false);
  if (inserted.size === 0) return { one, outcome: 'copy', sameAs: one.entry.wireDigest };
  const verdict: Verdict = { one, outcome: 'kept', sameAs: one.entry.wireDigest };
  return restates || !answer ? verdict : { ...verdict, differsFrom: answer };
}

/** Inserts the instances of a batch, or finds which known ones they are. One verdict per entry, in the order given. */
export async function placeInstances(client: SqlClient, locked: Locked, batch: Batch): Promise<Verdict[]> {
  const firstOfUid = new Map<string, BatchEntry>();
  for (const one of batch.entries)
    if (!firstOfUid.has(one.entry.sopInstanceUid)) firstOfUid.set(one.entry.sopInstanceUid, one);
  const inserted = await insert(client, locked, [...firstOfUid.values()], true);
  const verdicts = new Map<BatchEntry, Verdict>();
  const rest: BatchEntry[] = [];
  for (const one of batch.entries) {
    const isNew = firstOfUid.get(one.entry.sopInstanceUid) === one && inserted.has(versionKey(one));
    if (isNew) verdicts.set(one, { one, outcome: 'answer', sameAs: one.entry.wireDigest });
    else rest.push(one);
  }
  if (rest.length > 0) await decideAll(client, locked, batch, rest, verdicts);
  return batch.entries.map((one) => verdicts.get(one) as Verdict);
}

/** Bytes have come for what only archives had: the held rows take the place of those, and the rest is left to decide. */
async function arrive(
  client: SqlClient,
  locked: Locked,
  rest: BatchEntry[],
  known: Map<string, KnownInstance[]>,
  verdicts: Map<BatchEntry, Verdict>,
): Promise<BatchEntry[]> {
  const arrived = new Map<string, KnownInstance>();
  for (const [uid, ofUid] of known) {
    const answer = ofUid.find((one) => one.answer && !one.held);
    if (answer) arrived.set(uid, answer);
  }
  if (arrived.size === 0) return rest;
  await client.query('DELETE FROM instance WHERE sop_instance_uid = ANY($1) AND NOT held', [[...arrived.keys()]]);
  const firsts = new Map<string, BatchEntry>();
  for (const one of rest) {
    const uid = one.entry.sopInstanceUid;
    if (arrived.has(uid) && !firsts.has(uid)) firsts.set(uid, one);
  }
  await insert(client, locked, [...firsts.values()], true);
  for (const [uid, one] of firsts) {
    verdicts.set(one, { one, outcome: 'answer', sameAs: one.entry.wireDigest, arrived: arrived.get(uid) });
    known.set(uid, [asKnown(one, locked, true)]);
  }
  return rest.filter((one) => firsts.get(one.entry.sopInstanceUid) !== one);
}

async function decideAll(
  client: SqlClient,
  locked: Locked,
  batch: Batch,
  all: BatchEntry[],
  verdicts: Map<BatchEntry, Verdict>,
): Promise<void> {
  const known = await readKnown(client, [...new Set(all.map((one) => one.entry.sopInstanceUid))]);
  const rest = await arrive(client, locked, all, known, verdicts);
  const comparer = new Comparer(client, batch);
  for (const one of [...rest].sort(byUid)) {
    const uid = one.entry.sopInstanceUid;
    const ofUid = known.get(uid) ?? [];
    const verdict = await decide(client, locked, comparer, one, ofUid);
    verdicts.set(one, verdict);
    if (verdict.outcome !== 'copy') known.set(uid, [...ofUid, asKnown(one, locked, verdict.outcome === 'answer')]);
  }
}

function asKnown(one: BatchEntry, locked: Locked, answer: boolean): KnownInstance {
  return {
    uid: one.entry.sopInstanceUid,
    wire: one.entry.wireDigest,
    header: one.entry.headerDigest,
    answer,
    source: one.sourceId,
    study: locked.studies.get(studyKey(one) ?? '')?.id ?? null,
    series: locked.series.get(seriesKey(one) ?? '')?.id ?? null,
    held: true,
  };
}
