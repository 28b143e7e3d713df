import { Injectable } from '@nestjs/common';
import { LATENCY_BUCKETS, MetricsRegistry } from '@archipelago/platform-service';

/** What the catalog measures of its answers; labels are our own names, never values of a query. */
@Injectable()
export class CatalogMetrics {
  private readonly seconds;
  private readonly rows;
  readonly denied;

  constructor(registry: MetricsRegistry) {
    this.seconds = registry.histogram({
      name: 'archipelago_catalog_query_seconds',
      help: 'Time of one page of an answer',
      labelNames: ['query', 'level', 'outcome'],
      buckets: LATENCY_BUCKETS,
    });
    this.rows = registry.counter({
      name: 'archipelago_catalog_query_rows_total',
      help: 'Matches and located instances given',
      labelNames: ['query', 'level'],
    });
    this.denied = registry.counter({
      name: 'archipelago_catalog_denied_studies_total',
      help: 'Studies that retrievals named and rules denied',
    });
  }

  /** Runs one query and notes how long it took, how it ended and how many rows it gave. */
  async observe<T>(
    query: 'search' | 'locate',
    level: string,
    run: () => Promise<T>,
    rows: (reply: T) => number,
  ): Promise<T> {
    const end = this.seconds.startTimer({ query, level });
    try {
      const reply = await run();
      end({ outcome: 'answered' });
      this.rows.inc({ query, level }, rows(reply));
      return reply;
    } catch (error) {
      end({ outcome: (error as { code?: string }).code === 'query-timeout' ? 'timeout' : 'failed' });
      throw error;
    }
  }
}
