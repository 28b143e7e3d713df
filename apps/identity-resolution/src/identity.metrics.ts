import { Injectable } from '@nestjs/common';
import { MetricsRegistry } from '@archipelago/platform-service';

/** Metrics of identity resolution. */
@Injectable()
export class IdentityMetrics {
  readonly all;

  constructor(private readonly registry: MetricsRegistry) {
    this.all = {
      decisions: registry.counter({
        name: 'archipelago_identity_decisions_total',
        help: 'Pairs linked, queued for review, or taken back, without a person.',
        labelNames: ['outcome'],
      }),
      reviews: registry.gauge({ name: 'archipelago_identity_reviews_open', help: 'Pairs that wait for a decision.' }),
    };
  }

  beforeScrape(collect: () => Promise<void>): void {
    this.registry.beforeScrape(collect);
  }
}
