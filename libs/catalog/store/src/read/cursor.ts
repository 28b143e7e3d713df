import { InvalidCursorError } from '../errors';

type Part = string | number;

/** An opaque cursor: the kind of query it belongs to, and the sort key of the last row given. */
export function writeCursor(kind: string, key: readonly Part[]): string {
  return Buffer.from(JSON.stringify([kind, ...key])).toString('base64url');
}

/**
 * @param shape type of each part of the key
 * @throws InvalidCursorError for anything that `writeCursor` did not make for this kind
 */
export function readCursor(cursor: string, kind: string, shape: readonly ('text' | 'integer')[]): Part[] {
  let parts: unknown;
  try {
    parts = cursor.length <= 2048 ? JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')) : null;
  } catch {
    throw new InvalidCursorError();
  }
  if (!Array.isArray(parts) || parts[0] !== kind || parts.length !== shape.length + 1) throw new InvalidCursorError();
  const key: unknown[] = parts.slice(1);
  const fits = key.every((part, i) => (shape[i] === 'text' ? isText(part) : isInteger(part)));
  if (!fits) throw new InvalidCursorError();
  return key as Part[];
}

function isText(part: unknown): boolean {
  return typeof part === 'string' && !part.includes('\u0000') && !/\p{Surrogate}/u.test(part);
}

/** Bigints travel as digits. */
function isInteger(part: unknown): boolean {
  return typeof part === 'string' && /^-?\d{1,18}$/.test(part);
}
