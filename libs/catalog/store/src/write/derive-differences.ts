/** What needs a decision among answers of archives. */
import type { SqlClient } from '@archipelago/platform-storage';
import {
  clashingRows,
  contradictions,
  demographicsOf,
  demographicsSubject,
  flagDifferences,
  type Difference,
  type NewRow,
} from './differences';
import { keyBelow } from './batch';
import type { Plan, StudyContent } from './derive-plan';
import type { SourceAnswers } from './derive-read';
import type { Locked, LockedRow } from './levels';

interface Found {
  plan: Plan;
  answers: SourceAnswers;
  locked: Locked;
  /** Names of the sources by id. */
  names: ReadonlyMap<number, string>;
  studyUids: readonly string[];
}

/** Flags differences among the answers of archives; returns how many are new. */
export async function flagAnswerDifferences(client: SqlClient, found: Found): Promise<number> {
  return (
    (await flagDifferences(client, [...demographics(found), ...(await newRowClashes(client, found))])) +
    (await flagContents(client, found))
  );
}

function newRows(rows: ReadonlyMap<string, LockedRow>): Map<string, NewRow> {
  const fresh = [...rows].filter(([, row]) => row.inserted);
  return new Map(fresh.map(([key, row]) => [row.id, { key, incoming: { harvested: true } }]));
}

async function newRowClashes(client: SqlClient, { locked }: Found): Promise<Difference[]> {
  return clashingRows(client, newRows(locked.studies), newRows(locked.series));
}

/** Answers under a known (issuer, PatientID) whose name, birth date or sex contradict what is shown of that patient. */
function demographics({ plan, answers, locked, names }: Found): Difference[] {
  const byPatient = new Map<string, { identity: { issuer: string; patientId: string; scope: string }; key: string }>();
  for (const [key, { identity }] of plan.patients)
    if (identity.scope === '') byPatient.set(`${identity.issuer}\u0000${identity.patientId}`, { identity, key });
  const differences: Difference[] = [];
  for (const answer of answers.studies) {
    const patient = byPatient.get(`${answer.issuer}\u0000${answer.patientId}`);
    const row = patient && locked.patients.get(patient.key);
    if (!row || row.inserted || Object.keys(row.attributes).length === 0) continue;
    const incoming = demographicsOf(answer.attributes);
    const attributes = contradictions(demographicsOf(row.attributes), incoming);
    if (attributes.length === 0) continue;
    differences.push({
      kind: 'patient-with-other-demographics',
      subject: demographicsSubject(patient.identity, incoming),
      evidence: {
        patient: row.id,
        study: locked.studies.get(keyBelow(answer.uid, patient.key))?.id,
        attributes,
        incoming: { source: names.get(answer.source) },
      },
    });
  }
  return differences;
}

/** Both said, and not the same. */
function unlike(a: number | undefined, b: number | undefined): boolean {
  return a !== undefined && b !== undefined && a !== b;
}

function differ(a: StudyContent, b: StudyContent): boolean {
  if (unlike(a.instances, b.instances) || unlike(a.series, b.series)) return true;
  const [left, right] = [a.uids, b.uids];
  return left !== null && right !== null && [...left].some((uid) => !right.has(uid));
}

const OPEN = `
  INSERT INTO difference AS d (kind, subject, evidence)
  SELECT 'archives-differ', k.subject, k.evidence::jsonb FROM unnest($1::text[], $2::text[]) k(subject, evidence) ORDER BY k.subject
  ON CONFLICT (kind, subject) DO UPDATE SET state = 'open', evidence = excluded.evidence, decided_at = NULL, decided_by = NULL, decision = NULL
    WHERE d.state = 'decided' AND d.decided_by = 'catalog'
  RETURNING id`;

/** Closed by the catalog itself: a person's decision stays. */
const CLOSE = `
  UPDATE difference SET state = 'decided', decided_at = now(), decided_by = 'catalog', decision = '{"outcome": "archives agree"}'
  WHERE kind = 'archives-differ' AND state = 'open' AND evidence ->> 'study' = ANY($1) AND subject <> ALL($2)`;

/**
 * Two archives that say different things of what one study holds: what is shown is the union, and it is flagged. One of
 * them may only be behind the other; when they agree again, the flag is closed.
 */
async function flagContents(client: SqlClient, { plan, names, studyUids }: Found): Promise<number> {
  const found = new Map<string, object>();
  for (const [uid, contents] of plan.contents) {
    for (const [i, a] of contents.entries()) {
      for (const b of contents.slice(i + 1)) {
        if (!differ(a, b)) continue;
        const pair = [a, b]
          .map(({ source, series, instances }) => ({ archive: names.get(source) ?? '', series, instances }))
          .sort((left, right) => (left.archive < right.archive ? -1 : 1));
        found.set([uid, ...pair.map((one) => one.archive)].join('|'), { study: uid, archives: pair });
      }
    }
  }
  await client.query(CLOSE, [studyUids, [...found.keys()]]);
  if (found.size === 0) return 0;
  const { rows } = await client.query(OPEN, [[...found.keys()], [...found.values()].map((one) => JSON.stringify(one))]);
  return rows.length;
}
