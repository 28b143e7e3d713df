/**
 * Subjects: `<kind>.<context>.<aggregate>.<name>.v<major>.<partition>.<site>` (docs/architecture).
 * Never a UID, an AE title or a patient datum in a subject.
 */
import type { z } from 'zod';

export type ContractKind = 'evt' | 'cmd' | 'qry';

/** How private the payload is: `none` (ids of ours), `technical` (AE titles, hosts), `patient` (DICOM values). */
export type PrivacyClass = 'none' | 'technical' | 'patient';

export interface Contract<S extends z.ZodType = z.ZodType, R extends z.ZodType = z.ZodType> {
  readonly kind: ContractKind;
  readonly context: string;
  readonly aggregate: string;
  readonly name: string;
  readonly version: number;
  readonly privacy: PrivacyClass;
  /** Payload field whose value decides the partition, so that messages of one aggregate stay in order. */
  readonly orderingKey?: string;
  readonly schema: S;
  /** Reply schema; queries only. */
  readonly reply?: R;
}

/** A subject token: anything else would change the meaning of the subject (NATS subject tokens are split at dots). */
const TOKEN = /^[A-Za-z0-9_-]{1,64}$/;

function token(value: string): string {
  if (!TOKEN.test(value)) throw new RangeError('a subject token has 1 to 64 of A-Z a-z 0-9 _ -');
  return value;
}

/** The subject's first five tokens, without partition and site. */
export function subjectStem(c: Contract): string {
  return `${c.kind}.${c.context}.${c.aggregate}.${c.name}.v${c.version}`;
}

export function subjectFor(c: Contract, partition: string | number, site: string): string {
  return `${subjectStem(c)}.${token(String(partition))}.${token(site)}`;
}

/** Filter that matches the contract in every partition and site. */
export function subjectFilter(c: Contract): string {
  return `${subjectStem(c)}.*.*`;
}
