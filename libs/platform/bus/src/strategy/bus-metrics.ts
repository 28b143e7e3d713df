import { Injectable } from '@nestjs/common';
import { MetricsRegistry } from '@archipelago/platform-service';

/** Metrics of the bus; names begin with `archipelago_bus_`. */
@Injectable()
export class BusMetrics {
  private readonly messages;
  private readonly seconds;
  private readonly queries;
  private readonly querySeconds;
  private readonly lag;

  constructor(registry: MetricsRegistry) {
    this.messages = registry.counter({
      name: 'archipelago_bus_messages_total',
      help: 'Messages by consumer and outcome',
      labelNames: ['consumer', 'outcome'],
    });
    this.seconds = registry.histogram({
      name: 'archipelago_bus_handle_seconds',
      help: 'Time to handle one message',
      labelNames: ['consumer'],
    });
    this.queries = registry.counter({
      name: 'archipelago_bus_queries_total',
      help: 'Queries answered, by outcome',
      labelNames: ['contract', 'outcome'],
    });
    this.querySeconds = registry.histogram({
      name: 'archipelago_bus_query_seconds',
      help: 'Time to answer one query',
      labelNames: ['contract'],
    });
    this.lag = registry.gauge({
      name: 'archipelago_bus_consumer_lag',
      help: 'Messages not yet acknowledged',
      labelNames: ['consumer'],
    });
  }

  handled(consumer: string, outcome: string, seconds: number): void {
    this.messages.inc({ consumer, outcome });
    this.seconds.observe({ consumer }, seconds);
  }

  answered(contract: string, outcome: string, seconds: number): void {
    this.queries.inc({ contract, outcome });
    this.querySeconds.observe({ contract }, seconds);
  }

  lagOf(consumer: string, messages: number): void {
    this.lag.set({ consumer }, messages);
  }
}
