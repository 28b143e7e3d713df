import type { SourceVanishedV1 } from '@archipelago/contracts';
import type { SqlClient } from '@archipelago/platform-storage';
import { applyRules } from '../rules/apply-rules';
import { deriveAnswers, type Derived } from './derive';
import { lockStudies } from './levels';
import type { DeriveOptions } from './ranks';

type Level = SourceVanishedV1['level'];

/** Studies in which the source has the series or instances; for studies, these. */
const STUDIES: Record<Level, string> = {
  STUDY:
    'SELECT DISTINCT study_instance_uid AS uid FROM source_study WHERE study_instance_uid = ANY($1) AND source = $2',
  SERIES:
    'SELECT DISTINCT study_instance_uid AS uid FROM source_series WHERE series_instance_uid = ANY($1) AND source = $2',
  IMAGE:
    'SELECT DISTINCT study_instance_uid AS uid FROM source_instance WHERE sop_instance_uid = ANY($1) AND source = $2',
};

/** Instances in series or studies, with those that we hold of what the source had (they are found by what is shown). */
const INSTANCES: Record<Exclude<Level, 'IMAGE'>, string> = {
  STUDY: `SELECT sop_instance_uid FROM source_instance WHERE study_instance_uid = ANY($1) AND NOT held
    UNION SELECT i.sop_instance_uid FROM instance i JOIN study s ON s.id = i.study WHERE s.study_instance_uid = ANY($1)`,
  SERIES: `SELECT sop_instance_uid FROM source_instance WHERE study_instance_uid = ANY($4) AND series_instance_uid = ANY($1) AND NOT held
    UNION SELECT i.sop_instance_uid FROM instance i JOIN series x ON x.id = i.series WHERE x.series_instance_uid = ANY($1)`,
};

const SERIES_OF_STUDIES = `SELECT series_instance_uid FROM source_series WHERE study_instance_uid = ANY($1) AND NOT held
    UNION SELECT x.series_instance_uid FROM series x JOIN study s ON s.id = x.study WHERE s.study_instance_uid = ANY($1)`;

const markVanished = (table: string, condition: string): string =>
  `UPDATE ${table} SET state = 'vanished', as_of = $3 WHERE source = $2 AND state = 'present' AND as_of <= $3 AND ${condition}`;

async function mark(
  client: SqlClient,
  { level, uids, asOf }: SourceVanishedV1,
  source: number,
  studies: readonly string[],
): Promise<void> {
  const values = [uids, source, asOf];
  if (level === 'IMAGE') {
    await client.query(markVanished('source_instance', 'sop_instance_uid = ANY($1)'), values);
    return;
  }
  // the studies are named for both, for the types of the parameters
  await client.query(
    markVanished('source_instance', `sop_instance_uid IN (${INSTANCES[level]}) AND $4::text[] IS NOT NULL`),
    [...values, studies],
  );
  const series = level === 'STUDY' ? `series_instance_uid IN (${SERIES_OF_STUDIES})` : 'series_instance_uid = ANY($1)';
  await client.query(markVanished('source_series', series), values);
  if (level === 'STUDY') await client.query(markVanished('source_study', 'study_instance_uid = ANY($1)'), values);
}

/**
 * Marks as vanished what an archive no longer has, and derives anew what is shown. What was said to be there later than the
 * archive was asked stays; what we hold stays shown.
 */
export async function vanish(
  client: SqlClient,
  command: SourceVanishedV1,
  options: DeriveOptions = {},
): Promise<Derived> {
  const nothing: Derived = { studies: [], patients: [], differences: 0 };
  const { rows: sources } = await client.query<{ id: number }>('SELECT id FROM source WHERE name = $1', [
    command.archive,
  ]);
  const source = sources[0]?.id;
  if (source === undefined) return nothing;
  const { rows } = await client.query<{ uid: string }>(STUDIES[command.level], [command.uids, source]);
  const studies = rows
    .map((row) => row.uid)
    .filter((uid) => uid !== '')
    .sort();
  if (studies.length === 0) return nothing;
  await lockStudies(client, studies);
  await mark(client, command, source, studies);
  const derived = await deriveAnswers(client, studies, options);
  await applyRules(client, { patients: derived.patients, studies: derived.studies.map(({ id }) => id) }, options);
  return derived;
}
