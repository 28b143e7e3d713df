/**
 * What the documentation is generated from: only this project may know every app, so tools get it here.
 */
import { cacheConfig } from '@archipelago/cache-service';
import { catalogConfig } from '@archipelago/catalog';
// eslint-disable-next-line @nx/enforce-module-boundaries -- standalone.ts resolves its path only, it does not load it lazily
import { edgeConfig, fetchConfig } from '@archipelago/dimse-edge';
import { ingestConfig } from '@archipelago/ingest';
import { busConfig } from '@archipelago/platform-bus';
import { type ConfigDefinition, coreConfig } from '@archipelago/platform-service';
import { databaseConfig } from '@archipelago/platform-storage';
import { tagReplicationConfig } from '@archipelago/tag-replication';
import { standaloneConfig } from './standalone.config';

export { conformance, type Conformance } from '@archipelago/dimse-edge';

/** Every configuration definition with the processes that read it. */
export const CONFIGURATION: readonly { definition: ConfigDefinition<unknown>; usedBy: readonly string[] }[] = [
  { definition: coreConfig, usedBy: ['all'] },
  { definition: edgeConfig, usedBy: ['dimse-edge'] },
  { definition: fetchConfig, usedBy: ['dimse-edge'] },
  { definition: ingestConfig, usedBy: ['ingest'] },
  { definition: catalogConfig, usedBy: ['catalog'] },
  { definition: tagReplicationConfig, usedBy: ['tag-replication'] },
  { definition: cacheConfig, usedBy: ['cache'] },
  { definition: busConfig, usedBy: ['all'] },
  { definition: databaseConfig, usedBy: ['ingest', 'catalog', 'cache', 'tag-replication'] },
  { definition: standaloneConfig, usedBy: ['standalone'] },
];
