/** How complete the catalog is about each archive: what tag-replication keeps, and what an answer says of it. */
import type { SearchReplyV1 } from '@archipelago/contracts';
import { levelRank, type CatalogLevel, type QueryAttribute, type SearchPlan } from '@archipelago/catalog-model';
import { attributeOf } from './predicate-sql';
import type { SqlClient } from '@archipelago/platform-storage';
import type { QueryRunner } from './runner';

const DEPTHS = ['none', 'study', 'series', 'image', 'full'] as const;
type Depth = (typeof DEPTHS)[number];

export interface ArchiveState {
  name: string;
  /** `unknown`: configured, and nothing has told of it yet. */
  state: 'active' | 'paused' | 'removed' | 'unknown';
  /** How deep it is to be harvested, and how deep all that it has is known. */
  depth: Depth;
  completeTo: Depth;
  reachable: boolean;
  /** All that it had at this time is known at study depth; null: the first load is under way. ISO 8601. */
  asOf: string | null;
}

function depthOf(value: unknown): Depth {
  return DEPTHS.find((one) => one === value) ?? 'none';
}

function stateOf(value: unknown): ArchiveState['state'] {
  return value === 'paused' || value === 'removed' ? value : 'active';
}

/** An archive as the registry has it. */
export interface RegisteredArchive {
  name: string;
  /** Assigning authority of ids that it does not qualify. */
  issuer: string | null;
  /** Whose edges reach it; null: the file's site. */
  site: string | null;
  aeTitle: string | null;
}

/** The archives of tag-replication's registry in the order of the configuration, removed ones too; none where it does not run. */
export async function archiveRegistry(client: SqlClient): Promise<RegisteredArchive[]> {
  const { rows: tables } = await client.query<{ there: boolean }>("SELECT to_regclass('archive') IS NOT NULL AS there");
  if (tables[0]?.there !== true) return [];
  const { rows } = await client.query<RegisteredArchive>(
    'SELECT name, issuer, site, to_jsonb(a) ->> \'ae_title\' AS "aeTitle" FROM archive a ORDER BY position, name',
  );
  return rows;
}

/**
 * The archives as tag-replication keeps them in its table `archive_status`, and those of the configuration that it does not
 * have (it may not run here). In the order of its registry, then of the configuration.
 * @throws QueryTimeoutError, TransientError when the database is away
 */
export async function readArchives(runner: QueryRunner, configured: readonly string[] = []): Promise<ArchiveState[]> {
  const rows = await runner.read(async (run) => {
    const [table] = await run<{ there: boolean }>("SELECT to_regclass('archive_status') IS NOT NULL AS there", []);
    if (table?.there !== true) return [];
    return run<{ row: Record<string, unknown> }>(
      'SELECT to_jsonb(t) AS row FROM archive_status t JOIN archive a ON a.name = t.name ORDER BY a.position, a.name',
      [],
    );
  });
  const known = rows.map(({ row }): ArchiveState => {
    const asOf = typeof row['as_of'] === 'string' ? new Date(row['as_of']).toISOString() : null;
    return {
      name: String(row['name']),
      state: stateOf(row['state']),
      depth: depthOf(row['depth']),
      completeTo: depthOf(row['complete_to']),
      reachable: row['reachable'] !== false,
      asOf,
    };
  });
  const missing = configured.filter((name) => known.every((one) => one.name !== name));
  return [
    ...known,
    ...missing.map((name): ArchiveState => ({
      name,
      state: 'unknown',
      depth: 'none',
      completeTo: 'none',
      reachable: true,
      asOf: null,
    })),
  ].filter((one) => one.state !== 'removed');
}

const NEEDED: Record<CatalogLevel, Depth> = { PATIENT: 'study', STUDY: 'study', SERIES: 'series', IMAGE: 'image' };
const rank = (depth: Depth): number => DEPTHS.indexOf(depth);

/** The deepest level that the query looks at: its own, and those of relational keys below it. */
function deepest(plan: SearchPlan): CatalogLevel {
  const levels = [plan.level, ...plan.predicates.map((one) => attributeOf(one).level)];
  return levels.reduce((a, b) => (levelRank(b) > levelRank(a) ? b : a));
}

function missingState(archive: ArchiveState, needed: Depth): string | null {
  if (archive.state === 'unknown') return 'not harvested';
  if (!archive.reachable) return 'unreachable';
  if (archive.state === 'paused') return 'paused';
  if (archive.asOf !== null && rank(archive.completeTo) >= rank(needed)) return null;
  if (archive.depth === 'none') return 'not harvested';
  return rank(archive.depth) >= rank(needed) ? 'harvesting' : `${archive.depth}-depth`;
}

/** What the answer to this query may miss, one line for each archive that is not wholly known so deep. */
export function noticesOf(archives: readonly ArchiveState[], plan: SearchPlan): SearchReplyV1['notices'] {
  // objects without a patient are not harvested
  const needed = plan.model === 'patientless' ? null : NEEDED[deepest(plan)];
  return archives.flatMap((archive) => {
    const state = needed === null ? 'not harvested' : missingState(archive, needed);
    if (state === null) return [];
    return [{ archive: archive.name, state, ...(archive.asOf === null ? {} : { asOf: archive.asOf }) }];
  });
}

/** Unique keys are supported at any depth (PS3.4 C.2.2.1.1); for the rest the answer has to say so. */
const UNIQUE = new Set(['00100020', '0020000D', '0020000E', '00080018']);

/** Keys of levels that some archive is not known at: of its entities they can neither be matched nor returned. */
export function tooDeep(archives: readonly ArchiveState[], plan: SearchPlan): string[] {
  if (plan.model === 'patientless' || archives.length === 0) return [];
  const known = Math.min(...archives.map((archive) => rank(archive.completeTo)));
  const deep = (one: QueryAttribute): boolean =>
    levelRank(one.level) >= levelRank('SERIES') && rank(NEEDED[one.level]) > known && !UNIQUE.has(one.key);
  return [...plan.predicates.map(attributeOf), ...plan.returns].filter(deep).map((one) => one.key);
}
