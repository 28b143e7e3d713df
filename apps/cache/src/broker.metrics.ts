import { Injectable } from '@nestjs/common';
import { MetricsRegistry } from '@archipelago/platform-service';

/** Metrics of the broker. */
@Injectable()
export class BrokerMetrics {
  readonly all;

  constructor(registry: MetricsRegistry) {
    this.all = {
      ensured: registry.counter({
        name: 'archipelago_cache_fetch_requests_total',
        help: 'Requests to have something fetched: joined a fetch, began one, or no archive could be asked.',
        labelNames: ['outcome'],
      }),
      refused: registry.counter({
        name: 'archipelago_cache_fetch_refused_total',
        help: 'Archives that could not be asked, by reason.',
        labelNames: ['archive', 'code'],
      }),
    };
  }
}
