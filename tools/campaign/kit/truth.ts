import { datasetDigest } from '@archipelago/pack';
import type { Centre } from './centre';
import { spoolFiles } from './centre';
import type { Checks } from './checks';
import type { Ledger, Sent } from './ledger';
import { retrieveStudies } from './retrieve';

/** Compares the senders' list with what C-GET brings, byte for byte. */
export async function checkRetrieval(centre: Centre, ledger: Ledger, checks: Checks): Promise<void> {
  const wanted = new Map<string, Sent[]>();
  for (const sent of ledger.all()) wanted.set(sent.sopInstanceUid, [...(wanted.get(sent.sopInstanceUid) ?? []), sent]);
  const lost: string[] = [];
  const different: string[] = [];
  const twice: string[] = [];
  const strange: string[] = [];
  const failed: string[] = [];
  const seen = new Set<string>();
  const acknowledgedStudies = [...new Set(ledger.acknowledged().map((each) => each.studyInstanceUid))];
  await retrieveStudies(centre.system, acknowledgedStudies, (study, got) => {
    if (got.status !== 0) failed.push(`${study} status ${got.status.toString(16)}, ${got.failed} failed`);
    for (const [uid, digests] of got.received) {
      seen.add(uid);
      const contents = wanted.get(uid);
      if (!contents) strange.push(uid);
      else if (!digests.every((digest) => contents.some(({ wireDigest }) => wireDigest === digest)))
        different.push(uid);
      if (digests.length > 1) twice.push(uid);
    }
  });
  for (const [uid, contents] of wanted)
    if (!seen.has(uid) && contents.some((each) => each.acknowledged > 0)) lost.push(uid);
  checks.none('every C-GET ends with success', failed);
  checks.none(`lost, of ${ledger.acknowledged().length} acknowledged`, lost);
  checks.none('different from what was sent', different);
  checks.none('retrieved twice', twice);
  checks.none('retrieved but never sent', strange);
}

interface EntryRow {
  uid: string;
  wire: string;
  key: string;
  offset: string;
  length: string;
}

/** Every acknowledged content lies in the object store, read past our services: its entry's bytes have the sent digest. */
export async function checkStored(centre: Centre, ledger: Ledger, checks: Checks): Promise<void> {
  const rows = await centre.rows<EntryRow>(
    `SELECT e.sop_instance_uid AS uid, encode(e.wire_digest, 'hex') AS wire, l.key, e.dataset_offset::text AS offset,
            e.dataset_length::text AS length
       FROM pack_entry e JOIN pack_location l ON l.pack = e.pack WHERE l.missing_at IS NULL ORDER BY l.key, e.ordinal`,
  );
  const whole = new Set<string>();
  const damaged: string[] = [];
  for (const [key, entries] of groupBy(rows, (row) => row.key)) {
    const last = entries.reduce((most, row) => Math.max(most, Number(row.offset) + Number(row.length)), 0);
    const bytes = await centre.store.readRange(key, 0, last).catch(() => Buffer.alloc(0));
    for (const row of entries) {
      const dataset = bytes.subarray(Number(row.offset), Number(row.offset) + Number(row.length));
      if (datasetDigest(dataset) === row.wire) whole.add(`${row.uid} ${row.wire}`);
      else damaged.push(`${key} ${row.uid}`);
    }
  }
  checks.none('entries of stored packs that are not whole', damaged);
  const missing = ledger.acknowledged().filter((each) => !whole.has(`${each.sopInstanceUid} ${each.wireDigest}`));
  checks.none(
    'acknowledged contents without a stored copy',
    missing.map((each) => each.sopInstanceUid),
  );
}

/** One answer for a UID, sums that equal a recount, and nothing that waits for a person. */
export async function checkCatalog(
  centre: Centre,
  ledger: Ledger,
  checks: Checks,
  expected: { differences?: number; contents?: number } = {},
): Promise<void> {
  const doubled = await centre.rows(
    'SELECT sop_instance_uid FROM instance WHERE is_answer GROUP BY sop_instance_uid HAVING count(*) > 1',
  );
  checks.none('UIDs with more than one answer', doubled);
  const orphans = await centre.rows(
    `SELECT sop_instance_uid FROM instance i WHERE NOT EXISTS (
       SELECT FROM instance a WHERE a.sop_instance_uid = i.sop_instance_uid AND a.is_answer)`,
  );
  checks.none('UIDs without an answer', orphans);
  const contents = await centre.rows<{ uid: string; wire: string }>(
    "SELECT sop_instance_uid AS uid, encode(wire_digest, 'hex') AS wire FROM instance",
  );
  const sent = new Set(ledger.all().map((each) => `${each.sopInstanceUid} ${each.wireDigest}`));
  const unknown = contents.filter(({ uid, wire }) => !sent.has(`${uid} ${wire}`));
  checks.none('rows of contents that nobody sent', unknown);
  if (expected.contents !== undefined) checks.equal('contents kept', contents.length, expected.contents);
  checks.none('sums that differ from a recount', await centre.wrongSums());
  checks.equal('differences flagged', await centre.count('difference'), expected.differences ?? 0);
  checks.equal('open dead letters', await centre.count("dead_letter WHERE state = 'open'"), 0);
  checks.equal('quarantined packs', await centre.count("quarantined_pack WHERE state <> 'healed'"), 0);
  checks.none(
    'packs in quarantine at the edge',
    spoolFiles(centre.system, 'quarantine').filter((name) => !name.includes('.cut-')),
  );
}

/** Nothing told without having happened, nothing happened without being told. */
export async function checkEvents(centre: Centre, checks: Checks, options: { wiped?: boolean } = {}): Promise<void> {
  const packs = new Set(
    (await centre.rows<{ id: string }>('SELECT pack_id::text AS id FROM pack')).map(({ id }) => id),
  );
  const announced = new Set((await centre.sealedPacks()).map(({ payload }) => String(payload['packId'])));
  checks.none(
    `announced packs (${announced.size}) without effect`,
    [...announced].filter((id) => !packs.has(id)),
  );
  if (!options.wiped) {
    checks.none(
      `indexed packs (${packs.size}) that nobody announced`,
      [...packs].filter((id) => !announced.has(id)),
    );
  }
  const outbox = await centre.rows<{ id: string }>('SELECT id::text FROM outbox');
  const told = new Set((await centre.catalogEvents()).map(({ id }) => id));
  const rows = new Set(outbox.map(({ id }) => id));
  checks.none(
    `outbox rows (${rows.size}) that are not in the stream`,
    [...rows].filter((id) => !told.has(id)),
  );
  checks.none(
    'events in the stream of what was rolled back',
    [...told].filter((id) => !rows.has(id)),
  );
  const [stored] = await centre.rows<{ n: string }>(
    `SELECT coalesce(sum((data::jsonb->'payload'->>'instances')::int), 0)::text AS n
       FROM outbox WHERE subject LIKE 'evt.catalog.instance.stored.v1.%'`,
  );
  checks.equal(
    'instances told of, against answers in the catalog',
    Number(stored?.n),
    await centre.count('instance WHERE is_answer'),
  );
  const stale = await centre.rows(
    `SELECT s.id FROM study s WHERE s.revision > coalesce((
        SELECT max((o.data::jsonb->'payload'->>'revision')::bigint) FROM outbox o
         WHERE o.subject LIKE 'evt.catalog.study.updated.v1.%' AND o.data::jsonb->'payload'->>'studyId' = s.id::text), -1)`,
  );
  checks.none('studies whose last revision was not told', stale);
}

export async function checkAll(centre: Centre, ledger: Ledger, checks: Checks): Promise<void> {
  await checkRetrieval(centre, ledger, checks);
  await checkStored(centre, ledger, checks);
  await checkCatalog(centre, ledger, checks);
  await checkEvents(centre, checks);
}

function groupBy<T>(rows: readonly T[], key: (row: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const row of rows) {
    const group = groups.get(key(row));
    if (group) group.push(row);
    else groups.set(key(row), [row]);
  }
  return groups;
}
