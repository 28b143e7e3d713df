import { Injectable } from '@nestjs/common';
import { MetricsRegistry } from '@archipelago/platform-service';

/** Metrics of what is fetched from archives. */
@Injectable()
export class FetchMetrics {
  readonly all;

  constructor(registry: MetricsRegistry) {
    this.all = {
      fetches: registry.counter({
        name: 'archipelago_edge_fetches_total',
        help: 'Fetches from archives that have ended.',
        labelNames: ['archive', 'outcome'],
      }),
      instances: registry.counter({
        name: 'archipelago_edge_fetched_instances_total',
        help: 'Instances fetched from archives.',
        labelNames: ['archive'],
      }),
      bytes: registry.counter({
        name: 'archipelago_edge_fetched_bytes_total',
        help: 'Bytes fetched from archives.',
        labelNames: ['archive'],
      }),
      seconds: registry.histogram({
        name: 'archipelago_edge_fetch_seconds',
        help: 'Time from the start of a fetch to its end.',
        labelNames: ['archive'],
      }),
      refused: registry.counter({
        name: 'archipelago_edge_fetch_refused_total',
        help: 'Objects that an archive sent and that were refused.',
        labelNames: ['archive', 'code'],
      }),
    };
  }

  ended(archive: string, outcome: string, instances: number, bytes: number, seconds: number): void {
    this.all.fetches.inc({ archive, outcome });
    this.all.instances.inc({ archive }, instances);
    this.all.bytes.inc({ archive }, bytes);
    this.all.seconds.observe({ archive }, seconds);
  }
}
