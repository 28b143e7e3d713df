import { lookupKeyword, transferSyntaxes } from '@archipelago/dicom-core';
import type { Expression } from './expression';
import {
  CONTEXT_FIELDS,
  LIMITS,
  type Action,
  type Destination,
  type MapSource,
  type ObscureMethod,
  type Table,
} from './model';
import { checkTag, readAssignments, vrOf } from './parse-values';
import type { Place, Source } from './source';
import { celTypeOf } from './tag-types';
import { valueProblem } from './value-check';

/** Names that exist; a kind that is not given is not checked. */
export interface KnownNames {
  archives?: readonly string[];
  sites?: readonly string[];
  modalities?: readonly string[];
  persons?: readonly string[];
  workstations?: readonly string[];
  users?: readonly string[];
  steps?: readonly string[];
}

export interface ActionContext {
  source: Source;
  tables: Readonly<Record<string, Table>>;
  known: KnownNames;
  /** Told of each expression that the actions hold. */
  compiled: (expression: Expression) => void;
}

type Reader = (place: Place, context: ActionContext) => Action | null;

const READERS: Record<Action['kind'], Reader> = {
  coerce: (place, context) => assignments('coerce', place, context),
  set: (place, context) => assignments('set', place, context),
  map: readMap,
  route: readRoute,
  prefetch: readPrefetch,
  deny: readDeny,
  hide: readHide,
  obscure: readObscure,
  compress: readCompress,
};

/** One action: a map of one key, its kind. */
export function readAction(place: Place, context: ActionContext): Action | null {
  const fields = context.source.fields(place, Object.keys(READERS), 'an action');
  if (!fields) return null;
  const kinds = [...fields.keys()].filter((key) => key in READERS);
  if (kinds.length !== 1) {
    if (kinds.length > 1 || fields.size === 0) {
      context.source.error('wrong-type', `an action is one of ${Object.keys(READERS).join(', ')}`, place);
    }
    return null;
  }
  return READERS[kinds[0] as Action['kind']](fields.get(kinds[0]) as Place, context);
}

function assignments(kind: 'coerce' | 'set', place: Place, { source, compiled }: ActionContext): Action {
  return { kind, values: readAssignments(source, place, kind, compiled) };
}

function readMap(place: Place, { source, tables }: ActionContext): Action | null {
  const fields = source.fields(place, ['tag', 'table', 'from', 'otherwise'], 'map');
  if (!fields) return null;
  const tag = required(source, fields, 'tag', place);
  const name = required(source, fields, 'table', place);
  if (tag === null || name === null) return null;
  const tagPlace = fields.get('tag') as Place;
  if (!checkTag(source, tag, tagPlace, true)) return null;
  const table = Object.hasOwn(tables, name) ? tables[name] : undefined;
  if (!table) {
    source.error('unknown-table', `no table ${name}`, fields.get('table') as Place);
    return null;
  }
  const wrong = table.rows.find(([, to]) => to !== '' && valueProblem(tag, [to]) !== undefined);
  if (wrong) {
    const problem = valueProblem(tag, [wrong[1]]) as string;
    source.error('value', `${tag}: what table ${name} gives for "${wrong[0]}" does not fit: ${problem}`, tagPlace);
  }
  const otherwise = fields.has('otherwise') ? source.text(fields.get('otherwise') as Place, 'otherwise') : 'keep';
  if (otherwise !== 'keep' && otherwise !== 'empty') {
    source.error('wrong-type', 'otherwise is keep or empty', fields.get('otherwise') as Place);
  }
  const from = fields.has('from') ? readFrom(source, fields.get('from') as Place) : { tag };
  return from && { kind: 'map', tag, table: name, from, otherwise: otherwise === 'empty' ? 'empty' : 'keep' };
}

function readFrom(source: Source, place: Place): MapSource | null {
  const text = source.text(place, 'from');
  if (text === null) return null;
  if (text.startsWith('ctx.')) {
    const field = text.slice(4);
    if ((CONTEXT_FIELDS as readonly string[]).includes(field)) return { ctx: field };
    source.error('wrong-type', `no field ${field} in ctx; one of ${CONTEXT_FIELDS.join(', ')}`, place);
    return null;
  }
  const keyword = text.replace(/^tags\./, '');
  const entry = lookupKeyword(keyword);
  if (!entry) source.error('unknown-tag', `no attribute ${keyword}`, place);
  else if (!celTypeOf(entry)) source.error('wrong-type', `${keyword} is ${entry.vr}: it has no text to look up`, place);
  else return { tag: keyword };
  return null;
}

function readDestinations(fields: Map<string, Place>, { source, known }: ActionContext): Destination[] {
  const to: Destination[] = [];
  for (const kind of ['archive', 'workstation'] as const) {
    const place = fields.get(kind);
    if (!place) continue;
    const names = kind === 'archive' ? known.archives : known.workstations;
    for (const { text, place: at } of source.texts(place, kind) ?? []) {
      if (names && !names.includes(text)) source.error('unknown-name', `no ${kind} ${text}`, at);
      to.push({ [kind]: text } as Destination);
    }
  }
  return to;
}

function readRoute(place: Place, context: ActionContext): Action | null {
  const fields = context.source.fields(place, ['archive', 'workstation'], 'route');
  if (!fields) return null;
  const to = readDestinations(fields, context);
  if (to.length === 0) context.source.error('missing', 'route names an archive or a workstation', place);
  return { kind: 'route', to };
}

function readPrefetch(place: Place, { source }: ActionContext): Action | null {
  const fields = source.fields(place, ['studies', 'maxAgeYears', 'modalities', 'same'], 'prefetch');
  if (!fields) return null;
  const number = (key: string, most: number): number | undefined => {
    const at = fields.get(key);
    return at ? (source.integer(at, key, 1, most) ?? undefined) : undefined;
  };
  const texts = (key: string) => (fields.has(key) ? (source.texts(fields.get(key) as Place, key) ?? []) : []);
  const same = texts('same');
  for (const { text, place: at } of same) {
    const entry = lookupKeyword(text);
    if (!entry) source.error('unknown-tag', `no attribute ${text}`, at);
    else if (!celTypeOf(entry)) source.error('wrong-type', `${text} is ${entry.vr}: it cannot be compared`, at);
  }
  const maxAgeYears = number('maxAgeYears', 200);
  return {
    kind: 'prefetch',
    studies: number('studies', 1000) ?? 3,
    ...(maxAgeYears === undefined ? {} : { maxAgeYears }),
    modalities: texts('modalities').map(({ text }) => text),
    same: same.map(({ text }) => text),
  };
}

function readDeny(place: Place, { source }: ActionContext): Action | null {
  const fields = source.fields(place, ['reason'], 'deny');
  const reason = fields && required(source, fields, 'reason', place);
  return reason === null ? null : { kind: 'deny', reason };
}

function readTags(source: Source, place: Place, what: string, valued: boolean): { text: string; place: Place }[] {
  return (source.texts(place, what) ?? []).filter(({ text, place: at }) => checkTag(source, text, at, valued));
}

function readHide(place: Place, { source }: ActionContext): Action {
  const tags = readTags(source, place, 'hide', false);
  if (tags.length === 0 && !source.hasErrors) source.error('missing', 'hide names no attribute', place);
  return { kind: 'hide', tags: tags.map(({ text }) => text) };
}

const METHODS: Record<ObscureMethod, readonly string[] | undefined> = {
  blank: undefined,
  initials: ['PN'],
  year: ['DA', 'DT'],
};

function readObscure(place: Place, { source }: ActionContext): Action | null {
  const fields = source.fields(place, ['tags', 'by', 'level'], 'obscure');
  if (!fields) return null;
  const level = fields.has('level') ? source.text(fields.get('level') as Place, 'level') : null;
  const by = fields.has('by') ? source.text(fields.get('by') as Place, 'by') : 'blank';
  if (by === null || !(by in METHODS)) {
    source.error('wrong-type', `by is one of ${Object.keys(METHODS).join(', ')}`, fields.get('by') as Place);
    return null;
  }
  const tags = fields.has('tags') ? readTags(source, fields.get('tags') as Place, 'tags', by !== 'blank') : [];
  if (!fields.has('tags') && level === null) source.error('missing', 'obscure names tags or a level', place);
  for (const { text, place: at } of tags) {
    const allowed = METHODS[by as ObscureMethod];
    if (allowed && !allowed.includes(vrOf(text))) {
      source.error('value', `${text} is ${vrOf(text)}: ${by} is for ${allowed.join(' and ')}`, at);
    }
  }
  const names = tags.map(({ text }) => text);
  return { kind: 'obscure', tags: names, by: by as ObscureMethod, ...(level === null ? {} : { level }) };
}

function readCompress(place: Place, { source }: ActionContext): Action | null {
  const fields = source.fields(place, ['transferSyntax', 'quality'], 'compress');
  const name = fields && required(source, fields, 'transferSyntax', place);
  if (!fields || name === null) return null;
  const syntax = transferSyntaxes().find(({ uid, keyword }) => uid === name || keyword === name);
  if (!syntax?.encapsulated || syntax.video) {
    source.error(
      'value',
      `${name} is no transfer syntax that images are compressed in`,
      fields.get('transferSyntax') as Place,
    );
    return null;
  }
  const at = fields.get('quality');
  const quality = at ? source.integer(at, 'quality', 1, 100) : null;
  if (at && !syntax.lossy) source.error('value', `${syntax.keyword} loses nothing: it has no quality`, at);
  return { kind: 'compress', transferSyntax: syntax.uid, ...(quality === null ? {} : { quality }) };
}

function required(source: Source, fields: Map<string, Place>, key: string, place: Place): string | null {
  const at = fields.get(key);
  if (!at) {
    source.error('missing', `${key} is missing`, place);
    return null;
  }
  const text = source.text(at, key);
  if (text?.trim() === '') source.error('missing', `${key} is empty`, at);
  return text === '' ? null : text;
}

/** tables: { name: { match, ignoreCase, rows: { from: to } or [{ from, to }] } } */
export function readTables(source: Source, place: Place): Record<string, Table> {
  const tables: Record<string, Table> = Object.create(null) as Record<string, Table>;
  const pairs = source.pairs(place, 'tables');
  if ((pairs?.size ?? 0) > LIMITS.tables) source.error('too-large', `more than ${LIMITS.tables} tables`, place);
  for (const [key, value] of pairs ?? []) tables[key.name] = readTable(source, value);
  return tables;
}

function readTable(source: Source, place: Place): Table {
  const fields = source.fields(place, ['match', 'ignoreCase', 'rows'], 'a table');
  const matchPlace = fields?.get('match');
  const match = matchPlace ? source.text(matchPlace, 'match') : 'exact';
  if (match !== 'exact' && match !== 'prefix' && match !== 'wildcard') {
    source.error('wrong-type', 'match is exact, prefix or wildcard', matchPlace ?? place);
  }
  const flag = fields?.get('ignoreCase');
  const ignoreCase = flag ? (source.flag(flag, 'ignoreCase') ?? false) : false;
  const table = { match: (match ?? 'exact') as Table['match'], ignoreCase, rows: [] as [string, string][] };
  const rows = fields?.get('rows');
  if (!rows) {
    if (fields) source.error('missing', 'rows is missing', place);
    return table;
  }
  table.rows = readRows(source, rows, table.ignoreCase);
  const most = table.match === 'wildcard' ? LIMITS.wildcardRows : LIMITS.rows;
  if (table.rows.length > most) source.error('too-large', `more than ${most} rows`, rows);
  return table;
}

function readRows(source: Source, place: Place, ignoreCase: boolean): [string, string][] {
  const rows: [string, string][] = [];
  const seen = new Set<string>();
  const add = (from: string, to: string, at: Place): void => {
    const key = (ignoreCase ? from.toLowerCase() : from).trim();
    if (seen.has(key)) source.error('duplicate', `"${from}" stands twice`, at);
    seen.add(key);
    rows.push([from.trim(), to]);
  };
  const isList =
    Array.isArray((place.node as { items?: unknown[] }).items) && place.node?.constructor.name === 'YAMLSeq';
  if (!isList) {
    for (const [key, value] of source.pairs(place, 'rows') ?? []) {
      const to = source.isNull(value) ? '' : source.text(value, 'a row');
      if (to !== null) add(key.name, to, { node: key.node, path: value.path });
    }
    return rows;
  }
  for (const row of source.list(place, 'rows') ?? []) {
    const fields = source.fields(row, ['from', 'to'], 'a row');
    const from = fields && required(source, fields, 'from', row);
    const to = fields?.has('to') ? source.text(fields.get('to') as Place, 'to') : '';
    if (from !== null && to !== null) add(from, to, row);
  }
  return rows;
}
