import { mkdtempSync, rmSync } from 'node:fs';
import { createHash, randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataSource } from 'typeorm';
import { datasetHeaderView } from '@archipelago/catalog-model';
import { CATALOG_SCHEMA, indexPack, type IndexPackInput } from '@archipelago/catalog-store';
import { compressHeader, readHeader, writeDataset } from '@archipelago/dicom-encoding';
import { Logger } from '@archipelago/platform-service';
import { Database, FsObjectStore } from '@archipelago/platform-storage';
import { startPostgres, type TestPostgres } from '@archipelago/testing';
import { SeriesMetadataService } from './series-metadata.service';

const EXPLICIT = '1.2.840.10008.1.2.1';
let server: TestPostgres;
let source: DataSource;
let database: Database;
let folder: string;
let store: FsObjectStore;

beforeAll(async () => {
  server = await startPostgres();
  folder = mkdtempSync(join(tmpdir(), 'metadata-'));
  store = new FsObjectStore(folder);
  source = new DataSource({
    type: 'postgres',
    url: await server.createDatabase(),
    migrations: CATALOG_SCHEMA.migrations,
    poolErrorHandler: () => undefined,
  });
  await source.initialize();
  await source.runMigrations({ transaction: 'each' });
  database = new Database(source);
}, 60_000);
afterAll(async () => {
  await source?.destroy();
  await server?.stop();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

/** A pack whose object holds the header block of one CT image, indexed. */
async function storeImage(number: number): Promise<void> {
  const json = {
    '00080016': { vr: 'UI', Value: ['1.2.840.10008.5.1.4.1.1.2'] },
    '00080018': { vr: 'UI', Value: [`1.2.3.${number}`] },
    '00100010': { vr: 'PN', Value: [{ Alphabetic: 'Doe^Jane' }] },
    '00100020': { vr: 'LO', Value: ['P1'] },
    '0020000D': { vr: 'UI', Value: ['1.2.3'] },
    '0020000E': { vr: 'UI', Value: ['1.2.3.0'] },
    '00200013': { vr: 'IS', Value: [number] },
  };
  const header = writeDataset(json, EXPLICIT);
  const block = compressHeader(header);
  const [packId, edgeId] = [randomUUID(), randomUUID()];
  const key = `packs/main/${packId}.pack`;
  await store.putBuffer(key, block);
  const sha = createHash('sha256').update(packId).digest('hex');
  const at = new Date().toISOString();
  const entry = {
    ordinal: 0,
    offset: 0,
    length: 100,
    datasetOffset: 0,
    datasetLength: 100,
    wireDigest: sha,
    headerDigest: sha,
    headerOffset: 0,
    headerLength: block.length,
    headerRawLength: header.length,
    leftOut: [],
    pixel: null,
    origin: 'acquired' as const,
    source: 'main',
    callingAeTitle: 'A',
    calledAeTitle: 'B',
    remoteAddress: '::1',
    site: 'main',
    receivedAt: at,
    sopClassUid: '1.2.840.10008.5.1.4.1.1.2',
    sopInstanceUid: `1.2.3.${number}`,
    transferSyntaxUid: EXPLICIT,
    warnings: [],
  };
  const input: IndexPackInput = {
    announcement: {
      packId,
      edgeId,
      site: 'main',
      store: store.name,
      key,
      bytes: block.length,
      tailOffset: 0,
      entries: 1,
      sha256: sha,
      sealedAt: at,
      attempt: 1,
    },
    index: { format: 1, packId, edgeId, site: 'main', createdAt: at, sealedAt: at, entries: [entry] },
    header: () => datasetHeaderView(readHeader(header)),
    comparePixels: () => Promise.reject(new Error('not needed')),
  };
  await database.withTransaction((client) => indexPack(client, input));
}

it('writes an object when the series is quiet, reads it with what is newer, and replaces it by the next revision', async () => {
  const service = new SeriesMetadataService(
    database,
    store,
    { objectStore: undefined, metadataQuietSeconds: 0 },
    Logger.create('test', 'fatal'),
  );
  const numbers = async (): Promise<unknown[]> =>
    (await service.read('1')).instances.map((metadata) => (metadata['00200013'] as { Value: unknown[] }).Value[0]);
  await storeImage(2);
  expect(await numbers()).toEqual([2]);
  expect(await service.writeDue()).toBe(1);
  expect(await service.writeDue()).toBe(0);
  await storeImage(1);
  expect(await numbers()).toEqual([1, 2]);
  expect(await service.writeDue()).toBe(1);
  const { rows } = await database.query<{ revision: string; instances: number; key: string }>(
    'SELECT revision, instances, key FROM series_metadata',
  );
  expect(rows).toMatchObject([{ revision: '2', instances: 2 }]);
  expect(await numbers()).toEqual([1, 2]);
  await database.query('UPDATE pack_location SET missing_at = now()');
  expect(await numbers()).toEqual([1, 2]);
  await database.query('UPDATE series_metadata SET key = NULL');
  expect((await service.read('1')).missing).toHaveLength(2);
}, 60_000);

it('reads header blocks from the store that the pack lies in, by its name', async () => {
  const elsewhere = mkdtempSync(join(tmpdir(), 'metadata-other-'));
  try {
    const config = { objectStore: undefined, metadataQuietSeconds: 0 };
    const here = new FsObjectStore(elsewhere, 'near');
    const logger = Logger.create('test', 'fatal');
    await database.query('UPDATE pack_location SET missing_at = NULL');
    const [without, both] = [
      new SeriesMetadataService(database, here, config, logger),
      new SeriesMetadataService(database, here, config, logger, [store]),
    ];
    // the object too lies in the other store
    expect(await without.read('1')).toMatchObject({ instances: [], missing: [expect.any(String), expect.any(String)] });
    expect((await both.read('1')).instances).toHaveLength(2);
    expect(await both.read('1')).toEqual(await new SeriesMetadataService(database, store, config, logger).read('1'));
  } finally {
    rmSync(elsewhere, { recursive: true, force: true });
  }
});

it('two writers at once never write the same series', async () => {
  await storeImage(3);
  await database.query('UPDATE pack_location SET missing_at = NULL');
  const make = (): SeriesMetadataService =>
    new SeriesMetadataService(
      database,
      store,
      { objectStore: undefined, metadataQuietSeconds: 0 },
      Logger.create('test', 'fatal'),
    );
  const written = await Promise.all([make().writeDue(), make().writeDue(), make().writeDue()]);
  expect(written.reduce((a, b) => a + b, 0)).toBe(1);
});
