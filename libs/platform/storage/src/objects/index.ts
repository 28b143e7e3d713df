export * from './errors';
export { assertKey, assertPrefix } from './key';
export { withRetry, type RetryOptions } from './retry';
export { FsObjectStore } from './fs-object-store';
export { S3ObjectStore } from './s3-object-store';
export type { S3Options } from './s3-client';
export {
  createObjectStore,
  parseObjectStore,
  ObjectStoreConfigError,
  type ObjectStoreAddress,
  type ObjectStoreEnvironment,
} from './create-object-store';
