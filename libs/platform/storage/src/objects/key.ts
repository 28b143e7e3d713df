import { InvalidKeyError } from './errors';

const KEY = /^[A-Za-z0-9._-]+(?:\/[A-Za-z0-9._-]+)*$/;
const PREFIX = /^[A-Za-z0-9._/-]*$/;
const MAX_KEY = 512;

/** @throws InvalidKeyError. The driver joins keys to paths: nothing that walks out of a folder may pass here. */
export function assertKey(key: string): void {
  if (key.length > MAX_KEY || !KEY.test(key) || key.split('/').some((part) => part === '.' || part === '..')) {
    throw new InvalidKeyError();
  }
}

/** A prefix of keys; may be empty or end in the middle of a part. @throws InvalidKeyError */
export function assertPrefix(prefix: string): void {
  const bad = prefix.startsWith('/') || prefix.split('/').some((part) => part === '.' || part === '..');
  if (prefix.length > MAX_KEY || !PREFIX.test(prefix) || prefix.includes('//') || bad) throw new InvalidKeyError();
}
