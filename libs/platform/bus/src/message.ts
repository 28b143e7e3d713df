import { createHash, randomUUID } from 'node:crypto';
import { Envelope, type Contract } from '@archipelago/contracts';
import { PermanentError } from '@archipelago/platform-service';
import type { z } from 'zod';

/** Messages larger than this are refused before they are parsed or sent (NATS' own default limit is 1 MiB). */
export const MAX_MESSAGE_BYTES = 1_000_000;

/** Number of partitions of every contract with an ordering key. Changing it needs drained streams. */
export const PARTITIONS = 16;

export type PayloadIn<C extends Contract> = z.input<C['schema']>;
export type PayloadOf<C extends Contract> = z.output<C['schema']>;
export type ReplyIn<C extends Contract> = C['reply'] extends z.ZodType ? z.input<C['reply']> : never;
export type ReplyOf<C extends Contract> = C['reply'] extends z.ZodType ? z.output<C['reply']> : never;

/** What a handler learns beside the payload. */
export interface MessageMeta {
  id: string;
  time: string;
  site: string;
  trace: string | undefined;
  cause: string | undefined;
  subject: string;
}

export interface EnvelopeOptions {
  id?: string;
  site: string;
  trace?: string;
  cause?: string;
}

export function newTrace(): string {
  return randomUUID().replaceAll('-', '');
}

/** Partition of a payload by its contract's ordering key; `0` for contracts without one. */
export function partitionOf(contract: Contract, payload: unknown): string {
  if (contract.orderingKey === undefined) return '0';
  const value = (payload as Record<string, unknown>)[contract.orderingKey];
  const hash = createHash('sha256').update(String(value)).digest();
  return String(hash.readUInt32BE(0) % PARTITIONS);
}

/**
 * Checks the payload and wraps it.
 * @throws PermanentError when the payload does not fit its contract or is too large: never sent, never retried
 */
export function encodeMessage(
  contract: Contract,
  payload: unknown,
  options: EnvelopeOptions,
): { id: string; data: Buffer } {
  const checked = contract.schema.safeParse(payload);
  if (!checked.success) throw invalid(contract, checked.error);
  const id = options.id ?? randomUUID();
  const envelope: Envelope = {
    id,
    time: new Date().toISOString(),
    site: options.site,
    trace: options.trace ?? newTrace(),
    cause: options.cause,
    payload: checked.data,
  };
  const data = Buffer.from(JSON.stringify(envelope));
  if (data.length > MAX_MESSAGE_BYTES) {
    throw new PermanentError('message-too-large', `${contract.name} has ${data.length} bytes`);
  }
  return { id, data };
}

/**
 * Unwraps and checks what came from the bus.
 * @throws PermanentError `message-invalid` for anything that is not a message of this contract
 */
export function decodeMessage<C extends Contract>(
  contract: C,
  data: Uint8Array,
  subject: string,
): { payload: PayloadOf<C>; meta: MessageMeta } {
  if (data.length > MAX_MESSAGE_BYTES) throw new PermanentError('message-invalid', 'larger than a message may be');
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(data).toString('utf8'));
  } catch (error) {
    throw new PermanentError('message-invalid', 'not JSON', { cause: error });
  }
  const envelope = Envelope.safeParse(json);
  if (!envelope.success) throw invalid(contract, envelope.error, 'envelope ');
  const payload = contract.schema.safeParse(envelope.data.payload);
  if (!payload.success) throw invalid(contract, payload.error);
  const { id, time, site, trace, cause } = envelope.data;
  return { payload: payload.data as PayloadOf<C>, meta: { id, time, site, trace, cause, subject } };
}

/** Paths and rules only: values might be patient data. */
function invalid(contract: Contract, error: z.ZodError, what = ''): PermanentError {
  const where = error.issues.slice(0, 5).map((issue) => `${issue.path.join('.') || '(whole)'} ${issue.code}`);
  return new PermanentError('message-invalid', `${what}of ${contract.name} v${contract.version}: ${where.join(', ')}`);
}
