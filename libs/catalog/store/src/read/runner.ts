import { createHash } from 'node:crypto';
import type { SqlClient } from '@archipelago/platform-storage';
import { QueryTimeoutError } from '../errors';

/** Where connections come from: `Database` of the platform, or a test's own. */
export interface ClientSource {
  withClient<T>(use: (client: SqlClient) => Promise<T>): Promise<T>;
}

export interface RunnerOptions {
  /** Longest one statement may take (default 4 s): the requester must have a status within 5 s. */
  statementTimeoutMs?: number;
  /** Longest that a query may take with all it waits for, connections too (default 4.5 s). */
  deadlineMs?: number;
}

/** A statement of pg: named ones stay prepared on the connection. */
interface NamedClient {
  query<R>(config: { name?: string; text: string; values: readonly unknown[] }): Promise<{ rows: R[] }>;
}

/** Peers choose the keys of their queries; so many shapes stay prepared, further ones are parsed each time. */
const MOST_PREPARED = 256;
const QUERY_CANCELED = '57014';

function isCanceled(error: unknown): boolean {
  const { code, cause } = (error ?? {}) as { code?: unknown; cause?: { code?: unknown } };
  return code === QUERY_CANCELED || cause?.code === QUERY_CANCELED;
}

/** Runs reading statements with a bound on their time, planned for their values (one plan never fits all of a search's). */
export class QueryRunner {
  private readonly prepared = new Map<string, string>();
  private readonly statementTimeoutMs: number;
  private readonly deadlineMs: number;

  constructor(private readonly source: ClientSource, options: RunnerOptions = {}) {
    this.statementTimeoutMs = options.statementTimeoutMs ?? 4_000;
    this.deadlineMs = options.deadlineMs ?? 4_500;
  }

  /**
   * Runs the function in one read-only transaction with one snapshot.
   * @throws QueryTimeoutError when it takes too long
   */
  async read<T>(work: (query: <R>(text: string, values: readonly unknown[]) => Promise<R[]>) => Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new QueryTimeoutError()), this.deadlineMs);
    });
    const running = this.source.withClient((client) => this.transact(client, work));
    running.catch(() => undefined);
    try {
      return await Promise.race([running, late]);
    } catch (error) {
      throw isCanceled(error) ? new QueryTimeoutError(error) : error;
    } finally {
      clearTimeout(timer);
    }
  }

  private async transact<T>(client: SqlClient, work: (query: <R>(text: string, values: readonly unknown[]) => Promise<R[]>) => Promise<T>): Promise<T> {
    const timeout = Math.max(1, Math.floor(this.statementTimeoutMs));
    await client.query(
      `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = ${timeout}; SET LOCAL plan_cache_mode = force_custom_plan`);
    try {
      const result = await work(async <R>(text: string, values: readonly unknown[]) => {
        const named = client as unknown as NamedClient;
        const name = this.nameOf(text);
        return (await named.query<R>(name === undefined ? { text, values } : { name, text, values })).rows;
      });
      await client.query('COMMIT');
      return result;
    } catch (error) {
      await client.query('ROLLBACK').catch(() => undefined);
      throw error;
    }
  }

  private nameOf(text: string): string | undefined {
    const known = this.prepared.get(text);
    if (known !== undefined || this.prepared.size >= MOST_PREPARED) return known;
    const name = `catalog_${createHash('sha256').update(text).digest('hex').slice(0, 24)}`;
    this.prepared.set(text, name);
    return name;
  }
}
