import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Logger, TransientError } from '@archipelago/platform-service';
import { Database, type SqlClient } from '@archipelago/platform-storage';

/** Injection token, for those who can do without leases. */
export const LEASES = Symbol('leases');

export interface HeldLease {
  name: string;
  /** Grows with every change of holder: written or checked with what the holder writes, it fences off a late one. */
  token: string;
}

/** Leases as rows, by the database's clock: one holder at a time, wherever the processes run. */
@Injectable()
export class Leases {
  /** This process. */
  readonly holder = randomUUID();

  constructor(
    private readonly database: Database,
    private readonly logger: Logger,
  ) {}

  /** null when another holds it. Taking a lease that this process holds already gives a new token as well. */
  async acquire(name: string, seconds: number): Promise<HeldLease | null> {
    const { rows } = await this.database.query<{ token: string }>(
      `INSERT INTO lease (name, holder, token, expires_at)
       VALUES ($1, $2, 1, clock_timestamp() + make_interval(secs => $3))
       ON CONFLICT (name) DO UPDATE SET holder = $2, token = lease.token + 1,
                                        expires_at = clock_timestamp() + make_interval(secs => $3)
        WHERE lease.expires_at <= clock_timestamp() OR lease.holder = $2
       RETURNING token`,
      [name, this.holder, seconds],
    );
    return rows[0] === undefined ? null : { name, token: rows[0].token };
  }

  /** False when it was lost meanwhile: whatever it guarded must stop. */
  async renew(lease: HeldLease, seconds: number): Promise<boolean> {
    const { rowCount } = await this.database.query(
      `UPDATE lease SET expires_at = clock_timestamp() + make_interval(secs => $3)
        WHERE name = $1 AND token = $2 AND expires_at > clock_timestamp()`,
      [lease.name, lease.token, seconds],
    );
    return rowCount === 1;
  }

  async release(lease: HeldLease): Promise<void> {
    await this.database.query('UPDATE lease SET expires_at = clock_timestamp() WHERE name = $1 AND token = $2', [
      lease.name,
      lease.token,
    ]);
  }

  /**
   * Runs the work while the lease is held, renewing it every quarter of its time; the signal aborts when it is lost.
   * Resolves with undefined, without running, when another holds it.
   */
  async whileHeld<T>(
    name: string,
    seconds: number,
    work: (lease: HeldLease, signal: AbortSignal) => Promise<T>,
  ): Promise<T | undefined> {
    const lease = await this.acquire(name, seconds);
    if (lease === null) return undefined;
    const abort = new AbortController();
    // by our own clock, from before the last successful renewal: never later than the database's idea of the end
    let validUntil = Date.now() + seconds * 1000;
    const timer = setInterval(() => {
      const started = Date.now();
      this.renew(lease, seconds).then(
        (held) => {
          if (held) validUntil = started + seconds * 1000;
          else abort.abort();
        },
        () => undefined,
      );
      if (Date.now() > validUntil - seconds * 300) abort.abort();
    }, seconds * 250);
    try {
      return await work(lease, abort.signal);
    } finally {
      clearInterval(timer);
      await this.release(lease).catch((error: unknown) =>
        this.logger.warn('a lease runs out by itself', { lease: name, err: error }),
      );
    }
  }
}

/**
 * Inside the transaction of a write that a lease guards: holds back a change of holder until the commit.
 * @throws TransientError `lease-lost` when another holder has come since
 */
export async function assertLease(client: SqlClient, lease: HeldLease): Promise<void> {
  const { rows } = await client.query<{ token: string }>('SELECT token FROM lease WHERE name = $1 FOR SHARE', [
    lease.name,
  ]);
  if (rows[0]?.token !== lease.token)
    throw new TransientError('lease-lost', `the lease ${lease.name} has another holder`);
}
