import type { LoggerService } from '@nestjs/common';
import pino, { type DestinationStream, type Logger as PinoLogger } from 'pino';
import { ArchipelagoError, errorCode } from '../errors';

/**
 * Fields that may be logged. Everything else is left out and counted: a patient's name cannot get into a log by being
 * passed along with an object. Ids and digests of ours, counts, durations, protocol codes and AE titles only.
 */
const ALLOWED_FIELDS = new Set([
  'service',
  'context',
  'event',
  'code',
  'kind',
  'reason',
  'err',
  'status',
  'outcome',
  'state',
  'attempt',
  'attempts',
  'packId',
  'edgeId',
  'site',
  'store',
  'key',
  'bytes',
  'entries',
  'instances',
  'answers',
  'duplicates',
  'differences',
  'count',
  'milliseconds',
  'seconds',
  'ms',
  'associationId',
  'callingAeTitle',
  'calledAeTitle',
  'remoteAddress',
  'remotePort',
  'host',
  'port',
  'url',
  'pid',
  'subject',
  'stream',
  'consumer',
  'sequence',
  'messageId',
  'eventId',
  'trace',
  'contract',
  'lease',
  'token',
  'migration',
  'component',
  'signal',
  'exitCode',
  'version',
  'sopClassUid',
  'transferSyntaxUid',
  'presentationContextId',
  'commandField',
  'pduType',
  'abortSource',
  'abortReason',
  'rejectReason',
  'path',
  'segment',
  'studyId',
  'seriesId',
  'instanceId',
  'revision',
  'free',
  'total',
  'queue',
  'pending',
  'lag',
  'child',
  'peer',
  'archive',
  'method',
  'route',
  'missing',
  'damaged',
  'unknown',
  'verified',
  'requested',
  'remaining',
  'completed',
  'failed',
  'warning',
]);

const MAX_TEXT = 512;

function bounded(text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters would break the line for its reader
  const clean = text.replace(/[\u0000-\u001F\u007F]/g, ' ');
  return clean.length > MAX_TEXT ? `${clean.slice(0, MAX_TEXT)}...` : clean;
}

/** Servers quote the offending value in their messages (PostgreSQL: `invalid input syntax ... "value"`): cut it out. */
function scrub(message: string): string {
  return bounded(message.replace(/"[^"]*"|'[^']*'|`[^`]*`|=\([^)]*\)/g, '"..."'));
}

function describeError(error: unknown, depth = 0): Record<string, unknown> {
  if (!(error instanceof Error)) return { type: typeof error };
  const own = error instanceof ArchipelagoError;
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  return {
    type: error.name,
    code: errorCode(error),
    message: own ? bounded(error.message) : scrub(error.message),
    // where it happened, without the message that V8 puts before the frames
    stack: frames
      .slice(0, 12)
      .map((line) => line.trim())
      .join(' | '),
    ...(error.cause !== undefined && depth < 3 ? { cause: describeError(error.cause, depth + 1) } : {}),
  };
}

function allowed(value: unknown): unknown {
  if (typeof value === 'string') return bounded(value);
  if (typeof value === 'number' || typeof value === 'boolean' || value === null || value === undefined) return value;
  if (typeof value === 'bigint') return value.toString();
  return '[left out]';
}

/** Keeps allowed fields with scalar values; `fieldsLeftOut` counts the rest, so that a forgotten one is noticed. */
export function allowedFields(fields: Record<string, unknown>): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  let left = 0;
  for (const [name, value] of Object.entries(fields)) {
    if (!ALLOWED_FIELDS.has(name)) left++;
    else result[name] = name === 'err' ? describeError(value) : allowed(value);
  }
  return left === 0 ? result : { ...result, fieldsLeftOut: left };
}

export type LogFields = Record<string, unknown>;

/** JSON lines on standard output. Messages are constant texts of ours; what varies goes into allowed fields. */
export class Logger implements LoggerService {
  private constructor(private readonly pino: PinoLogger) {}

  static create(service: string, level = 'info', destination?: DestinationStream): Logger {
    const options = {
      level,
      base: { service },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label: string) => ({ level: label }) },
    };
    return new Logger(destination === undefined ? pino(options) : pino(options, destination));
  }

  child(fields: LogFields): Logger {
    return new Logger(this.pino.child(allowedFields(fields)));
  }

  debug(message: unknown, ...rest: unknown[]): void {
    this.write('debug', message, rest);
  }

  verbose(message: unknown, ...rest: unknown[]): void {
    this.write('trace', message, rest);
  }

  info(message: unknown, ...rest: unknown[]): void {
    this.write('info', message, rest);
  }

  log(message: unknown, ...rest: unknown[]): void {
    this.write('info', message, rest);
  }

  warn(message: unknown, ...rest: unknown[]): void {
    this.write('warn', message, rest);
  }

  error(message: unknown, ...rest: unknown[]): void {
    this.write('error', message, rest);
  }

  fatal(message: unknown, ...rest: unknown[]): void {
    this.write('fatal', message, rest);
  }

  /** Nest calls with (message, [stack], context); our code with (message, fields). */
  private write(
    level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal',
    message: unknown,
    rest: unknown[],
  ): void {
    if (!this.pino.isLevelEnabled(level)) return;
    const fields: LogFields = {};
    for (const item of rest) {
      if (item instanceof Error) fields['err'] = item;
      else if (typeof item === 'object' && item !== null) Object.assign(fields, item);
      else if (typeof item === 'string' && item.length <= 64 && !item.includes('\n')) fields['context'] = item;
    }
    if (message instanceof Error) fields['err'] = message;
    const text = typeof message === 'string' ? bounded(message) : message instanceof Error ? 'error' : '[left out]';
    this.pino[level](allowedFields(fields), text);
  }
}
