import type { ServerLimits } from './api';

export const DEFAULT_LIMITS: Required<ServerLimits> = {
  maxPduLength: 256 * 1024,
  maxAssociateBytes: 1024 * 1024,
  maxCommandBytes: 64 * 1024,
  maxIdentifierBytes: 1024 * 1024,
  artimMs: 10_000,
  maxUnassociated: 100,
  maxAssociations: 500,
  idleTimeoutMs: 60_000,
  writeTimeoutMs: 60_000,
};

export function withDefaults(limits: ServerLimits = {}): Required<ServerLimits> {
  const given = Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined));
  return { ...DEFAULT_LIMITS, ...given };
}
