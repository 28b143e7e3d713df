import {
  type ArchipelagoConfig,
  checkTlsFiles,
  type ConfigDefinition,
  loadArchipelagoConfig,
} from '@archipelago/platform-service';

/** Found by `checkConfig` as any other configuration of the edge: a missing file is in the list of mistakes at the start. */
export const tlsConfig: ConfigDefinition<ArchipelagoConfig> = {
  name: 'tls',
  KEY: Symbol('config:tls'),
  variables: [],
  settings: [],
  load: (environment = process.env) => loadArchipelagoConfig({ ...environment }, checkTlsFiles),
  provider: () => ({ provide: tlsConfig.KEY, useFactory: () => tlsConfig.load(), configDefinition: tlsConfig }),
};
