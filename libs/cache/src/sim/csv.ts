import { Trace } from './trace';

export interface ParsedTrace {
  trace: Trace;
  /** What was made of what was not as expected; for people. */
  notes: string[];
}

const COLUMNS = ['time', 'study', 'bytes', 'fetch_ms'] as const;

/** Fields of one line; a field in double quotes may hold the separator and doubled quotes. No line breaks in fields. */
function fields(line: string, separator: string): string[] {
  if (!line.includes('"')) return line.split(separator).map((field) => field.trim());
  const found: string[] = [];
  let field = '';
  let quoted = false;
  for (let i = 0; i < line.length; i++) {
    const char = line[i]!;
    if (char === '"') {
      if (quoted && line[i + 1] === '"') field += line[++i]!;
      else quoted = !quoted;
    } else if (char === separator && !quoted) {
      found.push(field.trim());
      field = '';
    } else field += char;
  }
  return [...found, field.trim()];
}

/** Seconds from a number (seconds; above 1e11 it can only be milliseconds since 1970) or an ISO 8601 date and time. */
function seconds(text: string): number {
  const number = text === '' ? NaN : Number(text);
  if (Number.isFinite(number)) return Math.abs(number) > 1e11 ? number / 1000 : number;
  const zoned = /(?:[zZ]|[+-]\d\d:?\d\d)$/.test(text) || /^\d{4}-\d\d-\d\d$/.test(text) ? text : `${text}Z`;
  return Date.parse(zoned.replace(/^(\d{4}-\d\d-\d\d) /, '$1T')) / 1000;
}

function* lines(text: string | Buffer): Generator<string> {
  let from = 0;
  while (from < text.length) {
    let to = text.indexOf('\n', from);
    if (to < 0) to = text.length;
    const line = text.slice(from, to);
    yield typeof line === 'string' ? line : line.toString('utf8');
    from = to + 1;
  }
}

/**
 * Reads a trace of accesses: a header with `time,study,bytes,fetch_ms` in any order and case (more columns are passed
 * over; comma, semicolon or tab), then one access a line. Times in seconds or ISO 8601 (UTC unless they say otherwise).
 * Lines that cannot be read are left out and counted; accesses out of order are sorted by time.
 *
 * @throws Error when the header lacks a column, or no line can be read
 */
export function parseTrace(text: string | Buffer, name: string): ParsedTrace {
  const notes: string[] = [];
  let order: number[] | undefined;
  let separator = ',';
  let number = 0;
  let bad = 0;
  let firstBad = 0;
  const names: string[] = [];
  const index = new Map<string, number>();
  const study: number[] = [];
  const time: number[] = [];
  const bytes: number[] = [];
  const fetchMs: number[] = [];
  for (const raw of lines(text)) {
    number++;
    const line = raw.replace(/^\ufeff/, '').trim();
    if (line === '' || line.startsWith('#')) continue;
    if (!order) {
      separator = [',', ';', '\t'].find((each) => line.includes(each)) ?? ',';
      const header = fields(line, separator).map((field) => field.toLowerCase());
      order = COLUMNS.map((column) => header.indexOf(column));
      const missing = COLUMNS.filter((_, i) => order![i]! < 0);
      if (missing.length > 0) throw new Error(`${name}, line ${number}: the header lacks ${missing.join(', ')}`);
      continue;
    }
    const row = fields(line, separator);
    const [at, id, size, cost] = order.map((column) => row[column] ?? '') as [string, string, string, string];
    const values = [seconds(at), size === '' ? NaN : Number(size), cost === '' ? 0 : Number(cost)];
    if (id === '' || !values.every((value, i) => Number.isFinite(value) && (i === 0 || value >= 0))) {
      bad++;
      firstBad ||= number;
      continue;
    }
    let known = index.get(id);
    if (known === undefined) {
      known = names.push(id) - 1;
      index.set(id, known);
    }
    study.push(known);
    time.push(values[0]!);
    bytes.push(values[1]!);
    fetchMs.push(values[2]!);
  }
  if (!order) throw new Error(`${name}: empty; expected a header ${COLUMNS.join(',')}`);
  if (study.length === 0) throw new Error(`${name}: no access could be read`);
  if (bad > 0) notes.push(`${bad} lines could not be read and were left out, line ${firstBad} the first`);
  const sorted = Uint32Array.from(study.keys());
  if (time.some((each, i) => i > 0 && each < time[i - 1]!)) {
    sorted.sort((a, b) => time[a]! - time[b]! || a - b);
    notes.push('accesses were not in order of time and have been sorted');
  }
  const trace: Trace = {
    name,
    names,
    study: Uint32Array.from(sorted, (i) => study[i]!),
    time: Float64Array.from(sorted, (i) => time[i]!),
    bytes: Float64Array.from(sorted, (i) => bytes[i]!),
    fetchMs: Float64Array.from(sorted, (i) => fetchMs[i]!),
  };
  return { trace, notes };
}

/** The trace as such a file. */
export function formatTrace(trace: Trace): string {
  const rows = Array.from(
    trace.study,
    (study, i) => `${trace.time[i]!.toFixed(3)},${trace.names[study]!},${trace.bytes[i]!},${trace.fetchMs[i]!}`,
  );
  return `${COLUMNS.join(',')}\n${rows.join('\n')}\n`;
}
