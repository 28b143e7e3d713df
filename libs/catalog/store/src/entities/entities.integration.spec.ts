import 'reflect-metadata';
import { DataSource } from 'typeorm';
import { startPostgres, type TestPostgres } from '@archipelago/testing';
import { CATALOG_SCHEMA } from '../schema/part';
import { CATALOG_ENTITIES, PackEntity, StudyEntity } from './index';

let server: TestPostgres;
let source: DataSource;
beforeAll(async () => {
  server = await startPostgres();
  const url = await server.createDatabase();
  source = new DataSource({
    type: 'postgres',
    url,
    entities: CATALOG_ENTITIES,
    migrations: CATALOG_SCHEMA.migrations,
    poolErrorHandler: () => undefined,
  });
  await source.initialize();
  await source.runMigrations({ transaction: 'each' });
  // TypeORM looks here for the expression of a generated column
  await source.query(
    'CREATE TABLE typeorm_metadata (type varchar, database varchar, schema varchar, "table" varchar, name varchar, value text)',
  );
}, 60_000);
afterAll(async () => {
  await source?.destroy();
  await server?.stop();
});

/** What TypeORM would change to make the tables those of the entities. Excepted, with the reason: */
const EXCEPTED: readonly RegExp[] = [
  // xid8 is no type of TypeORM's; the column and its index are for the change feed alone
  /"changed_xid"|study_changed/,
  // generated columns are compared with a table of TypeORM's own, which migrations in SQL do not fill
  /"study_id"|study_study_id|typeorm_metadata/,
];

it('entities say what the migrations made', async () => {
  const { upQueries } = await source.driver.createSchemaBuilder().log();
  const different = upQueries
    .map(({ query }) => query)
    .filter((query) => !EXCEPTED.some((except) => except.test(query)));
  expect(different).toEqual([]);
  // the test sees differences: the excepted ones are there
  expect(upQueries.some(({ query }) => query.includes('"changed_xid"'))).toBe(true);
});

it('reads rows through them', async () => {
  await source.query(`INSERT INTO pack (pack_id, edge_id, site, bytes, tail_offset, entries, sha256, created_at, sealed_at)
    VALUES (gen_random_uuid(), gen_random_uuid(), 'main', 100, 50, 1, '\\x00', now(), now())`);
  await source.query(
    "INSERT INTO pack_location (pack, store, key, site, verified_at) SELECT id, 'fs', 'packs/a', 'main', now() FROM pack",
  );
  await source.query(
    "INSERT INTO study (patient, study_instance_uid, patient_id, issuer, person, modalities) VALUES (1, '1.2.3', 'P', '', super_id('', 'P', ''), '{CT,SR}')",
  );
  const [pack] = await source.getRepository(PackEntity).find({ relations: { locations: true } });
  expect(pack).toMatchObject({
    bytes: '100',
    indexedOrder: null,
    locations: [{ store: 'fs', tier: 'hot', missingAt: null }],
  });
  expect(await source.getRepository(StudyEntity).findOneByOrFail({ studyInstanceUid: '1.2.3' })).toMatchObject({
    modalities: ['CT', 'SR'],
    revision: '0',
  });
});
