import { PermanentError } from '@archipelago/platform-service';
import type { ObjectStore } from '../object-store';
import { FsObjectStore } from './fs-object-store';
import { S3ObjectStore } from './s3-object-store';

/** The environment's part of the configuration: secrets stay out of the address. */
export type ObjectStoreEnvironment = Readonly<Partial<Record<string, string>>>;

export type ObjectStoreAddress = { kind: 'fs'; dir: string } | { kind: 's3'; endpoint: string; bucket: string };

export class ObjectStoreConfigError extends PermanentError {
  constructor(message: string) {
    super('object-store-config', message);
  }
}

const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;

/** `fs:<dir>` or `s3:http(s)://host[:port]/bucket`. @throws ObjectStoreConfigError saying what is wrong */
export function parseObjectStore(text: string): ObjectStoreAddress {
  if (text.startsWith('fs:') && text.length > 3) return { kind: 'fs', dir: text.slice(3) };
  if (!text.startsWith('s3:'))
    throw new ObjectStoreConfigError('an object store is fs:<dir> or s3:http(s)://host:port/bucket');
  const address = text.slice(3);
  if (!URL.canParse(address)) throw new ObjectStoreConfigError('the address after s3: is not a URL');
  const url = new URL(address);
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new ObjectStoreConfigError('s3: needs http or https');
  if (url.username || url.password)
    throw new ObjectStoreConfigError('credentials belong in ARCHIPELAGO_S3_ACCESS_KEY and _SECRET_KEY');
  const bucket = url.pathname.replace(/^\/|\/$/g, '');
  if (!BUCKET.test(bucket)) throw new ObjectStoreConfigError('s3: needs a bucket of 3 to 63 characters as its path');
  return { kind: 's3', endpoint: url.origin, bucket };
}

/** @throws ObjectStoreConfigError */
export function createObjectStore(text: string, env: ObjectStoreEnvironment = process.env, name?: string): ObjectStore {
  const address = parseObjectStore(text);
  if (address.kind === 'fs') return new FsObjectStore(address.dir, name);
  const {
    ARCHIPELAGO_S3_ACCESS_KEY: accessKey,
    ARCHIPELAGO_S3_SECRET_KEY: secretKey,
    ARCHIPELAGO_S3_REGION: region,
  } = env;
  if (!accessKey || !secretKey) {
    throw new ObjectStoreConfigError('s3: needs ARCHIPELAGO_S3_ACCESS_KEY and ARCHIPELAGO_S3_SECRET_KEY');
  }
  const { endpoint, bucket } = address;
  return new S3ObjectStore({ endpoint, bucket, accessKey, secretKey, region }, name);
}
