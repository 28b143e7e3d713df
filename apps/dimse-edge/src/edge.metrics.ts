import { Injectable } from '@nestjs/common';
import { MetricsRegistry } from '@archipelago/platform-service';

/** Metrics of the edge. Labels are codes of ours; never an AE title, a UID or a patient datum. */
@Injectable()
export class EdgeMetrics {
  private readonly m;

  constructor(private readonly registry: MetricsRegistry) {
    this.m = {
      associations: registry.gauge({ name: 'archipelago_edge_associations', help: 'Associations open now.' }),
      requests: registry.counter({
        name: 'archipelago_edge_association_requests_total',
        help: 'Association requests by decision.',
        labelNames: ['decision'],
      }),
      connections: registry.counter({
        name: 'archipelago_edge_connection_events_total',
        help: 'Events of connections on the DICOM port (http, garbage, artim, overflow, ...).',
        labelNames: ['event'],
      }),
      stores: registry.counter({
        name: 'archipelago_edge_stores_total',
        help: 'C-STORE requests answered, by outcome.',
        labelNames: ['outcome'],
      }),
      storeBytes: registry.counter({ name: 'archipelago_edge_store_bytes_total', help: 'Dataset bytes received.' }),
      storeSeconds: registry.histogram({
        name: 'archipelago_edge_store_seconds',
        help: 'From the C-STORE request to its response, stable storage included.',
      }),
      syncSeconds: registry.histogram({
        name: 'archipelago_edge_commit_seconds',
        help: 'From the end of a dataset to its being on stable storage (trailer and fdatasync).',
        buckets: [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
      }),
      queries: registry.counter({
        name: 'archipelago_edge_queries_total',
        help: 'C-FIND requests by final status.',
        labelNames: ['status'],
      }),
      incomplete: registry.counter({
        name: 'archipelago_edge_incomplete_answers_total',
        help: 'Answers to C-FIND that may miss something, by archive and its state.',
        labelNames: ['archive', 'state'],
      }),
      querySeconds: registry.histogram({
        name: 'archipelago_edge_query_seconds',
        help: 'C-FIND, first to last response.',
      }),
      retrieves: registry.counter({
        name: 'archipelago_edge_retrieves_total',
        help: 'C-GET and C-MOVE requests by operation and final status.',
        labelNames: ['operation', 'status'],
      }),
      subOperations: registry.counter({
        name: 'archipelago_edge_sub_operations_total',
        help: 'C-STORE sub-operations by result.',
        labelNames: ['result'],
      }),
      sentBytes: registry.counter({
        name: 'archipelago_edge_sent_bytes_total',
        help: 'Dataset bytes sent by retrievals.',
      }),
      damaged: registry.counter({
        name: 'archipelago_edge_damaged_reads_total',
        help: 'Copies that could not be read or differed from their digest, by place.',
        labelNames: ['where', 'why'],
      }),
      packs: registry.counter({
        name: 'archipelago_edge_pack_events_total',
        help: 'Steps in the lives of packs (upload-done, indexed, rejected, ...). Alarm on rejected.',
        labelNames: ['event'],
      }),
      confirmSeconds: registry.histogram({
        name: 'archipelago_edge_pack_confirm_seconds',
        help: 'From the sealing of a pack to its confirmation by the catalog.',
      }),
      brokenEntries: registry.counter({
        name: 'archipelago_edge_broken_entries_total',
        help: 'Objects found damaged at recovery that may have been acknowledged. Alarm when not 0.',
      }),
      sealFailures: registry.counter({
        name: 'archipelago_edge_seal_failures_total',
        help: 'Segments that could not be sealed at once; recovered later.',
      }),
      spool: registry.gauge({
        name: 'archipelago_edge_spool',
        help: 'Spool: packs, bytes, oldest_seconds of open, unconfirmed, confirmed and quarantined segments.',
        labelNames: ['state', 'what'],
      }),
      spoolFree: registry.gauge({ name: 'archipelago_edge_spool_free_bytes', help: 'Free bytes of the spool volume.' }),
      spoolFull: registry.gauge({ name: 'archipelago_edge_spool_full', help: '1 while C-STORE is answered A700.' }),
      syncs: registry.gauge({
        name: 'archipelago_edge_syncs',
        help: 'fdatasync and fsync calls of the spool, and requests they served.',
        labelNames: ['what'],
      }),
      queue: registry.gauge({
        name: 'archipelago_edge_packs',
        help: 'Packs that wait: upload, answer, quarantined.',
        labelNames: ['waiting_for'],
      }),
    };
  }

  get all(): EdgeMetrics['m'] {
    return this.m;
  }

  /** Gauges that are read rather than counted are set before each scrape, so that they are never old. */
  beforeScrape(collect: () => Promise<void>): void {
    this.registry.beforeScrape(collect);
  }

  stored(outcome: string, bytes: number, seconds: number): void {
    this.m.stores.inc({ outcome });
    this.m.storeBytes.inc(bytes);
    this.m.storeSeconds.observe(seconds);
  }
}

/** 0xA700 as `A700`: the standard's own notation. */
export function statusLabel(status: number): string {
  return status.toString(16).toUpperCase().padStart(4, '0');
}
