import { setImmediate } from 'node:timers/promises';
import type { PackSealedV1 } from '@archipelago/contracts';
import { DEFAULT_ATTRIBUTES, projectInstance, SharedLevels } from '@archipelago/catalog-model';
import type { SqlClient } from '@archipelago/platform-storage';
import { batchEntry, type BatchEntry } from './batch';
import { flagDifferences } from './differences';
import type { IndexPackInput, IndexPackResult, StoredCopy } from './index-pack.types';
import { present } from './present';
import { insertPackEntries, insertSourceRows, sourceIds } from './source-rows';
import { lockAnswers, presentAnswers, readPackAnswers } from './present-answers';
import type { UpdatedStudy } from './sums';
import { findTombstoned, namedByObject, resendDifferences } from './tombstones';
import type { PackEntry } from '@archipelago/pack';

const NOTHING: IndexPackResult = {
  already: true,
  newInstances: 0,
  duplicates: 0,
  differences: 0,
  heldBack: 0,
  studies: [],
  answers: 0,
  updated: [],
  patients: [],
  parseSeconds: 0,
};

/** The pack's row and place. Null id: the pack was indexed before; a further place is recorded all the same. */
async function recordPack(client: SqlClient, input: IndexPackInput): Promise<string | null> {
  const { announcement: a, index } = input;
  const { rows } = await client.query<{ id: string }>(
    `INSERT INTO pack (pack_id, edge_id, site, bytes, tail_offset, entries, sha256, created_at, sealed_at)
     VALUES ($1, $2, $3, $4, $5, $6, decode($7, 'hex'), $8, $9) ON CONFLICT (pack_id) DO NOTHING RETURNING id::text`,
    [a.packId, a.edgeId, a.site, a.bytes, a.tailOffset, a.entries, a.sha256, index.createdAt, a.sealedAt],
  );
  await recordPackLocation(client, a, input.tier);
  return rows[0]?.id ?? null;
}

/** Says that a pack lies in a store, verified now. */
export async function recordPackLocation(client: SqlClient, a: PackSealedV1, tier = 'hot'): Promise<void> {
  await client.query(
    `INSERT INTO pack_location (pack, store, key, site, tier, verified_at)
     SELECT id, $2, $3, $4, $5, now() FROM pack WHERE pack_id = $1
     ON CONFLICT (pack, store) DO UPDATE SET key = excluded.key, verified_at = now(), missing_at = NULL`,
    [a.packId, a.store, a.key, a.site, tier],
  );
}

export function placeOf(a: PackSealedV1, entry: PackEntry): StoredCopy {
  const { ordinal, sopInstanceUid, wireDigest, datasetOffset, datasetLength, transferSyntaxUid } = entry;
  return {
    packId: a.packId,
    ordinal,
    store: a.store,
    key: a.key,
    sopInstanceUid,
    wireDigest,
    datasetOffset,
    datasetLength,
    transferSyntaxUid,
    packBytes: a.bytes,
    packTailOffset: a.tailOffset,
  };
}

/** Headers projected in one go (some 5 ms): between, the process answers queries. */
const AT_A_TIME = 64;

/** The entries of a pack with what their headers say. */
export async function projectPack(
  client: SqlClient,
  input: IndexPackInput,
  entries: readonly PackEntry[],
): Promise<BatchEntry[]> {
  const sources = await sourceIds(
    client,
    entries.map((entry) => entry.source),
  );
  const attributes = input.attributes ?? DEFAULT_ATTRIBUTES;
  const levels = new SharedLevels(attributes);
  const batch: BatchEntry[] = [];
  for (const entry of entries) {
    const defaultIssuer = input.defaultIssuer?.(entry);
    const projection = projectInstance(entry, input.header(entry.ordinal), {
      attributes,
      identity: input.identity,
      defaultIssuer,
      levels,
    });
    batch.push(batchEntry(entry, sources.get(entry.source) as number, projection, placeOf(input.announcement, entry)));
    if (batch.length % AT_A_TIME === 0) await setImmediate();
  }
  return batch;
}

/**
 * Indexes one pack inside the caller's transaction (READ COMMITTED). Any number of these may run at once, on conflicting
 * packs too: rows are locked in one order. The same pack again has no effect. Serialization failures and deadlocks with
 * others are the caller's to retry.
 */
export async function indexPack(client: SqlClient, input: IndexPackInput): Promise<IndexPackResult> {
  const pack = await recordPack(client, input);
  if (pack === null) return NOTHING;
  const started = performance.now();
  const objects = input.index.entries.filter((entry) => entry.harvest === undefined);
  const all = await projectPack(client, input, objects);
  const answers = await readPackAnswers(client, input);
  const parseSeconds = (performance.now() - started) / 1000;
  const held = await findTombstoned(client, all, namedByObject);
  const entries = all.filter((one) => !held.has(one));
  // of both kinds in one go, for the order of locks
  const locked = answers.length > 0 ? await lockAnswers(client, answers, all) : [];
  const { verdicts, differences, studies, updated, patients } = await present(client, {
    entries,
    comparePixels: (a, b) => input.comparePixels(a, b),
    options: input,
  });
  const derived = answers.length > 0 ? await presentAnswers(client, pack, input, answers, locked) : null;
  await client.query("UPDATE pack SET indexed_order = nextval('pack_indexed_order') WHERE id = $1", [pack]);
  const sameAs = new Map(verdicts.map((verdict) => [verdict.one.entry.ordinal, verdict.sameAs]));
  const sources = await sourceIds(
    client,
    input.index.entries.map((entry) => entry.source),
  );
  await insertPackEntries(
    client,
    pack,
    input.index.entries.map((entry) => ({ entry, sourceId: sources.get(entry.source) as number })),
    input.index.entries.map((entry) => sameAs.get(entry.ordinal) ?? null),
  );
  await insertSourceRows(client, pack, 'present', entries);
  if (held.size > 0) await insertSourceRows(client, pack, 'deleted', [...held.keys()]);
  const flagged = held.size > 0 ? await flagDifferences(client, resendDifferences(held)) : 0;
  const count = (outcome: string): number => verdicts.filter((verdict) => verdict.outcome === outcome).length;
  return {
    already: false,
    newInstances: count('answer'),
    duplicates: count('copy'),
    differences: differences + flagged + (derived?.differences ?? 0),
    heldBack: held.size,
    studies,
    answers: input.index.entries.length - objects.length,
    updated: latestRevisions([...updated, ...(derived?.studies ?? [])]),
    patients: [...new Set([...patients, ...(derived?.patients ?? [])])],
    parseSeconds,
  };
}

function latestRevisions(studies: readonly UpdatedStudy[]): IndexPackResult['updated'] {
  const latest = new Map(studies.map(({ id, revision }) => [id, revision]));
  return [...latest].map(([studyId, revision]) => ({ studyId, revision }));
}
