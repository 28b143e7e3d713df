import { Injectable } from '@nestjs/common';
import {
  collectDefaultMetrics,
  Counter,
  Gauge,
  Histogram,
  Registry,
  type CounterConfiguration,
  type GaugeConfiguration,
  type HistogramConfiguration,
} from 'prom-client';

/** Latency buckets in seconds, 1 ms to 60 s. */
export const LATENCY_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/**
 * The process's Prometheus registry. `counter`, `gauge` and `histogram` return the metric of that name, made on the
 * first call: modules composed into one process may ask for the same one. Labels are ids of ours, never patient data.
 */
@Injectable()
export class MetricsRegistry {
  readonly registry = new Registry();
  private defaults = false;
  private readonly before: (() => void | Promise<void>)[] = [];

  get contentType(): string {
    return this.registry.contentType;
  }

  counter<T extends string>(configuration: CounterConfiguration<T>): Counter<T> {
    const existing = this.registry.getSingleMetric(configuration.name);
    if (existing) return existing as unknown as Counter<T>;
    return new Counter({ ...configuration, registers: [this.registry] });
  }

  gauge<T extends string>(configuration: GaugeConfiguration<T>): Gauge<T> {
    const existing = this.registry.getSingleMetric(configuration.name);
    if (existing) return existing as unknown as Gauge<T>;
    return new Gauge({ ...configuration, registers: [this.registry] });
  }

  histogram<T extends string>(configuration: HistogramConfiguration<T>): Histogram<T> {
    const existing = this.registry.getSingleMetric(configuration.name);
    if (existing) return existing as unknown as Histogram<T>;
    return new Histogram({ buckets: LATENCY_BUCKETS, ...configuration, registers: [this.registry] });
  }

  /** Node's own metrics (CPU, memory, event loop, handles), once. */
  collectDefaults(): void {
    if (this.defaults) return;
    this.defaults = true;
    collectDefaultMetrics({ register: this.registry });
  }

  /** Called before each scrape, to set gauges to what is so now. One that fails leaves its gauges as they were. */
  beforeScrape(collect: () => void | Promise<void>): void {
    this.before.push(collect);
  }

  async text(): Promise<string> {
    await Promise.allSettled(this.before.map(async (collect) => collect()));
    return this.registry.metrics();
  }
}
