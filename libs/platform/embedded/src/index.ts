export * from './tool-paths';
export * from './ports';
export * from './child';
export * from './nats-server';
export * from './postgres';
export { plainUser, capabilityToReach, type PlainUser } from './postgres-user';
export * from './services-file';
