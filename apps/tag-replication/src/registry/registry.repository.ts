import { Injectable } from '@nestjs/common';
import type { ArchiveCapabilitiesV1, ArchiveV1 } from '@archipelago/contracts';
import { Database, type SqlClient } from '@archipelago/platform-storage';

export type ArchiveSettings = Omit<ArchiveV1, 'name' | 'state' | 'capabilities' | 'revision'>;

export interface ArchiveRow {
  name: string;
  origin: 'file' | 'command';
  site: string;
  ae_title: string;
  host: string;
  port: number;
  tls: boolean;
  issuer: string | null;
  dicom_web_url: string | null;
  depth: ArchiveV1['depth'];
  fetch_ae_title: string;
  budget: ArchiveV1['budget'];
  state: ArchiveV1['state'];
  capabilities: ArchiveCapabilitiesV1 | null;
  revision: string;
  file_settings: ArchiveSettings | null;
}

export function archiveOf(row: ArchiveRow): ArchiveV1 {
  return {
    name: row.name,
    site: row.site,
    aeTitle: row.ae_title,
    host: row.host,
    port: row.port,
    tls: row.tls,
    issuer: row.issuer ?? undefined,
    dicomWebUrl: row.dicom_web_url ?? undefined,
    depth: row.depth,
    fetchAeTitle: row.fetch_ae_title,
    budget: row.budget,
    state: row.state,
    capabilities: row.capabilities ?? undefined,
    revision: Number(row.revision),
  };
}

/** SQL of the registry: `archive`, and the row of `archive_status` that belongs to each. */
@Injectable()
export class RegistryRepository {
  constructor(private readonly database: Database) {}

  transaction<T>(work: (client: SqlClient) => Promise<T>): Promise<T> {
    return this.database.withTransaction(work);
  }

  /** Removed ones left out, unless asked for by name. In the order of the configuration. */
  async list(name?: string): Promise<ArchiveV1[]> {
    const { rows } = await this.database.query<ArchiveRow>(
      `SELECT * FROM archive WHERE ($1::text IS NULL AND state <> 'removed') OR name = $1 ORDER BY position, name`,
      [name ?? null],
    );
    return rows.map(archiveOf);
  }

  async lock(client: SqlClient, name: string): Promise<ArchiveRow | undefined> {
    const { rows } = await client.query<ArchiveRow>('SELECT * FROM archive WHERE name = $1 FOR UPDATE', [name]);
    return rows[0];
  }

  /** Writes settings and state as given; a new revision each time. */
  async put(
    client: SqlClient,
    name: string,
    settings: ArchiveSettings,
    options: { state: ArchiveV1['state']; origin?: 'file' | 'command'; position?: number; forget?: boolean },
  ): Promise<ArchiveV1> {
    const s = settings;
    const { rows } = await client.query<ArchiveRow>(
      `INSERT INTO archive (name, position, origin, site, ae_title, host, port, tls, issuer, dicom_web_url, depth,
                            fetch_ae_title, budget, state)
       VALUES ($1, coalesce($15::int, (SELECT coalesce(max(position), 0) + 1 FROM archive)), coalesce($2, 'command'), $3, $4,
               $5, $6, $7, $8, $9, $10, $11, $12, $13)
       ON CONFLICT (name) DO UPDATE SET
         position = coalesce($15::int, archive.position), origin = coalesce($2, archive.origin), site = $3, ae_title = $4,
         host = $5, port = $6, tls = $7, issuer = $8, dicom_web_url = $9, depth = $10, fetch_ae_title = $11, budget = $12,
         state = $13, revision = archive.revision + 1, changed_at = clock_timestamp(),
         capabilities = CASE WHEN $14 THEN NULL ELSE archive.capabilities END
       RETURNING *`,
      [
        name,
        options.origin ?? null,
        s.site,
        s.aeTitle,
        s.host,
        s.port,
        s.tls,
        s.issuer ?? null,
        s.dicomWebUrl ?? null,
        s.depth,
        s.fetchAeTitle,
        JSON.stringify(s.budget),
        options.state,
        options.forget ?? false,
        options.position ?? null,
      ],
    );
    const archive = archiveOf(rows[0] as ArchiveRow);
    await client.query(
      `INSERT INTO archive_status (name, site, state, depth) VALUES ($1, $2, $3, $4)
       ON CONFLICT (name) DO UPDATE SET site = $2, state = $3, depth = $4, updated_at = clock_timestamp()`,
      [name, archive.site, archive.state, archive.depth],
    );
    return archive;
  }

  async noteFile(client: SqlClient, name: string, settings: ArchiveSettings): Promise<void> {
    await client.query('UPDATE archive SET file_settings = $2 WHERE name = $1', [name, JSON.stringify(settings)]);
  }

  async capabilities(name: string, capabilities: ArchiveCapabilitiesV1, error: string | undefined): Promise<ArchiveV1> {
    return this.database.withTransaction(async (client) => {
      const { rows } = await client.query<ArchiveRow>(
        `UPDATE archive SET revision = revision + 1,
                -- what it offered when it could last be asked stays known
                capabilities = CASE WHEN $3 OR capabilities IS NULL THEN $2::jsonb
                                    ELSE capabilities || jsonb_build_object('reachable', false) END
          WHERE name = $1 RETURNING *`,
        [name, JSON.stringify(capabilities), capabilities.reachable],
      );
      await this.contact(client, name, error);
      return archiveOf(rows[0] as ArchiveRow);
    });
  }

  /** How the last contact went. */
  async contact(client: SqlClient, name: string, error: string | undefined): Promise<void> {
    await client.query(
      `UPDATE archive_status SET reachable = $2, last_error = coalesce($3, last_error),
              last_error_at = CASE WHEN $3::text IS NULL THEN last_error_at ELSE clock_timestamp() END,
              updated_at = clock_timestamp()
        WHERE name = $1`,
      [name, error === undefined, error ?? null],
    );
  }

  /** A command that the harvester takes up. */
  async want(client: SqlClient, name: string, wanted: Record<string, unknown>): Promise<void> {
    await client.query(
      'UPDATE archive_status SET wanted = wanted || $2::jsonb, updated_at = clock_timestamp() WHERE name = $1',
      [name, JSON.stringify(wanted)],
    );
  }

  /** In addition to those that wait already. */
  async wantStudies(client: SqlClient, name: string, uids: readonly string[]): Promise<void> {
    await client.query(
      `UPDATE archive_status SET updated_at = clock_timestamp(),
              wanted = wanted || jsonb_build_object('studies', coalesce(wanted -> 'studies', '[]'::jsonb) || to_jsonb($2::text[]))
        WHERE name = $1`,
      [name, uids],
    );
  }

  async namesOfFile(client: SqlClient): Promise<string[]> {
    const { rows } = await client.query<{ name: string }>(
      `SELECT name FROM archive WHERE origin = 'file' AND state = 'active'`,
    );
    return rows.map((row) => row.name);
  }
}
