import { UsageError } from './command';

export interface Target {
  aeTitle: string;
  host: string;
  port: number;
}

/** `AETITLE@host:port`; without it this machine's Archipelago as the ARCHIPELAGO_* variables name it. */
export function parseTarget(text: string | undefined, env: NodeJS.ProcessEnv = process.env): Target {
  if (text === undefined) {
    return {
      aeTitle: env.ARCHIPELAGO_AE_TITLE || 'ARCHIPELAGO',
      host: env.ARCHIPELAGO_DIMSE_HOST || '127.0.0.1',
      port: Number(env.ARCHIPELAGO_DIMSE_PORT || 11112),
    };
  }
  const match = /^(.{1,16})@(\[[0-9a-fA-F:.]+\]|[^:@]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port < 1 || port > 65535) throw new UsageError(`--to ${text}: expected AETITLE@host:port`);
  return { aeTitle: match[1] as string, host: (match[2] as string).replace(/^\[|\]$/g, ''), port };
}
