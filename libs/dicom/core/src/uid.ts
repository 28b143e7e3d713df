import { randomBytes } from 'node:crypto';

/** PS3.5 section 9.1: 1 to 64 characters, digits and dots, no empty component, no leading zero. */
export function isValidUid(uid: string): boolean {
  return uid.length >= 1 && uid.length <= 64 && /^(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*$/.test(uid);
}

export type UidOddity = 'empty' | 'too-long' | 'leading-zero' | 'empty-component' | 'characters' | 'control-characters';

/**
 * What real devices send is judged leniently: an acceptable UID is stored as it is and the oddity noted; a refused one
 * cannot serve as a key (empty, over 128 characters, or characters that no UID ever has).
 */
export interface UidJudgement {
  acceptable: boolean;
  valid: boolean;
  oddities: UidOddity[];
}

/** Longest UID that is tolerated; twice what the standard allows. */
export const LONGEST_TOLERATED_UID = 128;

/** Letters, underscore and dash are tolerated (seen in the field); path characters, wildcards and controls never. */
export function judgeUid(uid: string): UidJudgement {
  if (isValidUid(uid)) return { acceptable: true, valid: true, oddities: [] };
  const oddities: UidOddity[] = [];
  if (uid === '') oddities.push('empty');
  if (uid.length > 64) oddities.push('too-long');
  // eslint-disable-next-line no-control-regex
  if (/[\x00-\x1f\x7f]/.test(uid)) oddities.push('control-characters');
  else if (/[^0-9.]/.test(uid)) oddities.push('characters');
  if (/(^|\.)0[0-9]/.test(uid)) oddities.push('leading-zero');
  if (uid !== '' && /^\.|\.\.|\.$/.test(uid)) oddities.push('empty-component');
  const acceptable = /^[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*$/.test(uid) && uid.length <= LONGEST_TOLERATED_UID;
  return { acceptable, valid: false, oddities };
}

/** '2.25.' and a random UUID as one integer (PS3.5 Annex B.2). */
export function generateUid(): string {
  return uuidToUid(randomBytes(16));
}

/** The UID of a given UUID's 16 bytes; version and variant bits are set (RFC 9562, version 4). */
export function uuidToUid(uuid: Uint8Array): string {
  if (uuid.length !== 16) throw new RangeError('a UUID has 16 bytes');
  const bytes = Buffer.from(uuid);
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  return `2.25.${BigInt('0x' + bytes.toString('hex'))}`;
}
