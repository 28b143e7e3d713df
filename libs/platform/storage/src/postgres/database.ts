import { Injectable } from '@nestjs/common';
import type { Pool, PoolClient } from 'pg';
import type { DataSource } from 'typeorm';
import { TransientError, type ComponentHealth } from '@archipelago/platform-service';
import { unsafeSettings } from './connect';
import { isConnectionLost, RETRY_STATES, sqlState, toDatabaseError } from './database-errors';
import type { SqlClient } from './sql-client';

export interface TransactionOptions {
  isolation?: 'READ COMMITTED' | 'REPEATABLE READ' | 'SERIALIZABLE';
  readOnly?: boolean;
  /** How often the whole function may run again after a serialization failure or deadlock (default 5). */
  retries?: number;
}

/**
 * PostgreSQL for repositories. Every rejection is an ArchipelagoError: `transient` when the server is away, too slow or
 * saw a conflict to the end of the retries; the pool reconnects by itself, and no lost connection ends the process.
 */
@Injectable()
export class Database {
  readonly pool: Pool;

  constructor(readonly dataSource: DataSource) {
    this.pool = (dataSource.driver as unknown as { master: Pool }).master;
  }

  /** One statement in its own transaction. */
  async query<R extends object = Record<string, unknown>>(
    text: string,
    values?: readonly unknown[],
  ): Promise<{ rows: R[]; rowCount: number | null }> {
    return this.withClient((client) => client.query<R>(text, values));
  }

  /** A connection for several statements without a transaction (session locks, cursors). */
  async withClient<T>(use: (client: SqlClient) => Promise<T>): Promise<T> {
    let client: PoolClient;
    try {
      client = await this.pool.connect();
    } catch (error) {
      throw toDatabaseError(error);
    }
    let lost: unknown;
    // while checked out, the pool does not listen: an unheard 'error' event would end the process
    const onError = (error: Error): void => void (lost = error);
    client.on('error', onError);
    try {
      return await use(client as unknown as SqlClient);
    } catch (error) {
      if (isConnectionLost(error)) lost = error;
      throw toDatabaseError(error);
    } finally {
      client.off('error', onError);
      client.release(lost !== undefined);
    }
  }

  /**
   * Runs the function in one transaction, again from its start after a serialization failure or a deadlock: it must have
   * no effects outside the database. When the connection dies during COMMIT the outcome is unknown: a TransientError with
   * code `commit-unknown`; the caller's inbox row tells on the next try.
   */
  async withTransaction<T>(work: (client: SqlClient) => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    const retries = options.retries ?? 5;
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.withClient((client) => this.transact(client, work, options));
      } catch (error) {
        const cause = (error as { cause?: unknown }).cause;
        const again = RETRY_STATES.has(sqlState(cause ?? error) ?? '');
        if (!again || attempt >= retries) throw error;
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 20 * 2 ** attempt));
      }
    }
  }

  private async transact<T>(
    client: SqlClient,
    work: (client: SqlClient) => Promise<T>,
    options: TransactionOptions,
  ): Promise<T> {
    const mode = `${options.isolation ?? 'READ COMMITTED'}${options.readOnly === true ? ' READ ONLY' : ''}`;
    await client.query(`BEGIN ISOLATION LEVEL ${mode}`);
    let result: T;
    try {
      result = await work(client);
    } catch (error) {
      if (!isConnectionLost(error)) await client.query('ROLLBACK');
      throw error;
    }
    try {
      await client.query('COMMIT');
    } catch (error) {
      if (!isConnectionLost(error)) throw error;
      throw new TransientError('commit-unknown', 'the connection was lost while committing', { cause: error });
    }
    return result;
  }

  /** For the health registry: reachable, and still durable (settings can be changed while running). */
  async health(): Promise<ComponentHealth> {
    try {
      const unsafe = await this.withClient((client) => unsafeSettings(client));
      if (unsafe.length > 0) return { status: 'down', reason: `not durable: ${unsafe.join(', ')} off` };
      return { status: 'up' };
    } catch (error) {
      return { status: 'down', reason: toDatabaseError(error).message };
    }
  }
}
