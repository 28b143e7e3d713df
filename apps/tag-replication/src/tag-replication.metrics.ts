import { Injectable } from '@nestjs/common';
import { MetricsRegistry } from '@archipelago/platform-service';

/** Labels: the archives' names in our configuration, and codes of ours. */
@Injectable()
export class TagReplicationMetrics {
  private readonly asOf;
  private readonly reachable;
  private readonly studies;
  private readonly waiting;
  private readonly unlistable;
  private readonly failures;
  private readonly liveQueries;
  private readonly times = new Map<string, Date>();

  constructor(registry: MetricsRegistry) {
    this.asOf = registry.gauge({
      name: 'archipelago_replication_as_of_age_seconds',
      help: 'Age of what is known of an archive at study depth; absent until its first load is over.',
      labelNames: ['archive'],
    });
    this.reachable = registry.gauge({
      name: 'archipelago_replication_reachable',
      help: 'Whether the last contact with an archive went well.',
      labelNames: ['archive'],
    });
    this.studies = registry.gauge({
      name: 'archipelago_replication_studies',
      help: 'Studies that are known of an archive.',
      labelNames: ['archive'],
    });
    this.waiting = registry.gauge({
      name: 'archipelago_replication_waiting_studies',
      help: 'Studies of an archive that wait for a depth of the harvest (series, image, full): the lag.',
      labelNames: ['archive', 'depth'],
    });
    this.unlistable = registry.gauge({
      name: 'archipelago_replication_unlistable_parts',
      help: 'Parts of an archive that cannot be listed whole. Alarm when not 0.',
      labelNames: ['archive'],
    });
    this.failures = registry.counter({
      name: 'archipelago_replication_failures_total',
      help: 'Steps of a harvest that failed and are done again, by code.',
      labelNames: ['archive', 'code'],
    });
    this.liveQueries = registry.counter({
      name: 'archipelago_replication_live_queries_total',
      help: 'Live queries of an archive, by outcome; all but `answered` are told of in the answer.',
      labelNames: ['archive', 'outcome'],
    });
    // an age is never old
    registry.beforeScrape(() => {
      for (const [archive, time] of this.times) this.asOf.set({ archive }, (Date.now() - time.getTime()) / 1000);
    });
  }

  archive(
    archive: string,
    now: {
      asOf: Date | null;
      reachable: boolean | null;
      studies: number;
      waiting: Record<string, number>;
      unlistable: number;
    },
  ): void {
    if (now.asOf) this.times.set(archive, now.asOf);
    this.reachable.set({ archive }, now.reachable === true ? 1 : 0);
    this.studies.set({ archive }, now.studies);
    for (const depth of ['series', 'image', 'full']) this.waiting.set({ archive, depth }, now.waiting[depth] ?? 0);
    this.unlistable.set({ archive }, now.unlistable);
  }

  failed(archive: string, code: string): void {
    this.failures.inc({ archive, code });
  }

  live(archive: string, outcome: string): void {
    this.liveQueries.inc({ archive, outcome });
  }
}
