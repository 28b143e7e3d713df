import { Injectable } from '@nestjs/common';
import { blockingKeys, Matcher, Model, type ModelJson } from '@archipelago/identity';
import { Database, type SqlClient } from '@archipelago/platform-storage';
import { RecordRepository } from './record.repository';

/** Fewer records teach nothing that is not assumed already. */
const LEAST_TO_LEARN = 500;
const MOST_TO_LEARN = 500_000;
const KEPT_MS = 60_000;
const AT_A_TIME = 1000;

/** The weights by which persons are compared: learnt from the site's own records, without labels. */
@Injectable()
export class ModelService {
  private model: Model | undefined;
  private until = 0;

  constructor(
    private readonly database: Database,
    private readonly records: RecordRepository,
  ) {}

  /** A matcher for one record or batch. */
  async matcher(): Promise<Matcher> {
    if (!this.model || Date.now() > this.until) {
      const { rows } = await this.database.query<{ model: ModelJson }>('SELECT model FROM identity_model WHERE id = 1');
      this.model = rows[0] ? Model.fromJSON(rows[0].model) : Model.learn([]);
      this.until = Date.now() + KEPT_MS;
    }
    return new Matcher(this.model);
  }

  /** Learns anew from all records. @returns how many there were, and whether they were enough */
  async learn(client: SqlClient): Promise<{ records: number; learnt: boolean }> {
    const records = await this.records.all(client, MOST_TO_LEARN);
    if (records.length < LEAST_TO_LEARN) return { records: records.length, learnt: false };
    this.model = Model.learn(records);
    this.until = Date.now() + KEPT_MS;
    await client.query(
      `INSERT INTO identity_model (id, records, model) VALUES (1, $1, $2)
       ON CONFLICT (id) DO UPDATE SET records = excluded.records, model = excluded.model, learnt_at = clock_timestamp()`,
      [records.length, JSON.stringify(this.model)],
    );
    for (let at = 0; at < records.length; at += AT_A_TIME) {
      const matcher = new Matcher(this.model);
      const part = records.slice(at, at + AT_A_TIME);
      await this.records.rekey(
        client,
        part.map((record) => ({ key: record.key, keys: blockingKeys(matcher.normalise(record)) })),
      );
    }
    return { records: records.length, learnt: true };
  }

  /** Whether there are twice as many records as when it was learnt. */
  async isDue(client: SqlClient): Promise<boolean> {
    const { rows } = await client.query<{ records: number }>('SELECT records FROM identity_model WHERE id = 1');
    const now = await this.records.count(client);
    return now >= LEAST_TO_LEARN && now >= 2 * (rows[0]?.records ?? 0);
  }
}
