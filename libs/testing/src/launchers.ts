export * from './servers/server';
export * from './servers/nats';
export * from './servers/postgres';
export * from './servers/minio';
export * from './servers/orthanc';
export * from './servers/dcmtk';
export * from './servers/python-server';
export * from './servers/standalone';
export * from './run-command';
export * from './proxy';
export {
  accepts,
  bindError,
  findMinio,
  findNatsServer,
  findPeersPython,
  freePort,
  repositoryRoot,
  toolsCache,
  ToolMissingError,
} from '@archipelago/platform-embedded';
