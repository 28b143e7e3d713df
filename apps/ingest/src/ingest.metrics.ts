import { Injectable } from '@nestjs/common';
import type { IndexPackResult } from '@archipelago/catalog-store';
import { MetricsRegistry } from '@archipelago/platform-service';
import { IngestRepository } from './ingest.repository';

@Injectable()
export class IngestMetrics {
  readonly seconds;
  readonly phase;
  readonly commitSeconds;
  readonly answers;
  readonly instances;
  readonly sweep;
  readonly quarantined;
  readonly evictions;
  readonly ruleFailures;
  readonly rulesWaiting;

  constructor(
    private readonly registry: MetricsRegistry,
    repository: IngestRepository,
  ) {
    this.seconds = registry.histogram({
      name: 'archipelago_ingest_pack_seconds',
      help: 'From message to commit, per pack',
    });
    this.phase = registry.histogram({
      name: 'archipelago_ingest_phase_seconds',
      help: 'Parts of it: read (the tail from the store), parse (headers), sql (all else)',
      labelNames: ['phase'],
    });
    this.commitSeconds = registry.histogram({
      name: 'archipelago_ingest_delay_seconds',
      help: 'From sealing a pack to its commit',
    });
    this.answers = registry.counter({
      name: 'archipelago_ingest_answers_total',
      help: 'Answers to announcements',
      labelNames: ['outcome'],
    });
    this.instances = registry.counter({
      name: 'archipelago_ingest_instances_total',
      help: 'Instances by what became of them',
      labelNames: ['result'],
    });
    this.sweep = registry.counter({
      name: 'archipelago_ingest_sweep_packs_total',
      help: 'Packs looked at by sweeps',
      labelNames: ['result'],
    });
    this.evictions = registry.counter({
      name: 'archipelago_ingest_evicted_packs_total',
      help: 'Cached packs asked to go: evicted, or kept because something in them is needed',
      labelNames: ['result'],
    });
    this.ruleFailures = registry.counter({
      name: 'archipelago_rules_failures_total',
      help: 'Rows on which a rule failed and did not act',
      labelNames: ['rule'],
    });
    this.rulesWaiting = registry.gauge({
      name: 'archipelago_rules_studies_waiting',
      help: 'Studies that have not been brought to the rule set in force',
    });
    const quarantined = registry.gauge({
      name: 'archipelago_ingest_quarantined_packs',
      help: 'Packs that could not be read: above 0 is an alarm',
      async collect() {
        try {
          quarantined.set(await repository.quarantinedCount());
        } catch {
          // the database is away: the last known value stays
        }
      },
    });
    this.quarantined = quarantined;
  }

  beforeScrape(collect: () => Promise<void>): void {
    this.registry.beforeScrape(collect);
  }

  /** @param times seconds: of all, and of reading the tail */
  indexed(result: IndexPackResult, times: { all: number; read: number }, sealedAt: string): void {
    this.seconds.observe(times.all);
    this.phase.observe({ phase: 'read' }, times.read);
    this.phase.observe({ phase: 'parse' }, result.parseSeconds);
    this.phase.observe({ phase: 'sql' }, Math.max(0, times.all - times.read - result.parseSeconds));
    this.commitSeconds.observe(Math.max(0, (Date.now() - Date.parse(sealedAt)) / 1000));
    this.instances.inc({ result: 'new' }, result.newInstances);
    this.instances.inc({ result: 'duplicate' }, result.duplicates);
    this.instances.inc({ result: 'difference' }, result.differences);
    this.instances.inc({ result: 'held-back' }, result.heldBack);
    this.instances.inc({ result: 'archive-answer' }, result.answers);
  }
}
