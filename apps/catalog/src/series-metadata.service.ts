import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import { deflateRaw, inflateRaw } from 'node:zlib';
import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import {
  claimQuietSeries,
  currentInstances,
  headerPlaces,
  metadataPointer,
  switchPointer,
  type ClaimedSeries,
  type HeaderPlace,
} from '@archipelago/catalog-store';
import { decompressHeader, readHeader } from '@archipelago/dicom-encoding';
import { Logger } from '@archipelago/platform-service';
import { Database, type ObjectStore } from '@archipelago/platform-storage';
import type { CatalogConfig } from './catalog.config';

const deflate = promisify(deflateRaw);
const inflate = promisify(inflateRaw);

/** The object: DICOM JSON of each instance by the catalog's id, deflated. */
export interface SeriesMetadata {
  format: 1;
  seriesId: string;
  revision: number;
  instances: { id: string; metadata: Record<string, unknown> }[];
}

const LEASE_SECONDS = 120;
const AT_ONCE = 8;
const PAUSE_MS = 2_000;
/** Most bytes of header blocks read at once, and most read in vain between two of them. */
const MOST_STRETCH = 4 * 1024 ** 2;
const MOST_GAP = 64 * 1024;
/** Largest object read back. */
const MOST_INFLATED = 1024 ** 3;

interface Stretch {
  store: string;
  key: string;
  start: number;
  end: number;
  places: HeaderPlace[];
}

function stretchesOf(places: readonly HeaderPlace[]): Stretch[] {
  const stretches: Stretch[] = [];
  const object = ({ store, key }: HeaderPlace): string => `${store} ${key}`;
  const sorted = [...places].sort((a, b) =>
    object(a) === object(b) ? a.headerOffset - b.headerOffset : object(a) < object(b) ? -1 : 1,
  );
  for (const place of sorted) {
    const last = stretches.at(-1);
    const end = place.headerOffset + place.headerLength;
    const near =
      last?.store === place.store &&
      last.key === place.key &&
      place.headerOffset - last.end <= MOST_GAP &&
      end - last.start <= MOST_STRETCH;
    if (last && near) {
      last.end = Math.max(last.end, end);
      last.places.push(place);
    } else stretches.push({ store: place.store, key: place.key, start: place.headerOffset, end, places: [place] });
  }
  return stretches;
}

/** Writes the metadata object of every series that has become quiet, and reads it together with what came since. */
@Injectable()
export class SeriesMetadataService implements OnApplicationBootstrap, OnApplicationShutdown {
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<unknown> = Promise.resolve();
  private stopped = false;
  /** By name, as `pack_location` has it; where several have a copy, the first is read. */
  private readonly stores: ReadonlyMap<string, ObjectStore>;

  /** @param store where objects are written; `others` are read too */
  constructor(
    private readonly database: Database,
    private readonly store: ObjectStore,
    private readonly config: CatalogConfig,
    private readonly logger: Logger,
    others: readonly ObjectStore[] = [],
  ) {
    this.stores = new Map([store, ...others].map((one) => [one.name, one]));
  }

  onApplicationBootstrap(): void {
    this.schedule(PAUSE_MS);
  }

  async onApplicationShutdown(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.running;
  }

  private schedule(ms: number): void {
    if (this.stopped) return;
    this.timer = setTimeout(() => {
      this.running = this.writeDue().then(
        (written) => this.schedule(written > 0 ? 0 : PAUSE_MS),
        (error: unknown) => {
          this.logger.warn('series metadata waits', { err: error });
          this.schedule(5 * PAUSE_MS);
        },
      );
    }, ms);
  }

  /** Writes what is due now; returns how many pointers were switched. A series that fails is tried again after its lease. */
  async writeDue(): Promise<number> {
    const claimed = await this.database.withTransaction((client) =>
      claimQuietSeries(client, {
        quietSeconds: this.config.metadataQuietSeconds,
        leaseSeconds: LEASE_SECONDS,
        limit: AT_ONCE,
      }),
    );
    let written = 0;
    for (const series of claimed) {
      if (this.stopped) break;
      try {
        if (await this.write(series)) written += 1;
      } catch (error) {
        this.logger.warn('a series metadata object could not be written', { seriesId: series.seriesId, err: error });
      }
    }
    return written;
  }

  private async write(claimed: ClaimedSeries): Promise<boolean> {
    const places = await this.places(claimed.seriesId);
    const instances = await this.readHeaders(places);
    const object: SeriesMetadata = { format: 1, seriesId: claimed.seriesId, revision: claimed.revision, instances };
    const body = await deflate(Buffer.from(JSON.stringify(object)));
    // the fence makes the key of each attempt its own: an object is never written twice
    const key = `metadata/${claimed.seriesId}/${claimed.revision}-${claimed.fence}.json.deflate`;
    await this.store.putBuffer(key, body);
    const sha256 = createHash('sha256').update(body).digest('hex');
    const pointer = { store: this.store.name, key, bytes: body.length, instances: instances.length, sha256 };
    return this.database.withClient((client) => switchPointer(client, claimed, pointer));
  }

  private places(seriesId: string, except: readonly string[] = []): Promise<HeaderPlace[]> {
    return this.database.withClient((client) => headerPlaces(client, seriesId, [...this.stores.keys()], except));
  }

  /** Blocks that lie near each other come with one read: in a pack's tail they stand one behind the other. */
  private async readHeaders(places: HeaderPlace[]): Promise<SeriesMetadata['instances']> {
    const byId = new Map<string, Record<string, unknown>>();
    for (const stretch of stretchesOf(places)) {
      const store = this.stores.get(stretch.store);
      if (!store) continue;
      const bytes = await store.readRange(stretch.key, stretch.start, stretch.end);
      for (const place of stretch.places) {
        const from = place.headerOffset - stretch.start;
        const header = decompressHeader(bytes.subarray(from, from + place.headerLength), place.headerRawLength);
        byId.set(place.instanceId, readHeader(header).toDicomJson() as Record<string, unknown>);
      }
      // hundreds of headers take long: queries are answered between
      await setImmediate();
    }
    return places.flatMap(({ instanceId: id }) => {
      const metadata = byId.get(id);
      return metadata ? [{ id, metadata }] : [];
    });
  }

  /**
   * Metadata of the series as it is now, in order: from the object, and from header blocks for what is newer.
   * `missing`: ids of instances of which no copy can be had.
   */
  async read(seriesId: string): Promise<{ instances: Record<string, unknown>[]; missing: string[] }> {
    const [pointer, current] = await this.database.withClient(
      async (client) => [await metadataPointer(client, seriesId), await currentInstances(client, seriesId)] as const,
    );
    const byId = new Map<string, Record<string, unknown>>();
    // an object in a store that cannot be read here is done without: the header blocks say the same
    const store = pointer ? this.stores.get(pointer.store) : undefined;
    if (pointer && store) {
      const body = await store.readRange(pointer.key, 0, pointer.bytes);
      const object = JSON.parse(
        (await inflate(body, { maxOutputLength: MOST_INFLATED })).toString('utf8'),
      ) as SeriesMetadata;
      for (const { id, metadata } of object.instances) byId.set(id, metadata);
    }
    if (current.some((id) => !byId.has(id))) {
      const newer = await this.places(seriesId, [...byId.keys()]);
      for (const { id, metadata } of await this.readHeaders(newer)) byId.set(id, metadata);
    }
    const instances = current.map((id) => byId.get(id)).filter((metadata) => metadata !== undefined);
    return { instances, missing: current.filter((id) => !byId.has(id)) };
  }
}
