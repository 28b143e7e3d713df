import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { deriveNext, readDerivation } from '@archipelago/catalog-store';
import { PatientUpdated, StudyUpdated } from '@archipelago/contracts';
import { Leases, outboxEvent, OutboxRelay, writeOutbox } from '@archipelago/platform-bus';
import { classifyError, Logger } from '@archipelago/platform-service';
import { Database } from '@archipelago/platform-storage';
import { CatalogRules } from '../catalog-rules';
import { IngestMetrics } from '../ingest.metrics';

/** Rows looked at in one transaction: their studies are locked for as long as that takes. */
const AT_ONCE = 100;
const LOOK_MS = 5_000;
const LEASE_SECONDS = 60;

/** Brings rows that were there to the rule set in force, one process at a time, beside everything else. */
@Injectable()
export class DerivationService implements OnApplicationBootstrap, OnModuleDestroy {
  private timer: NodeJS.Timeout | undefined;
  private readonly stopping = new AbortController();
  private running: Promise<void> = Promise.resolve();
  private busy = false;

  constructor(
    private readonly database: Database,
    private readonly rules: CatalogRules,
    private readonly leases: Leases,
    private readonly relay: OutboxRelay,
    private readonly metrics: IngestMetrics,
    private readonly logger: Logger,
  ) {}

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => this.nudge(), LOOK_MS);
    this.timer.unref();
    this.metrics.beforeScrape(async () => {
      const derivation = await this.database.withClient((client) => readDerivation(client));
      this.metrics.rulesWaiting.set(derivation?.waiting ?? 0);
    });
  }

  async onModuleDestroy(): Promise<void> {
    clearInterval(this.timer);
    this.stopping.abort();
    await this.running;
  }

  /** There may be something to do. */
  nudge(): void {
    if (this.busy || this.stopping.signal.aborted) return;
    this.busy = true;
    this.running = this.work().finally(() => (this.busy = false));
  }

  private async work(): Promise<void> {
    try {
      await this.leases.whileHeld('ingest-rules', LEASE_SECONDS, (_lease, signal) =>
        this.derive(AbortSignal.any([signal, this.stopping.signal])),
      );
    } catch (error) {
      if (this.stopping.signal.aborted) return;
      // the place is kept in the database: it goes on from there
      this.logger.warn('rows could not be brought to the rules in force', {
        code: classifyError(error).code,
        err: error,
      });
    }
  }

  private async derive(signal: AbortSignal): Promise<void> {
    let changed = 0;
    let batches = 0;
    while (!signal.aborted) {
      const batch = await this.batch();
      if (batch === null) break;
      batches++;
      changed += batch.changed;
      if (batch.changed > 0) this.relay.nudge();
      if (batch.done) break;
    }
    if (batches > 0) this.logger.info('rows brought to the rules in force', { count: changed });
  }

  /** null: nothing was left to do. */
  private batch(): Promise<{ changed: number; done: boolean } | null> {
    return this.database.withTransaction(async (client) => {
      await this.rules.refresh(client);
      const waiting = await readDerivation(client);
      if (this.rules.rules === undefined || !waiting || waiting.doneAt !== null) return null;
      const { studies, patients, done } = await deriveNext(client, this.rules, AT_ONCE);
      const { site } = this.rules;
      await writeOutbox(client, [
        ...studies.map(({ id, revision }) =>
          outboxEvent({ site, contract: StudyUpdated, payload: { studyId: id, revision } }),
        ),
        ...patients.map((patientId) => outboxEvent({ site, contract: PatientUpdated, payload: { patientId } })),
      ]);
      return { changed: studies.length + patients.length, done };
    });
  }
}
