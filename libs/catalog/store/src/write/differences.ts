import type { SqlClient } from '@archipelago/platform-storage';
import { createHash } from 'node:crypto';
import { foldName, type KeptAttributes, type LocalIdentity } from '@archipelago/catalog-model';
import { patientKey, seriesKey, studyKey, type BatchEntry } from './batch';
import type { Locked } from './levels';
import type { Verdict } from './instances';

/** What needs a person's decision. Kinds are stable names. */
export type DifferenceKind =
  | 'same-uid-other-content'
  | 'study-with-other-patient'
  | 'patient-with-other-demographics'
  | 'series-with-other-study'
  | 'missing-study-or-series-uid'
  | 'archives-differ'
  | 'resend-of-deleted';

export interface Difference {
  kind: DifferenceKind;
  /** Makes the flag idempotent: what it is about, in UIDs, digests and ids. */
  subject: string;
  evidence: Record<string, unknown>;
}

/** Flags differences; one that is known already is not flagged again. Returns how many are new. */
export async function flagDifferences(client: SqlClient, differences: readonly Difference[]): Promise<number> {
  if (differences.length === 0) return 0;
  const sorted = [...differences].sort((a, b) => (a.kind + a.subject < b.kind + b.subject ? -1 : 1));
  const { rows } = await client.query(
    `INSERT INTO difference (kind, subject, evidence)
     SELECT k.kind, k.subject, k.evidence::jsonb FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY k(kind, subject, evidence, n)
     ORDER BY k.n ON CONFLICT (kind, subject) DO NOTHING RETURNING id`,
    [sorted.map((d) => d.kind), sorted.map((d) => d.subject), sorted.map((d) => JSON.stringify(d.evidence))],
  );
  return rows.length;
}

function entryEvidence(one: BatchEntry): Record<string, unknown> {
  return {
    packId: one.place.packId,
    ordinal: one.entry.ordinal,
    source: one.entry.source,
    wireDigest: one.entry.wireDigest,
  };
}

export function contentDifferences(verdicts: readonly Verdict[], locked: Locked): Difference[] {
  return verdicts.flatMap(({ one, differsFrom }) => {
    if (!differsFrom) return [];
    const { sopInstanceUid, wireDigest } = one.entry;
    const evidence = {
      sopInstanceUid,
      incoming: entryEvidence(one),
      answer: { wireDigest: differsFrom.wire, study: differsFrom.study, series: differsFrom.series },
      incomingStudy: locked.studies.get(studyKey(one) ?? '')?.id ?? null,
    };
    return [{ kind: 'same-uid-other-content' as const, subject: `${sopInstanceUid}|${wireDigest}`, evidence }];
  });
}

export function incompleteDifferences(entries: readonly BatchEntry[]): Difference[] {
  return entries
    .filter((one) => !one.projection.filedAsGiven)
    .map((one) => ({
      kind: 'missing-study-or-series-uid',
      subject: `${one.entry.sopInstanceUid}|${one.entry.wireDigest}`,
      evidence: entryEvidence(one),
    }));
}

export interface Demographics {
  name: string;
  birthDate: string;
  sex: string;
}

export function demographicsOf(attributes: KeptAttributes): Demographics {
  const first = (key: string): string => {
    const value: unknown = attributes[key]?.Value?.[0];
    if (typeof value === 'string') return value.trim();
    const alphabetic = (value as { Alphabetic?: string } | undefined)?.Alphabetic;
    return alphabetic ?? '';
  };
  return { name: foldName(first('00100010'))[0], birthDate: first('00100030'), sex: first('00100040') };
}

/** Which of the three contradict each other: both given and not equal; a name may go on where the other ends. */
export function contradictions(a: Demographics, b: Demographics): (keyof Demographics)[] {
  const goesOn = a.name.startsWith(b.name) || b.name.startsWith(a.name);
  const differ = (key: 'birthDate' | 'sex'): boolean => a[key] !== '' && b[key] !== '' && a[key] !== b[key];
  return [...(goesOn ? [] : ['name' as const]), ...(['birthDate', 'sex'] as const).filter(differ)];
}

/**
 * Objects under a known (issuer, PatientID) whose name, birth date or sex contradict what it had: a correction, a new
 * name, or somebody else's images under this id. Shared ids have an identity per study and do not come here.
 */
export function demographicDifferences(entries: readonly BatchEntry[], locked: Locked): Difference[] {
  const found = new Map<string, { difference: Difference; pack: number }>();
  const base = new Map<string, Demographics>();
  for (const one of entries) {
    const { patient } = one.projection;
    const key = patientKey(one);
    const row = key === null ? undefined : locked.patients.get(key);
    if (!patient || key === null || !row || patient.identity.scope !== '') continue;
    const incoming = demographicsOf(patient.attributes);
    const before = row.before.get(one.pack) ?? row;
    const inPack = `${one.pack} ${key}`;
    const known = base.get(inPack) ?? (before.inserted ? incoming : demographicsOf(before.attributes));
    base.set(inPack, known);
    const attributes = contradictions(known, incoming);
    if (attributes.length === 0) continue;
    const subject = demographicsSubject(patient.identity, incoming);
    // an earlier pack has flagged it
    if ((found.get(subject)?.pack ?? one.pack) !== one.pack) continue;
    const evidence = {
      patient: row.id,
      study: locked.studies.get(studyKey(one) ?? '')?.id,
      attributes,
      incoming: entryEvidence(one),
    };
    found.set(subject, { difference: { kind: 'patient-with-other-demographics', subject, evidence }, pack: one.pack });
  }
  return [...found.values()].map(({ difference }) => difference);
}

export function demographicsSubject(identity: LocalIdentity, { name, birthDate, sex }: Demographics): string {
  const digest = createHash('sha256').update([name, birthDate, sex].join('|')).digest('hex');
  return `${identity.issuer}|${identity.patientId}|${digest.slice(0, 16)}`;
}

/** New study rows whose UID another patient has, and new series rows whose UID another study has. */
export async function identityDifferences(
  client: SqlClient,
  entries: readonly BatchEntry[],
  locked: Locked,
): Promise<Difference[]> {
  const byStudy = new Map<string, NewRow>();
  const bySeries = new Map<string, NewRow>();
  for (const one of entries) {
    const [study, series] = [locked.studies.get(studyKey(one) ?? ''), locked.series.get(seriesKey(one) ?? '')];
    if (study?.inserted === true && !byStudy.has(study.id))
      byStudy.set(study.id, { key: studyKey(one) ?? '', incoming: entryEvidence(one), pack: one.pack });
    if (series?.inserted === true && !bySeries.has(series.id))
      bySeries.set(series.id, { key: seriesKey(one) ?? '', incoming: entryEvidence(one), pack: one.pack });
  }
  return clashingRows(client, byStudy, bySeries);
}

/** A row that was just made: its key, and what brought it. */
export interface NewRow {
  key: string;
  incoming: Record<string, unknown>;
  /** Number of its pack in the batch (default 0). */
  pack?: number;
}

/** Of new rows of studies and series, by id, those whose UID another row has. */
export async function clashingRows(
  client: SqlClient,
  studies: Map<string, NewRow>,
  series: Map<string, NewRow>,
): Promise<Difference[]> {
  return [
    ...(await clashes(client, 'study-with-other-patient', studies, CLASHING_STUDIES)),
    ...(await clashes(client, 'series-with-other-study', series, CLASHING_SERIES)),
  ];
}

const CLASHING_STUDIES = `
  SELECT a.id::text, a.study_instance_uid AS uid, array_agg(b.id::text ORDER BY b.id) AS others
  FROM study a JOIN study b ON b.study_instance_uid = a.study_instance_uid AND b.id <> a.id AND NOT b.is_group WHERE a.id = ANY($1) GROUP BY a.id`;
const CLASHING_SERIES = `
  SELECT a.id::text, a.series_instance_uid AS uid, array_agg(b.id::text ORDER BY b.id) AS others
  FROM series a JOIN series b ON b.series_instance_uid = a.series_instance_uid AND b.id <> a.id AND NOT b.is_group WHERE a.id = ANY($1) GROUP BY a.id`;

async function clashes(
  client: SqlClient,
  kind: DifferenceKind,
  rows: Map<string, NewRow>,
  sql: string,
): Promise<Difference[]> {
  if (rows.size === 0) return [];
  const { rows: found } = await client.query<{ id: string; uid: string; others: string[] }>(sql, [[...rows.keys()]]);
  return found.flatMap((row) => {
    const { key, incoming, pack } = rows.get(row.id) as NewRow;
    // not yet there when the pack of this one took effect
    const others = row.others.filter((id) => (rows.get(id)?.pack ?? 0) <= (pack ?? 0));
    if (others.length === 0) return [];
    return [{ kind, subject: key.replaceAll('\u0000', '|'), evidence: { uid: row.uid, id: row.id, others, incoming } }];
  });
}
