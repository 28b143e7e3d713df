/** Hostile JSON: messages with values of other kinds, searches with patterns that look for weak matchers. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot, type Random } from '@archipelago/testing';

const ODD: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  1e308,
  2 ** 53,
  '',
  'x'.repeat(10_000),
  '../../etc/passwd',
  '\u0000',
  '\ud800',
  [],
  {},
  [[]],
  [null],
  { length: -1 },
  '1'.repeat(400),
  Array.from({ length: 1000 }, (_, n) => n),
];

const odd = (random: Random): unknown => structuredClone(random.pick(ODD));

/** A copy with one to three places changed: another value, a missing or a repeated one. */
export function replaceSomewhere(value: unknown, random: Random): unknown {
  let copy = structuredClone(value);
  for (let n = random.int(1, 3); n > 0; n--) copy = change(copy, random, 0);
  return copy;
}

function change(value: unknown, random: Random, depth: number): unknown {
  const down = typeof value === 'object' && value !== null && !(depth > 0 && random.chance(0.15));
  if (!down) return random.chance(0.2) && typeof value === 'number' ? value + random.int(-2, 2) : odd(random);
  const keys = Object.keys(value);
  if (keys.length === 0) return odd(random);
  const key = random.pick(keys);
  const holder = value as Record<string, unknown>;
  const what = random.int(0, 9);
  if (what === 0) delete holder[key];
  else if (what === 1 && Array.isArray(value)) value.push(...structuredClone((value as unknown[]).slice(0, 3)));
  else holder[key] = change(holder[key], random, depth + 1);
  return value;
}

let golden: unknown[] | undefined;
function goldenMessages(): unknown[] {
  if (golden) return golden;
  const folder = join(repositoryRoot(), 'libs', 'contracts', 'golden');
  golden = readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .flatMap((name) => {
      const { message, reply } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as {
        message: { payload: unknown };
        reply?: unknown;
      };
      return [message, message.payload, ...(reply === undefined ? [] : [reply])];
    });
  return golden;
}

export function mutateJson(random: Random): Buffer {
  const bytes = Buffer.from(JSON.stringify(replaceSomewhere(random.pick(goldenMessages()), random)));
  if (random.chance(0.1)) bytes[random.int(0, bytes.length - 1)] = random.int(0, 255);
  return bytes;
}

/** Values that look for weak spots: wildcards, LIKE and regular expression characters, dates, names, lengths. */
export function hostileValue(random: Random): string {
  const n = random.int(1, random.chance(0.1) ? 5000 : 40);
  const pieces = [
    '*',
    '?',
    '*?',
    '%',
    '_',
    '\\',
    "'",
    '"',
    ';',
    '--',
    '(a+)+$',
    '.*',
    '[',
    '\u0000',
    'Ä',
    '𝒳',
    '\ud800',
    '^',
    '=',
    '-',
    '20260101',
    '235959.999999',
    '+0100',
    '1.2.840',
    "' OR '1'='1",
    '$1',
    '\u202e',
    ' ',
    '\n',
    '\u0130',
    'ﬃ',
  ];
  if (random.chance(0.3)) return random.pick(pieces).repeat(n);
  return Array.from({ length: Math.min(n, 200) }, () => random.pick(pieces)).join('');
}

const TAGS = [
  '00100010',
  '00100020',
  '00100030',
  '00100040',
  '00080020',
  '00080030',
  '00080050',
  '00080060',
  '00080061',
  '0020000D',
  '0020000E',
  '00080018',
  '00080016',
  '00080090',
  '00081030',
  '00200010',
  '00200011',
  '00200013',
  '00400275',
  '00081110',
  '00101002',
  '7FE00010',
  '00091001',
  'FFFFFFFF',
];
const VRS = ['PN', 'LO', 'DA', 'TM', 'DT', 'UI', 'CS', 'SH', 'IS', 'DS', 'US', 'SQ', 'UN', 'OB', 'AT'];

/** The payload of a search. */
export function hostileKeys(random: Random): unknown {
  const keys = (depth: number): unknown[] =>
    Array.from({ length: random.int(0, depth > 0 ? 3 : 8) }, () => ({
      tag: random.pick(TAGS),
      vr: random.pick(VRS),
      values: Array.from({ length: random.int(0, 3) }, () => hostileValue(random)),
      ...(random.chance(0.3) && depth < 12 ? { items: [keys(depth + 1)] } : {}),
    }));
  return {
    principal: { kind: 'peer', site: 'main', name: hostileValue(random).slice(0, 16) },
    model: random.pick(['patient-root', 'study-root', 'patientless']),
    level: random.pick(['PATIENT', 'STUDY', 'SERIES', 'IMAGE']),
    keys: keys(0),
    relational: random.chance(0.5),
    combinedDateTime: random.chance(0.5),
    fuzzyNames: random.chance(0.5),
    ...(random.chance(0.3) ? { timezone: hostileValue(random).slice(0, 20) } : {}),
    ...(random.chance(0.2) ? { cursor: hostileValue(random) } : {}),
  };
}
