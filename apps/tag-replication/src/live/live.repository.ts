import { Injectable } from '@nestjs/common';
import type { AnswerItem, ArchiveV1, LiveFindV1 } from '@archipelago/contracts';
import { identitiesAsked, type IdentitiesAsked } from '@archipelago/catalog-store';
import { Database } from '@archipelago/platform-storage';
import { ApplyService } from '../harvest/apply.service';
import { HarvestRepository } from '../harvest/harvest.repository';
import type { StepRow } from '../harvest/rows';
import type { CapKnowledge } from '../harvest/scope';
import { MOST_IDS } from './live-query';

/** Digests that go with one question: what was said before is not written again. */
const MOST_KNOWN = 1_000;

/** SQL of live queries. */
@Injectable()
export class LiveRepository {
  constructor(
    private readonly database: Database,
    private readonly harvest: HarvestRepository,
    private readonly apply: ApplyService,
  ) {}

  identities(request: LiveFindV1): Promise<IdentitiesAsked | undefined> {
    return this.database.withClient((client) => identitiesAsked(client, request, MOST_IDS));
  }

  async cap(archive: string): Promise<CapKnowledge> {
    const { cap, proven, max_seen: maxSeen } = await this.harvest.status(archive);
    return { cap, proven, maxSeen };
  }

  /** What the archive said of these studies, else of these persons' studies, else of its newest ones. */
  async known(archive: string, uids: readonly string[], persons: readonly string[]): Promise<[string, string][]> {
    const which =
      uids.length > 0
        ? 'AND study_uid = ANY ($2::text[])'
        : `AND (cardinality($2::text[]) = 0 OR study_uid IN (
             SELECT s.study_instance_uid FROM study s JOIN patient p ON p.id = s.patient WHERE p.person = ANY ($2)))`;
    const { rows } = await this.database.query<{ study_uid: string; digest: string }>(
      `SELECT study_uid, digest FROM harvest_study
        WHERE archive = $1 AND step IS NULL AND length(digest) = 12 ${which}
        ORDER BY study_date DESC NULLS LAST LIMIT ${MOST_KNOWN}`,
      [archive, uids.length > 0 ? uids : persons],
    );
    return rows.map((row) => [row.study_uid, row.digest]);
  }

  /**
   * Writes down what was new, as a step of the harvest that is read already: the archive's worker reads those studies deeper
   * before all else, and finds out like of any other study when they vanish. No lease is needed: nothing that
   * a worker decided is taken back. Where the archive was removed meanwhile, what it said vanishes again.
   */
  async keep(archive: ArchiveV1, items: readonly AnswerItem[], packs: readonly string[], askedAt: Date): Promise<void> {
    await this.database.withTransaction(async (client) => {
      const { rows } = await client.query(`SELECT FROM archive WHERE name = $1 AND state <> 'removed' FOR SHARE`, [
        archive.name,
      ]);
      if (rows.length === 0) {
        const where = { archive: archive.name, site: archive.site, asOf: new Date() };
        return this.harvest.vanished(
          client,
          where,
          'STUDY',
          items.map((item) => item.uid),
        );
      }
      const what = { archive: archive.name, run: null, kind: 'studies', scope: {}, asked: true } as const;
      const id = await this.harvest.addStep(client, what);
      const step: StepRow = { ...what, id, state: 'read', attempts: 0, rewrite: false, job_id: null, edge_id: null };
      await this.apply.studies(client, step, items, new Map(), askedAt);
      await this.harvest.read(client, step, packs, items.length);
    });
  }

  async now(): Promise<Date> {
    const { rows } = await this.database.query<{ now: Date }>('SELECT clock_timestamp() AS now');
    return rows[0]!.now;
  }

  /** Whether all of these packs are in the catalog. */
  async indexed(packs: readonly string[]): Promise<boolean> {
    const { rows } = await this.database.query<{ n: string }>(
      'SELECT count(*) AS n FROM pack WHERE pack_id = ANY ($1::uuid[])',
      [packs],
    );
    return Number(rows[0]?.n ?? 0) >= packs.length;
  }

  /** Whether some of these studies are not read down to the level (2 series, 3 images), though they are to be. */
  async shallow(archive: string, uids: readonly string[], level: number): Promise<boolean> {
    const { rows } = await this.database.query(
      'SELECT FROM harvest_study WHERE archive = $1 AND study_uid = ANY ($2::text[]) AND level < $3 LIMIT 1',
      [archive, uids, level],
    );
    return rows.length > 0;
  }
}
