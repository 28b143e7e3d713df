/** Options of `archive add` and `archive set`, as the registry takes them. */
import { parseArgs } from 'node:util';
import { ArchiveV1Schema, HarvestDepth } from '@archipelago/contracts';
import { UsageError } from '../command';

export const SETTINGS_HELP = `  --ae AETITLE             its AE title
  --host HOST --port PORT  where it listens
  --tls true|false         TLS
  --site SITE              site whose edges reach it (default main)
  --issuer ISSUER          assigning authority of its PatientIDs
  --dicomweb URL           root of its DICOMweb service
  --depth DEPTH            ${HarvestDepth.options.join(', ')} (default full)
  --fetch-ae AETITLE       AE title that its C-MOVE sub-operations go to (default ARCHFETCH)
  --associations N         most associations at a time (default 4)
  --requests-per-second N  queries and retrievals begun a second; 0: unbounded (default)
  --harvest-bytes-per-second N  bytes that reading whole headers may move; 0: unbounded (default)
  --harvest-hours LIST     hours of the day in which it is read, e.g. 20-23,0-5; empty: always (default)
  --json                   answer as JSON`;

const text = { type: 'string' } as const;
const OPTIONS = {
  ae: text,
  host: text,
  port: text,
  tls: text,
  site: text,
  issuer: text,
  dicomweb: text,
  depth: text,
  'fetch-ae': text,
  associations: text,
  'requests-per-second': text,
  'harvest-bytes-per-second': text,
  'harvest-hours': text,
  json: { type: 'boolean', default: false },
} as const;

export interface GivenSettings {
  name: string;
  json: boolean;
  settings: Record<string, unknown>;
}

export function parseSettings(args: string[]): GivenSettings {
  const { values, positionals } = parseArgs({ args, allowPositionals: true, options: OPTIONS });
  const [name, ...rest] = positionals;
  if (name === undefined || rest.length > 0) throw new UsageError('expected the name of one archive');
  const budget = {
    associations: number('associations', values.associations),
    requestsPerSecond: number('requests-per-second', values['requests-per-second']),
    harvestBytesPerSecond: number('harvest-bytes-per-second', values['harvest-bytes-per-second']),
    harvestHours: values['harvest-hours'] === undefined ? undefined : parseHours(values['harvest-hours']),
  };
  const settings = defined({
    aeTitle: values.ae,
    host: values.host,
    port: number('port', values.port),
    tls: values.tls === undefined ? undefined : boolean(values.tls),
    site: values.site,
    issuer: values.issuer === '' ? null : values.issuer,
    dicomWebUrl: values.dicomweb === '' ? null : values.dicomweb,
    depth: values.depth,
    fetchAeTitle: values['fetch-ae'],
    budget: Object.keys(defined(budget)).length > 0 ? defined(budget) : undefined,
  });
  return { name, json: values.json, settings };
}

/** What `add` needs beside what was given. @throws UsageError naming what is missing or wrong */
export function wholeSettings(given: Record<string, unknown>): Omit<Record<string, unknown>, 'name'> {
  for (const [key, option] of [
    ['aeTitle', '--ae'],
    ['host', '--host'],
    ['port', '--port'],
  ] as const) {
    if (given[key] === undefined) throw new UsageError(`${option} is missing`);
  }
  const settings = { site: 'main', fetchAeTitle: 'ARCHFETCH', budget: {}, ...given };
  const checked = ArchiveV1Schema.omit({ name: true, state: true, capabilities: true, revision: true }).safeParse(
    settings,
  );
  if (!checked.success)
    throw new UsageError(checked.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; '));
  return checked.data;
}

export function parseHours(list: string): number[] {
  const hours = new Set<number>();
  for (const part of list.split(',').filter((each) => each.trim() !== '')) {
    const match = /^\s*(\d{1,2})(?:-(\d{1,2}))?\s*$/.exec(part);
    const from = Number(match?.[1]);
    const to = Number(match?.[2] ?? match?.[1]);
    if (!match || from > 23 || to > 23 || to < from)
      throw new UsageError(`--harvest-hours ${list}: expected e.g. 20-23,0-5`);
    for (let hour = from; hour <= to; hour++) hours.add(hour);
  }
  return [...hours].sort((a, b) => a - b);
}

function number(option: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const result = Number(value);
  if (value.trim() === '' || !Number.isFinite(result) || result < 0)
    throw new UsageError(`--${option} ${value}: expected a number`);
  return result;
}

function boolean(value: string): boolean {
  if (value === 'true') return true;
  if (value === 'false') return false;
  throw new UsageError(`--tls ${value}: expected true or false`);
}

function defined<T extends object>(value: T): Partial<T> {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as Partial<T>;
}
