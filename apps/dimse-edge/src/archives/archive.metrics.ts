import { Injectable } from '@nestjs/common';
import { MetricsRegistry } from '@archipelago/platform-service';

/** What this edge asks of archives. Labels: the archives' names in our configuration, and codes of ours. */
@Injectable()
export class ArchiveMetrics {
  private readonly associations;
  private readonly open;
  private readonly failures;
  private readonly answers;
  private readonly bytes;

  constructor(registry: MetricsRegistry) {
    this.associations = registry.gauge({
      name: 'archipelago_edge_archive_associations',
      help: 'Associations of the budget of an archive: in_use, and requests that wait for one.',
      labelNames: ['archive', 'what'],
    });
    this.open = registry.gauge({
      name: 'archipelago_edge_archive_open',
      help: '1 while the archive failed and is not asked (circuit breaker open or half open).',
      labelNames: ['archive'],
    });
    this.failures = registry.counter({
      name: 'archipelago_edge_archive_failures_total',
      help: 'Contacts with an archive that failed, by code.',
      labelNames: ['archive', 'code'],
    });
    this.answers = registry.counter({
      name: 'archipelago_edge_archive_answers_total',
      help: 'Answers of archives to a harvest: kept, unchanged, or left out by reason (no-uid, bad-uid, duplicate, wrong-level, foreign, outside, ...).',
      labelNames: ['archive', 'outcome'],
    });
    this.bytes = registry.counter({
      name: 'archipelago_edge_archive_bytes_total',
      help: 'Dataset bytes read from archives by the harvest.',
      labelNames: ['archive'],
    });
  }

  state(archive: string, { inUse, waiting, open }: { inUse: number; waiting: number; open: boolean }): void {
    this.associations.set({ archive, what: 'in_use' }, inUse);
    this.associations.set({ archive, what: 'waiting' }, waiting);
    this.open.set({ archive }, open ? 1 : 0);
  }

  failed(archive: string, code: string): void {
    this.failures.inc({ archive, code });
  }

  answered(archive: string, outcome: string, count: number): void {
    if (count > 0) this.answers.inc({ archive, outcome }, count);
  }

  read(archive: string, bytes: number): void {
    this.bytes.inc({ archive }, bytes);
  }
}
