/** `rule_set`: appended, never changed; the last one is in force. */
import type { SqlClient } from '@archipelago/platform-storage';

export interface StoredRuleSet {
  version: number;
  source: string;
  digest: string;
  /** The number in the text. */
  authorVersion: number;
  rules: number;
  origin: 'file' | 'command';
  madeBy: string;
  reason: string;
  madeAt: Date;
}

const COLUMNS = `id AS version, source, digest, author_version AS "authorVersion", rules, origin, made_by AS "madeBy", reason,
  made_at AS "madeAt"`;

/** "rule" in ASCII hex: the lock that a new rule set takes alone, and who writes rows shares. */
const RULE_LOCK = 0x72756c65;

/**
 * For the rest of the transaction no other rule set comes into force: rows that are written under the old one are committed
 * before the new one looks at what is there.
 */
export async function holdRules(client: SqlClient): Promise<void> {
  await client.query('SELECT pg_advisory_xact_lock_shared($1)', [RULE_LOCK]);
}

export async function currentVersion(client: SqlClient): Promise<number> {
  const { rows } = await client.query<{ version: number | null }>('SELECT max(id) AS version FROM rule_set');
  return rows[0]?.version ?? 0;
}

export async function readRuleSet(client: SqlClient, version: number): Promise<StoredRuleSet | undefined> {
  return (await client.query<StoredRuleSet>(`SELECT ${COLUMNS} FROM rule_set WHERE id = $1`, [version])).rows[0];
}

/** The last one that came from the file. */
export async function lastOfFile(client: SqlClient): Promise<StoredRuleSet | undefined> {
  const sql = `SELECT ${COLUMNS} FROM rule_set WHERE origin = 'file' ORDER BY id DESC LIMIT 1`;
  return (await client.query<StoredRuleSet>(sql)).rows[0];
}

/** The newest first, before a version. */
export async function listRuleSets(client: SqlClient, before: number, limit: number): Promise<StoredRuleSet[]> {
  const sql = `SELECT ${COLUMNS} FROM rule_set WHERE id < $1 ORDER BY id DESC LIMIT $2`;
  return (await client.query<StoredRuleSet>(sql, [before, limit])).rows;
}

/**
 * Brings a rule set into force for what is written from now on; `deriveNext` brings what is there to it.
 * `labels`: names of its conditions on studies (`labelsOf`).
 */
export async function appendRuleSet(
  client: SqlClient,
  set: Omit<StoredRuleSet, 'version' | 'madeAt'> & { labels: readonly string[] },
): Promise<StoredRuleSet> {
  await client.query('SELECT pg_advisory_xact_lock($1)', [RULE_LOCK]);
  const { rows } = await client.query<StoredRuleSet>(
    `INSERT INTO rule_set (source, digest, author_version, rules, origin, made_by, reason) VALUES ($1, $2, $3, $4, $5, $6, $7)
     RETURNING ${COLUMNS}`,
    [set.source, set.digest, set.authorVersion, set.rules, set.origin, set.madeBy, set.reason],
  );
  // rows are not tested for the others from now on, so none of them may be relied on when it comes back
  await client.query('DELETE FROM rule_label WHERE label <> ALL($1::text[])', [set.labels]);
  await startDerivation(client, rows[0]!.version);
  return rows[0]!;
}

/** Every row was tested for these conditions: they may be relied on. */
export async function relyOnLabels(client: SqlClient, labels: readonly string[]): Promise<void> {
  if (labels.length === 0) return;
  await client.query('INSERT INTO rule_label (label) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING', [labels]);
}

/** From the start again, with the version in force. */
export async function startDerivation(client: SqlClient, version: number): Promise<void> {
  await client.query(
    `INSERT INTO rule_derivation (version) VALUES ($1) ON CONFLICT (one) DO UPDATE SET version = excluded.version, after_study = 0,
       after_patient = 0, changed = 0, started_at = clock_timestamp(), done_at = NULL`,
    [version],
  );
}

export interface Derivation {
  version: number;
  changed: number;
  startedAt: Date;
  doneAt: Date | null;
  /** Studies that wait; a count, not of one moment. */
  waiting: number;
}

export async function readDerivation(client: SqlClient): Promise<Derivation | undefined> {
  const { rows } = await client.query<Derivation>(
    `SELECT version, changed::float8 AS changed, started_at AS "startedAt", done_at AS "doneAt",
       CASE WHEN done_at IS NULL THEN (SELECT count(*)::int FROM study s WHERE s.id > d.after_study AND NOT s.is_group) ELSE 0 END AS waiting
     FROM rule_derivation d`,
  );
  return rows[0];
}
