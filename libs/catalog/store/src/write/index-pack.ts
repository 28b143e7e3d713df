import { setImmediate } from 'node:timers/promises';
import type { PackSealedV1 } from '@archipelago/contracts';
import { DEFAULT_ATTRIBUTES, projectInstance, SharedLevels } from '@archipelago/catalog-model';
import type { SqlClient } from '@archipelago/platform-storage';
import { applyRules } from '../rules/apply-rules';
import type { NewObject } from '../rules/routes';
import { batchEntry, type BatchEntry } from './batch';
import { flagDifferences } from './differences';
import type { IndexPackInput, IndexPackResult, StoredCopy } from './index-pack.types';
import type { Verdict } from './instances';
import { present } from './present';
import { insertPackEntries, insertSourceRows, sourceIds } from './source-rows';
import { lockAnswers, presentAnswers, readPackAnswers } from './present-answers';
import type { UpdatedStudy } from './sums';
import { findTombstoned, namedByObject, resendDifferences } from './tombstones';
import type { PackEntry } from '@archipelago/pack';

const NOTHING: IndexPackResult = {
  already: true,
  newInstances: 0,
  routable: [],
  duplicates: 0,
  differences: 0,
  heldBack: 0,
  studies: [],
  answers: 0,
  updated: [],
  patients: [],
  parseSeconds: 0,
};

/**
 * The packs' rows and places. @returns row ids by pack id, without packs that were indexed before; a further place is
 * recorded of those too.
 */
async function recordPacks(client: SqlClient, inputs: readonly IndexPackInput[]): Promise<Map<string, string>> {
  // by id, everywhere: two who record the same packs never wait for each other
  const sorted = [...inputs].sort((a, b) => (a.announcement.packId < b.announcement.packId ? -1 : 1));
  const said = sorted.map(({ announcement }) => announcement);
  const { rows } = await client.query<{ id: string; packId: string }>(
    `INSERT INTO pack (pack_id, edge_id, site, bytes, tail_offset, entries, sha256, created_at, sealed_at)
     SELECT k.pack_id, k.edge_id, k.site, k.bytes, k.tail_offset, k.entries, decode(k.sha256, 'hex'), k.created_at, k.sealed_at
     FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::bigint[], $6::int[], $7::text[], $8::timestamptz[],
                 $9::timestamptz[]) WITH ORDINALITY
       k(pack_id, edge_id, site, bytes, tail_offset, entries, sha256, created_at, sealed_at, n)
     ORDER BY k.n ON CONFLICT (pack_id) DO NOTHING RETURNING id::text, pack_id::text AS "packId"`,
    [
      said.map((a) => a.packId),
      said.map((a) => a.edgeId),
      said.map((a) => a.site),
      said.map((a) => a.bytes),
      said.map((a) => a.tailOffset),
      said.map((a) => a.entries),
      said.map((a) => a.sha256),
      sorted.map(({ index }) => index.createdAt),
      said.map((a) => a.sealedAt),
    ],
  );
  await recordPlaces(
    client,
    said,
    sorted.map(({ tier }) => tier ?? 'hot'),
  );
  return new Map(rows.map((row) => [row.packId, row.id]));
}

/** Says that a pack lies in a store, verified now. */
export function recordPackLocation(client: SqlClient, a: PackSealedV1, tier = 'hot'): Promise<void> {
  return recordPlaces(client, [a], [tier]);
}

async function recordPlaces(client: SqlClient, said: readonly PackSealedV1[], tiers: string[]): Promise<void> {
  await client.query(
    `INSERT INTO pack_location (pack, store, key, site, tier, verified_at)
     SELECT p.id, k.store, k.key, k.site, k.tier, now()
     FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[]) WITH ORDINALITY k(pack_id, store, key, site, tier, n)
     JOIN pack p ON p.pack_id = k.pack_id ORDER BY k.n
     ON CONFLICT (pack, store) DO UPDATE SET key = excluded.key, verified_at = now(), missing_at = NULL`,
    [said.map((a) => a.packId), said.map((a) => a.store), said.map((a) => a.key), said.map((a) => a.site), tiers],
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
  return projectPacks(client, [{ input, entries }]);
}

async function projectPacks(
  client: SqlClient,
  packs: readonly { input: IndexPackInput; entries: readonly PackEntry[] }[],
): Promise<BatchEntry[]> {
  const sources = await sourceIds(
    client,
    packs.flatMap(({ entries }) => entries.map((entry) => entry.source)),
  );
  const batch: BatchEntry[] = [];
  for (const [pack, { input, entries }] of packs.entries()) {
    const attributes = input.attributes ?? DEFAULT_ATTRIBUTES;
    const levels = new SharedLevels(attributes);
    for (const entry of entries) {
      const defaultIssuer = input.defaultIssuer?.(entry);
      const projection = projectInstance(entry, input.header(entry.ordinal), {
        attributes,
        identity: input.identity,
        defaultIssuer,
        levels,
      });
      const sourceId = sources.get(entry.source) as number;
      const place = placeOf(input.announcement, entry);
      batch.push(batchEntry({ entry, sourceId, projection, place, pack, position: batch.length }));
      if (batch.length % AT_A_TIME === 0) await setImmediate();
    }
  }
  return batch;
}

/**
 * Indexes one pack inside the caller's transaction (READ COMMITTED). Any number of these may run at once, on conflicting
 * packs too: rows are locked in one order. The same pack again has no effect. Serialization failures and deadlocks with
 * others are the caller's to retry.
 */
export async function indexPack(client: SqlClient, input: IndexPackInput): Promise<IndexPackResult> {
  const [result] = await indexPacks(client, [input]);
  return result!;
}

/** What several packs bring cannot be indexed by one transaction: roll back, and index them one by one. */
export class NotTogetherError extends Error {}

/**
 * Indexes several packs by one transaction, with the effect of one after the other in the order given: what most of the
 * statements cost does not depend on how many rows they write. One result per pack; what is flagged is counted with the
 * first that is new.
 * @throws NotTogetherError when one of several packs brings what is tombstoned
 */
export async function indexPacks(client: SqlClient, inputs: readonly IndexPackInput[]): Promise<IndexPackResult[]> {
  const results = new Map<IndexPackInput, IndexPackResult>();
  const distinct = new Map(inputs.map((input) => [input.announcement.packId, input]));
  const ids = await recordPacks(client, [...distinct.values()]);
  const fresh = [...distinct.values()].filter(({ announcement }) => ids.has(announcement.packId));
  if (fresh.length > 0) {
    const packs = fresh.map(({ announcement }) => ids.get(announcement.packId)!);
    const all = await indexFresh(client, fresh, packs);
    fresh.forEach((input, i) => results.set(input, all[i]!));
  }
  return inputs.map((input) => {
    const result = results.get(input) ?? NOTHING;
    // one that stands there twice had its effect once
    results.delete(input);
    return result;
  });
}

async function indexFresh(
  client: SqlClient,
  inputs: readonly IndexPackInput[],
  packs: readonly string[],
): Promise<IndexPackResult[]> {
  const started = performance.now();
  const objects = inputs.map(({ index }) => index.entries.filter((entry) => entry.harvest === undefined));
  const all = await projectPacks(
    client,
    inputs.map((input, i) => ({ input, entries: objects[i]! })),
  );
  // answers of archives go alone: what they mean depends on what is there when their turn comes
  const answers = inputs.length === 1 ? await readPackAnswers(client, inputs[0]!) : [];
  if (inputs.length > 1 && inputs.some(({ index }, i) => index.entries.length !== objects[i]!.length))
    throw new NotTogetherError('a pack of several brings answers of an archive');
  const parseSeconds = (performance.now() - started) / 1000 / inputs.length;
  const held = await findTombstoned(client, all, namedByObject);
  // versions that are shown and versions that are held back: their order would be another
  if (held.size > 0 && inputs.length > 1) throw new NotTogetherError('a pack of several brings what is tombstoned');
  const entries = all.filter((one) => !held.has(one));
  const byId = new Map(inputs.map((input) => [input.announcement.packId, input]));
  // of both kinds in one go, for the order of locks
  const locked = answers.length > 0 ? await lockAnswers(client, answers, all) : [];
  const { verdicts, differences, studies, updated, patients } = await present(client, {
    entries,
    comparePixels: (incoming, stored) => byId.get(incoming.packId)!.comparePixels(incoming, stored),
    options: inputs[0]!,
  });
  const derived = answers.length > 0 ? await presentAnswers(client, packs[0]!, inputs[0]!, answers, locked) : null;
  await giveOrder(client, packs);
  await insertEntriesOf(client, inputs, packs, verdicts);
  await insertSourceRows(client, packs, 'present', entries);
  if (held.size > 0) await insertSourceRows(client, packs, 'deleted', [...held.keys()]);
  const flagged = held.size > 0 ? await flagDifferences(client, resendDifferences(held)) : 0;
  const changed = latestRevisions([...updated, ...(derived?.studies ?? [])]);
  // after the source rows: rules ask where a row's values come from
  await applyRules(
    client,
    {
      patients: [...patients, ...(derived?.patients ?? [])],
      studies: changed.map(({ studyId }) => studyId),
      // answers may change any instance of their studies
      ...(derived ? {} : { instances: entries.map(({ entry }) => entry.sopInstanceUid) }),
    },
    inputs[0]!,
  );
  const told = new Set<string>();
  const routes = (inputs[0]!.rules?.compiled.phases.trigger.length ?? 0) > 0;
  return inputs.map((input, pack) => {
    const count = (outcome: string): number =>
      verdicts.filter((verdict) => verdict.one.pack === pack && verdict.outcome === outcome).length;
    const own = studies.filter((study) => study.pack === pack).map(({ pack: _pack, ...study }) => study);
    // each new revision is told of once: by the first pack that brought something, else by the last
    const mine = changed.filter(
      ({ studyId }) =>
        !told.has(studyId) && (pack === inputs.length - 1 || own.some((study) => study.studyId === studyId)),
    );
    for (const { studyId } of mine) told.add(studyId);
    return {
      already: false,
      newInstances: count('answer'),
      routable: routes ? routableOf(verdicts, pack) : [],
      duplicates: count('copy'),
      differences: pack === 0 ? differences + flagged + (derived?.differences ?? 0) : 0,
      heldBack: held.size,
      studies: own,
      answers: input.index.entries.length - objects[pack]!.length,
      updated: mine,
      // each is told of once, with the first pack
      patients: pack === 0 ? [...new Set([...patients, ...(derived?.patients ?? [])])] : [],
      parseSeconds,
    };
  });
}

/** What is fetched or migrated is there already; what has no study is routed nowhere. */
function routableOf(verdicts: readonly Verdict[], pack: number): NewObject[] {
  return verdicts.flatMap(({ one, outcome }) => {
    const { sopInstanceUid, callingAeTitle, origin } = one.entry;
    const ours = origin === 'acquired' || origin === 'derived';
    return one.pack === pack && outcome === 'answer' && ours && one.keys ? [{ sopInstanceUid, callingAeTitle }] : [];
  });
}

/** Every entry of the packs, answers of archives too. */
async function insertEntriesOf(
  client: SqlClient,
  inputs: readonly IndexPackInput[],
  packs: readonly string[],
  verdicts: readonly Verdict[],
): Promise<void> {
  const entries = inputs.flatMap(({ index }, pack) => index.entries.map((entry) => ({ entry, pack })));
  const sources = await sourceIds(
    client,
    entries.map(({ entry }) => entry.source),
  );
  const sameAs = new Map(verdicts.map(({ one, sameAs: same }) => [one.entry, same]));
  await insertPackEntries(
    client,
    packs,
    entries.map(({ entry, pack }) => ({ entry, pack, sourceId: sources.get(entry.source) as number })),
    entries.map(({ entry }) => sameAs.get(entry) ?? null),
  );
}

/** The order in which packs took effect (ADR 0012): given while the locks are held. */
async function giveOrder(client: SqlClient, packs: readonly string[]): Promise<void> {
  const { rows } = await client.query<{ n: string }>(
    "SELECT nextval('pack_indexed_order')::text AS n FROM generate_series(1, $1::int)",
    [packs.length],
  );
  const numbers = rows.map((row) => Number(row.n)).sort((a, b) => a - b);
  await client.query(
    'UPDATE pack p SET indexed_order = k.n FROM unnest($1::bigint[], $2::bigint[]) k(id, n) WHERE p.id = k.id',
    [packs, numbers],
  );
}

function latestRevisions(studies: readonly UpdatedStudy[]): IndexPackResult['updated'] {
  const latest = new Map(studies.map(({ id, revision }) => [id, revision]));
  return [...latest].map(([studyId, revision]) => ({ studyId, revision }));
}
