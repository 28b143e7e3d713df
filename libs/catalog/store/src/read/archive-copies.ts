/** Who has what a retrieval means, beside us: for each instance the archives to ask, and studies whose instances are not known. */
import type { ArchiveState } from './archives';
import type { Run } from './runner';

/** Names of archives in the order to ask: reachable ones first, then as configured (the winner rule's order). */
export function askingOrder(archives: readonly ArchiveState[]): string[] {
  return [...archives].sort((a, b) => Number(b.reachable) - Number(a.reachable)).map((one) => one.name);
}

const ARCHIVES = `
  SELECT o.sop_instance_uid AS uid, array_agg(DISTINCT n.name) AS names
  FROM source_instance o JOIN source n ON n.id = o.source
  WHERE o.sop_instance_uid = ANY($1::text[]) AND o.state = 'present' AND n.name = ANY($2::text[]) GROUP BY o.sop_instance_uid`;

/** Archives that said they have these instances, the best first. What has vanished is left out. */
export async function archivesOf(
  run: Run,
  uids: readonly string[],
  order: readonly string[],
): Promise<Map<string, string[]>> {
  if (order.length === 0 || uids.length === 0) return new Map();
  const rows = await run<{ uid: string; names: string[] }>(ARCHIVES, [uids, order]);
  const place = (name: string): number => order.indexOf(name);
  return new Map(rows.map((row) => [row.uid, row.names.sort((a, b) => place(a) - place(b))]));
}

/**
 * Of the studies, each with the archives that answered for it: those of which not all instances are known that the archive
 * has. Fewer are known (said, or fetched from it) than it claims; or it claims nothing, and was not asked for the instances
 * of the study or of one of its series.
 */
const shallow = (studies: string, names: string): string => `
  WITH answered AS (
    SELECT DISTINCT ON (b.id, t.source) b.id AS study, t.study_instance_uid AS uid, t.source, n.name, (t.attributes #>> '{00201208,Value,0}')::int AS claimed
    FROM (${studies}) s JOIN study b ON b.study_instance_uid = s.study_instance_uid AND b.person = s.person AND NOT b.is_group
    JOIN patient p ON p.id = b.patient
    JOIN source_study t ON t.study_instance_uid = b.study_instance_uid AND t.patient_id = p.patient_id AND t.issuer = p.issuer
      AND NOT t.held AND t.state = 'present' AND t.depth = 'study'
    JOIN source n ON n.id = t.source AND n.name = ANY(${names})
    ORDER BY b.id, t.source, t.as_of DESC, t.version DESC),
  counted AS (
    SELECT a.*, (SELECT count(*) FROM (
        SELECT o.sop_instance_uid FROM source_instance o WHERE o.study_instance_uid = a.uid AND o.source = a.source AND NOT o.held AND o.state = 'present'
        UNION SELECT i.sop_instance_uid FROM series m JOIN instance i ON i.series = m.id AND i.held
          JOIN source_instance o ON o.sop_instance_uid = i.sop_instance_uid AND o.source = a.source AND o.state = 'present' WHERE m.study = a.study) k) AS known,
      EXISTS (SELECT 1 FROM source_instance o WHERE o.study_instance_uid = a.uid AND o.source = a.source AND NOT o.held AND o.state = 'present') AS asked
    FROM answered a)
  SELECT DISTINCT c.name AS archive, c.uid AS "studyInstanceUid" FROM counted c
  WHERE c.claimed IS DISTINCT FROM 0 AND CASE WHEN c.claimed IS NOT NULL THEN c.known < c.claimed
    ELSE NOT c.asked OR EXISTS (SELECT 1 FROM source_series x WHERE x.study_instance_uid = c.uid AND x.source = c.source AND NOT x.held AND x.state = 'present'
      AND x.depth = 'series' AND NOT EXISTS (SELECT 1 FROM source_instance o WHERE o.study_instance_uid = c.uid AND o.source = c.source AND NOT o.held
        AND o.state = 'present' AND o.series_instance_uid = x.series_instance_uid)) END
  ORDER BY 2, 1`;

export interface ShallowStudy {
  archive: string;
  studyInstanceUid: string;
}

/** @param studies a SELECT of `study_instance_uid` and `person` of the shown studies that are meant, with its values */
export async function shallowStudies(
  run: Run,
  studies: { text: string; values: readonly unknown[] },
  order: readonly string[],
): Promise<ShallowStudy[]> {
  if (order.length === 0) return [];
  const values = [...studies.values, order];
  return run<ShallowStudy>(shallow(studies.text, `$${values.length}::text[]`), values);
}
