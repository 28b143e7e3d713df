/** Questions and commands to the registry of archives, over NATS alone: PostgreSQL is its business. */
import { randomUUID } from 'node:crypto';
import { connect } from '@nats-io/transport-node';
import { type Contract, subjectFor } from '@archipelago/contracts';
import { readServicesFile } from '@archipelago/platform-embedded';
import { coreConfig } from '@archipelago/platform-service';
import type { z } from 'zod';

const WAIT_MS = 60_000;

export class RefusedError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(`${message} (${code})`);
  }
}

export async function askRegistry<C extends Contract>(
  contract: C,
  payload: z.input<C['schema']>,
): Promise<C['reply'] extends z.ZodType ? z.output<C['reply']> : never> {
  const services = process.env['ARCHIPELAGO_NATS_URL'] ? {} : (readServicesFile(coreConfig.load().home) ?? {});
  const setting = (name: string): string | undefined => process.env[name] ?? services[name];
  const nats = await connect({
    servers: setting('ARCHIPELAGO_NATS_URL') ?? 'nats://127.0.0.1:4222',
    user: setting('ARCHIPELAGO_NATS_USER'),
    pass: setting('ARCHIPELAGO_NATS_PASSWORD'),
    timeout: 5_000,
    reconnect: false,
  }).catch((error: unknown) => {
    throw new Error('NATS cannot be reached: is Archipelago running?', { cause: error });
  });
  try {
    const site = coreConfig.load().site ?? 'main';
    const envelope = {
      id: randomUUID(),
      time: new Date().toISOString(),
      site,
      payload: contract.schema.parse(payload),
    };
    const message = await nats
      .request(subjectFor(contract, '0', site), JSON.stringify(envelope), { timeout: WAIT_MS })
      .catch((error: unknown) => {
        throw new Error('the registry of archives does not answer: is tag-replication running?', { cause: error });
      });
    const reply = message.json<{ ok: boolean; payload?: unknown; error?: { code: string; message: string } }>();
    if (!reply.ok) throw new RefusedError(reply.error?.code ?? 'unknown', reply.error?.message ?? 'refused');
    return contract.reply?.parse(reply.payload) as never;
  } finally {
    await nats.close();
  }
}
