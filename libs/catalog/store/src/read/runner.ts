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

type Limits = Required<RunnerOptions> & { plans: 'custom' | 'generic' };

export interface Statement {
  text: string;
  values: readonly unknown[];
}

/** The function that `read` gives: runs one statement in the transaction. */
export type Run = <R>(text: string, values: readonly unknown[]) => Promise<R[]>;

/** A statement of pg: named ones stay prepared on the connection. */
interface NamedClient {
  query<R>(config: { name?: string; text: string; values: readonly unknown[] }): Promise<{ rows: R[] }>;
}

/** Peers choose the keys of their queries; so many shapes stay prepared, further ones are parsed each time. */
const MOST_PREPARED = 256;
const QUERY_CANCELED = '57014';
/** Share of the time that the quick way of two may take. */
const QUICK_SHARE = 0.25;
/** With less left than this, the other way is not begun. */
const MOST_HOPELESS_MS = 100;

function isCanceled(error: unknown): boolean {
  const { code, cause } = (error ?? {}) as { code?: unknown; cause?: { code?: unknown } };
  return code === QUERY_CANCELED || cause?.code === QUERY_CANCELED;
}

/** Runs reading statements with a bound on their time. Those of a search are planned for their values: no plan fits all. */
export class QueryRunner {
  private readonly prepared = new Map<string, string>();
  private readonly statementTimeoutMs: number;
  private readonly deadlineMs: number;

  constructor(
    private readonly source: ClientSource,
    options: RunnerOptions = {},
  ) {
    this.statementTimeoutMs = options.statementTimeoutMs ?? 4_000;
    this.deadlineMs = options.deadlineMs ?? 4_500;
  }

  /**
   * Runs the function in one read-only transaction with one snapshot.
   * @throws QueryTimeoutError when it takes too long
   */
  async read<T>(work: (query: Run) => Promise<T>): Promise<T> {
    const { statementTimeoutMs, deadlineMs } = this;
    return this.within({ statementTimeoutMs, deadlineMs, plans: 'custom' }, work);
  }

  /**
   * The same for statements that look up by keys, whatever the values: their plans are made once and kept, as planning them
   * takes longer than running them.
   */
  async lookUp<T>(work: (query: Run) => Promise<T>): Promise<T> {
    const { statementTimeoutMs, deadlineMs } = this;
    return this.within({ statementTimeoutMs, deadlineMs, plans: 'generic' }, work);
  }

  /**
   * One statement, or another that gives the same rows: the first where it is quick; where it is not, the second has the
   * rest of the time. (Walking an index in the order of the answer is quick while matches are many, and hopeless where
   * there are none; finding all matches and sorting them is the other way round. No statistics tell which it will be.)
   * @throws QueryTimeoutError when both take too long
   */
  async readEither<R>(quick: Statement, sure: Statement): Promise<R[]> {
    const started = performance.now();
    try {
      return await this.within(
        {
          statementTimeoutMs: this.statementTimeoutMs * QUICK_SHARE,
          deadlineMs: this.deadlineMs,
          plans: 'custom',
        },
        (run) => run<R>(quick.text, quick.values),
      );
    } catch (error) {
      const deadlineMs = this.deadlineMs - (performance.now() - started);
      if (!(error instanceof QueryTimeoutError) || !isCanceled(error.cause) || deadlineMs < MOST_HOPELESS_MS)
        throw error;
      const statementTimeoutMs = Math.min(this.statementTimeoutMs, deadlineMs);
      return this.within({ statementTimeoutMs, deadlineMs, plans: 'custom' }, (run) => run<R>(sure.text, sure.values));
    }
  }

  private async within<T>(limits: Limits, work: (query: Run) => Promise<T>): Promise<T> {
    const wait = { over: false };
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        wait.over = true;
        reject(new QueryTimeoutError());
      }, limits.deadlineMs);
    });
    const running = this.source.withClient((client) => {
      // a connection that came too late: nobody waits for the answer any more
      if (wait.over) throw new QueryTimeoutError();
      return this.transact(client, limits, work);
    });
    running.catch(() => undefined);
    try {
      return await Promise.race([running, late]);
    } catch (error) {
      throw isCanceled(error) ? new QueryTimeoutError(error) : error;
    } finally {
      clearTimeout(timer);
    }
  }

  private async transact<T>(
    client: SqlClient,
    { statementTimeoutMs, plans }: Limits,
    work: (query: Run) => Promise<T>,
  ): Promise<T> {
    const timeout = Math.max(1, Math.floor(statementTimeoutMs));
    await client.query(
      `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = ${timeout}; SET LOCAL plan_cache_mode = force_${plans}_plan`,
    );
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
