import { Injectable } from '@nestjs/common';
import { MetricsRegistry } from '@archipelago/platform-service';

/** Metrics of the keeper. Gauges are set by the replica that holds the lease. */
@Injectable()
export class KeeperMetrics {
  readonly all;

  constructor(registry: MetricsRegistry) {
    this.all = {
      bytes: registry.gauge({
        name: 'archipelago_cache_bytes',
        help: 'Bytes of fetched packs in the object store, and of those that could not be evicted.',
        labelNames: ['kind'],
      }),
      budget: registry.gauge({
        name: 'archipelago_cache_budget_bytes',
        help: 'Bytes that fetched packs may take; no value: no budget, nothing is evicted.',
      }),
      studies: registry.gauge({ name: 'archipelago_cache_studies', help: 'Studies with fetched packs.' }),
      accesses: registry.counter({
        name: 'archipelago_cache_accesses_total',
        help: 'Retrievals told to the policy: the study was cached, was fetched, or is our own.',
        labelNames: ['outcome'],
      }),
      evictions: registry.counter({
        name: 'archipelago_cache_evictions_total',
        help: 'Packs that were deleted, and studies of which something had to stay.',
        labelNames: ['result'],
      }),
      evictedBytes: registry.counter({
        name: 'archipelago_cache_evicted_bytes_total',
        help: 'Bytes of the packs that were deleted.',
      }),
      decisionSeconds: registry.histogram({
        name: 'archipelago_cache_decision_seconds',
        help: 'What the policy takes for one access.',
        buckets: [0.00001, 0.0001, 0.001, 0.01, 0.1, 1],
      }),
    };
  }
}
