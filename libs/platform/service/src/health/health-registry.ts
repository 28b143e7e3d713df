import { Injectable } from '@nestjs/common';

export interface ComponentHealth {
  status: 'up' | 'degraded' | 'down';
  /** Why it is not up, in words without patient data. */
  reason?: string;
}

export interface HealthReport {
  ready: boolean;
  components: (ComponentHealth & { name: string; critical: boolean })[];
}

export type HealthCheck = () => ComponentHealth | Promise<ComponentHealth>;

/** A check that takes longer counts as down: readiness must answer while its dependencies hang. */
const CHECK_TIMEOUT_MS = 2000;

/** Components of this process, each with its own check. A critical one that is down makes the process not ready. */
@Injectable()
export class HealthRegistry {
  private readonly checks = new Map<string, { check: HealthCheck; critical: boolean }>();
  private stoppingReason: string | undefined;

  register(name: string, check: HealthCheck, options: { critical?: boolean } = {}): void {
    this.checks.set(name, { check, critical: options.critical ?? true });
  }

  unregister(name: string): void {
    this.checks.delete(name);
  }

  /** From now on not ready: load balancers look away while open work is finished. */
  markStopping(reason = 'stopping'): void {
    this.stoppingReason = reason;
  }

  async report(): Promise<HealthReport> {
    const components = await Promise.all(
      [...this.checks].map(async ([name, { check, critical }]) => ({ name, critical, ...(await this.run(check)) })),
    );
    if (this.stoppingReason !== undefined) {
      components.push({ name: 'process', critical: true, status: 'down', reason: this.stoppingReason });
    }
    return { ready: components.every((c) => !c.critical || c.status !== 'down'), components };
  }

  private async run(check: HealthCheck): Promise<ComponentHealth> {
    let timer: NodeJS.Timeout | undefined;
    try {
      const late = new Promise<ComponentHealth>((resolve) => {
        timer = setTimeout(
          () => resolve({ status: 'down', reason: 'the check did not answer in time' }),
          CHECK_TIMEOUT_MS,
        );
      });
      return await Promise.race([Promise.resolve().then(check), late]);
    } catch (error) {
      return { status: 'down', reason: error instanceof Error ? error.message : 'the check failed' };
    } finally {
      clearTimeout(timer);
    }
  }
}
