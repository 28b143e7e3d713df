/** InstanceAvailability (PS3.3 C.4.23.1.1) of what an answer shows: of several instances that of the least available. */
import type { CatalogLevel } from '@archipelago/catalog-model';
import type { ArchiveState } from './archives';
import type { QueryRunner } from './runner';

/** `NEARLINE`: an archive has it, `OFFLINE`: and none of those can be reached. */
export type Availability = 'ONLINE' | 'NEARLINE' | 'OFFLINE';

interface Found {
  id: string;
  /** All that is shown is held. */
  held: boolean;
  /** Archives that said they have it. */
  archives: string[];
}

const SOURCES = (rows: string): string =>
  `ARRAY(SELECT DISTINCT n.name FROM (${rows}) t JOIN source n ON n.id = t.source ORDER BY 1)`;

const QUERIES: Record<'STUDY' | 'SERIES' | 'IMAGE', string> = {
  STUDY: `
    SELECT s.id::text, s.instances > 0 AND s.instances <= (SELECT count(*) FROM study b JOIN series m ON m.study = b.id JOIN instance i ON i.series = m.id AND i.is_answer AND i.held
        WHERE b.study_instance_uid = s.study_instance_uid AND b.person = s.person AND NOT b.is_group) AS held,
      ${SOURCES("SELECT source FROM source_study o WHERE o.study_instance_uid = s.study_instance_uid AND NOT o.held AND o.state = 'present'")} AS archives
    FROM study s WHERE s.id = ANY($1::bigint[])`,
  SERIES: `
    SELECT x.id::text, x.instances > 0 AND x.instances <= (SELECT count(*) FROM series m JOIN instance i ON i.series = m.id AND i.is_answer AND i.held
        WHERE coalesce(m.grouped, m.id) = x.id) AS held,
      ${SOURCES(`SELECT source FROM source_series o WHERE o.series_instance_uid = x.series_instance_uid AND NOT o.held AND o.state = 'present'
        UNION SELECT o.source FROM series m JOIN instance i ON i.series = m.id JOIN source_instance o ON o.sop_instance_uid = i.sop_instance_uid AND o.state = 'present'
          WHERE coalesce(m.grouped, m.id) = x.id AND NOT i.held`)} AS archives
    FROM series x WHERE x.id = ANY($1::bigint[])`,
  IMAGE: `
    SELECT i.sop_instance_uid AS id, i.held, ${SOURCES("SELECT source FROM source_instance o WHERE o.sop_instance_uid = i.sop_instance_uid AND o.state = 'present'")} AS archives
    FROM instance i WHERE i.sop_instance_uid = ANY($1::text[]) AND i.is_answer`,
};

/**
 * @param ids of the rows: surrogate keys of studies or series, UIDs of instances
 * @returns by the same ids; patients have none
 */
export async function availability(
  runner: QueryRunner,
  level: CatalogLevel,
  ids: readonly string[],
  archives: readonly ArchiveState[],
): Promise<Map<string, Availability>> {
  // without archives everything is held
  if (ids.length === 0 || archives.length === 0 || level === 'PATIENT') return new Map();
  const reachable = new Set(archives.filter((one) => one.reachable).map((one) => one.name));
  const rows = await runner.read((run) => run<Found>(QUERIES[level], [ids]));
  return new Map(
    rows.map(({ id, held, archives: having }) => [
      id,
      held ? 'ONLINE' : having.some((name) => reachable.has(name)) ? 'NEARLINE' : 'OFFLINE',
    ]),
  );
}
