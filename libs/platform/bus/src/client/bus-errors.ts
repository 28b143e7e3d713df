import { JetStreamApiError, JetStreamError } from '@nats-io/jetstream';
import { errors, RequestError } from '@nats-io/transport-node';
import { ArchipelagoError, BugError, PermanentError, TransientError } from '@archipelago/platform-service';

/** JetStream API error codes (server, jetstream_errors) that no repetition heals. */
const STREAM_CONFIG_CODES = new Set([10052, 10058, 10065]);

/** 503: nobody listens on the subject. For JetStream: no stream has it, or JetStream is off. */
export function isNoResponders(error: unknown): boolean {
  for (let e: unknown = error; e instanceof Error; e = e.cause) {
    if (e instanceof errors.NoRespondersError) return true;
    if (e instanceof RequestError && e.isNoResponders()) return true;
  }
  return false;
}

export function isTimeout(error: unknown): boolean {
  for (let e: unknown = error; e instanceof Error; e = e.cause) {
    if (e instanceof errors.TimeoutError) return true;
  }
  return false;
}

/** The stream or consumer does not exist: made again, not reported. */
export function isMissing(error: unknown): boolean {
  if (isNoResponders(error)) return true;
  if (error instanceof JetStreamApiError) return error.code === 10014 || error.code === 10059;
  return (
    error instanceof Error && /stream not found|consumer not found|consumer deleted|stream deleted/i.test(error.message)
  );
}

export function toBusError(error: unknown): ArchipelagoError {
  if (error instanceof ArchipelagoError) return error;
  const options = { cause: error };
  if (isNoResponders(error)) return new TransientError('bus-no-responders', 'nobody answers on the bus', options);
  if (isTimeout(error)) return new TransientError('bus-timeout', 'no answer on the bus in time', options);
  if (error instanceof JetStreamApiError) {
    return STREAM_CONFIG_CODES.has(error.code)
      ? new PermanentError('bus-topology', `JetStream refused a stream or consumer (${error.code})`, options)
      : new TransientError('bus-jetstream', `JetStream said no (${error.code})`, options);
  }
  if (
    error instanceof JetStreamError ||
    error instanceof errors.ConnectionError ||
    error instanceof errors.ClosedConnectionError ||
    error instanceof errors.RequestError ||
    error instanceof errors.DrainingConnectionError
  ) {
    return new TransientError('bus-away', 'NATS cannot serve now', options);
  }
  return new BugError('bus', error instanceof Error ? error.message : 'unexpected error on the bus', options);
}

/** An error as it travels in a reply. */
export interface WireError {
  kind: 'transient' | 'permanent' | 'bug';
  code: string;
  message: string;
}

export function fromWireError(error: WireError): ArchipelagoError {
  if (error.kind === 'transient') return new TransientError(error.code, error.message);
  if (error.kind === 'permanent') return new PermanentError(error.code, error.message);
  return new BugError(error.code, error.message);
}
