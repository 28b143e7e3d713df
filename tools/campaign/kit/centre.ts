import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect as connectNats, type NatsConnection } from '@nats-io/transport-node';
import { Client } from 'pg';
import { recount } from '@archipelago/catalog-store';
import { InstanceStored, PackSealed, PatientUpdated, StudyUpdated, subjectStem } from '@archipelago/contracts';
import { createObjectStore, type ObjectStore, type SqlClient } from '@archipelago/platform-storage';
import { eventually, type TestSystem } from '@archipelago/testing';

/** The record, read past our services: tables, streams and stored packs. */
export class Centre {
  private constructor(
    readonly system: TestSystem,
    private readonly client: Client,
    private readonly nats: NatsConnection,
    readonly store: ObjectStore,
  ) {}

  static async open(system: TestSystem): Promise<Centre> {
    const client = new Client({ connectionString: system.postgres.url });
    client.on('error', () => undefined);
    await client.connect();
    const nats = await connectNats({ servers: system.nats.url, timeout: 5_000 });
    const store = createObjectStore(system.env['ARCHIPELAGO_OBJECT_STORE'] as string, system.env);
    return new Centre(system, client, nats, store);
  }

  async close(): Promise<void> {
    await this.client.end().catch(() => undefined);
    await this.nats.close().catch(() => undefined);
  }

  async rows<R extends object>(sql: string, values: unknown[] = []): Promise<R[]> {
    return (await this.client.query<R>(sql, values)).rows;
  }

  async count(sql: string, values: unknown[] = []): Promise<number> {
    const [row] = await this.rows<{ n: string }>(`SELECT count(*) AS n FROM ${sql}`, values);
    return Number(row?.n);
  }

  wrongSums(): Promise<unknown[]> {
    return recount(this.client as unknown as SqlClient);
  }

  /** Ids and payloads of what a stream holds of one contract. */
  async messages(stream: string, stem: string): Promise<{ id: string; payload: Record<string, unknown> }[]> {
    const manager = await jetstreamManager(this.nats, { checkAPI: false });
    const info = await manager.streams.info(stream).catch(() => null);
    const found: { id: string; payload: Record<string, unknown> }[] = [];
    if (info === null) return found;
    for (let seq = info.state.first_seq; seq <= info.state.last_seq; seq++) {
      const message = await manager.streams.getMessage(stream, { seq }).catch(() => null);
      if (message === null || !message.subject.startsWith(`${stem}.`)) continue;
      found.push(message.json<{ id: string; payload: Record<string, unknown> }>());
    }
    return found;
  }

  async sealedPacks(): Promise<{ id: string; payload: Record<string, unknown> }[]> {
    return this.messages('EVT_EDGE', subjectStem(PackSealed));
  }

  async catalogEvents(): Promise<{ id: string; payload: Record<string, unknown> }[]> {
    const stems = [InstanceStored, StudyUpdated, PatientUpdated].map(subjectStem);
    return (await Promise.all(stems.map((stem) => this.messages('EVT_CATALOG', stem)))).flat();
  }
}

/** Files in one folder of the edge's spool. */
export function spoolFiles(system: TestSystem, folder: 'open' | 'sealed' | 'confirmed' | 'quarantine'): string[] {
  try {
    return readdirSync(join(system.spoolDir, folder));
  } catch {
    return [];
  }
}

/** Waits until the edge has an answer for every pack and the outbox is empty: nothing moves any more. */
export async function untilQuiet(system: TestSystem, timeoutMs: number): Promise<void> {
  await eventually(
    'every pack answered',
    () => Promise.resolve(spoolFiles(system, 'open').length + spoolFiles(system, 'sealed').length === 0),
    timeoutMs,
    100,
  ).catch((error: unknown) => {
    const left = { open: spoolFiles(system, 'open'), sealed: spoolFiles(system, 'sealed') };
    throw new Error(`${String(error)}; left: ${JSON.stringify(left)}\nedge:\n${system.edge.log(15)}`);
  });
  const centre = await Centre.open(system);
  try {
    await eventually(
      'outbox published',
      async () => (await centre.count('outbox WHERE published_at IS NULL')) === 0,
      30_000,
      100,
    );
  } finally {
    await centre.close();
  }
}
