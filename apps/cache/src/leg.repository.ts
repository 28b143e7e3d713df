import { Injectable } from '@nestjs/common';
import type { FetchEndedV1, FetchLegV1 } from '@archipelago/contracts';
import { Database } from '@archipelago/platform-storage';

interface LegRow {
  legId: string;
  archive: string;
  edgeId: string | null;
  url: string | null;
  grant: string | null;
}

export type LegEnd = { outcome: FetchEndedV1['outcome'] | 'lost' | 'refused' } & Partial<
  Pick<FetchEndedV1, 'instances' | 'bytes' | 'milliseconds'>
>;

export type FoundLeg = { legId: string; archive: string; leg?: FetchLegV1 };

const COLUMNS = `leg_id::text AS "legId", archive, edge_id::text AS "edgeId", url, grant_token AS grant`;

/** Seconds in which a fetch that ended well is joined again: the edge keeps it, the catalog may not know it yet. */
const JOINED_AFTER_END = 60;
/** A fetch that says nothing of its end for so long has none: its edge is gone. */
const LOST_AFTER_HOURS = 2;
/** A leg that was begun and got no edge within this time was begun by a replica that died. */
const UNPLACED_AFTER_SECONDS = 20;

@Injectable()
export class LegRepository {
  constructor(private readonly database: Database) {}

  /** A leg that brings one of these targets from one of these archives. */
  async find(targets: readonly string[], archives: readonly string[]): Promise<FoundLeg | undefined> {
    const { rows } = await this.database.query<LegRow>(
      `SELECT ${COLUMNS} FROM fetch_leg
       WHERE target = ANY($1) AND archive = ANY($2)
         AND (ended_at IS NULL AND (edge_id IS NOT NULL OR started_at > clock_timestamp() - make_interval(secs => $4))
              OR outcome = 'complete' AND ended_at > clock_timestamp() - make_interval(secs => $3))
       ORDER BY ended_at IS NULL DESC, started_at DESC LIMIT 1`,
      [targets, archives, JOINED_AFTER_END, UNPLACED_AFTER_SECONDS],
    );
    return rows[0] && found(rows[0]);
  }

  /** Claims the target at the archive. False: another has it. */
  async claim(legId: string, archive: string, target: string, study: string): Promise<boolean> {
    if (await this.insert(legId, archive, target, study)) return true;
    const { rowCount } = await this.database.query(
      `UPDATE fetch_leg SET ended_at = clock_timestamp(), outcome = 'lost'
       WHERE archive = $1 AND target = $2 AND ended_at IS NULL
         AND (edge_id IS NULL AND started_at < clock_timestamp() - make_interval(secs => $3)
              OR started_at < clock_timestamp() - make_interval(hours => $4))`,
      [archive, target, UNPLACED_AFTER_SECONDS, LOST_AFTER_HOURS],
    );
    return (rowCount ?? 0) > 0 && this.insert(legId, archive, target, study);
  }

  private async insert(legId: string, archive: string, target: string, study: string): Promise<boolean> {
    const { rows } = await this.database.query(
      `INSERT INTO fetch_leg (leg_id, archive, target, study) VALUES ($1, $2, $3, $4)
       ON CONFLICT (archive, target) WHERE ended_at IS NULL DO NOTHING RETURNING leg_id`,
      [legId, archive, target, study],
    );
    return rows.length > 0;
  }

  async place(leg: FetchLegV1): Promise<void> {
    await this.database.query('UPDATE fetch_leg SET edge_id = $2, url = $3, grant_token = $4 WHERE leg_id = $1', [
      leg.legId,
      leg.edgeId,
      leg.url,
      leg.grant,
    ]);
  }

  async end(legId: string, how: LegEnd): Promise<void> {
    const { instances = null, bytes = null, milliseconds = null } = how;
    await this.database.query(
      `UPDATE fetch_leg SET ended_at = clock_timestamp(), outcome = $2, instances = $3, bytes = $4, milliseconds = $5, grant_token = CASE WHEN $2 = 'complete' THEN grant_token END
       WHERE leg_id = $1 AND ended_at IS NULL`,
      [legId, how.outcome, instances, bytes, milliseconds],
    );
  }

  /** Legs of the past are kept a day, for whoever looks into them. */
  async forget(): Promise<void> {
    await this.database.query("DELETE FROM fetch_leg WHERE ended_at < clock_timestamp() - interval '1 day'");
  }
}

function found({ legId, archive, edgeId, url, grant }: LegRow): FoundLeg {
  if (edgeId === null || url === null || grant === null) return { legId, archive };
  return { legId, archive, leg: { legId, archive, edgeId, url, grant } };
}
