import type { SchemaPart } from '@archipelago/platform-storage';
import { CATALOG_ENTITIES } from '../entities';
import { Catalog1763800000001 } from './0001-catalog';
import { CatalogSearch1763870000002 } from './0002-search';
import { CatalogArchives1764100000003 } from './0003-archives';
import { CatalogPersons1764120000004 } from './0004-persons';
import { CatalogGroups1764130000005 } from './0005-groups';
import { CatalogRules1764180000006 } from './0006-rules';
import { CatalogLabels1764230000007 } from './0007-labels';

/** The catalog's tables, for `PostgresModule.forFeature(CATALOG_SCHEMA)`. */
export const CATALOG_SCHEMA: SchemaPart = {
  name: 'catalog',
  entities: CATALOG_ENTITIES,
  migrations: [
    Catalog1763800000001,
    CatalogSearch1763870000002,
    CatalogArchives1764100000003,
    CatalogPersons1764120000004,
    CatalogGroups1764130000005,
    CatalogRules1764180000006,
    CatalogLabels1764230000007,
  ],
};
