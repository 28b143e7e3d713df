import { connect } from '@archipelago/dimse';
import type { TestSystem } from '@archipelago/testing';

const VERIFICATION = '1.2.840.10008.1.1';
const IMPLICIT_LE = '1.2.840.10008.1.2';
export const KNOWN_PEER = 'KNOWN';

/** Milliseconds of one whole C-ECHO on an association of its own. */
export async function timeEcho(system: TestSystem, callingAeTitle = KNOWN_PEER, timeoutMs = 10_000): Promise<number> {
  const started = performance.now();
  const association = await connect({
    host: system.host,
    port: system.port,
    calledAeTitle: system.aeTitle,
    callingAeTitle,
    contexts: [{ abstractSyntax: VERIFICATION, transferSyntaxes: [IMPLICIT_LE] }],
    connectTimeoutMs: timeoutMs,
    responseTimeoutMs: timeoutMs,
  });
  try {
    const { status } = await association.echo();
    if (status !== 0) throw new Error(`C-ECHO was answered with ${status.toString(16)}`);
    return performance.now() - started;
  } finally {
    await association.release().catch(() => undefined);
  }
}
