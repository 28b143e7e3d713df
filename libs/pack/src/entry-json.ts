/**
 * Entries as JSON, in the trailer (context and tables) and in the index (all of PackEntry). Tables are flat number
 * arrays: a multi-frame object may have 100,000 fragments. Decoding trusts nothing: packs come from disks and networks.
 */
import { transferSyntax } from '@archipelago/dicom-core';
import type { LeftOutValue, PixelTable } from '@archipelago/dicom-encoding';
import type { EntryContext, HarvestLevel, Origin, PackEntry, PackIndex } from './api';
import { PackFormatError } from './errors';
import { LIMITS, isPackId, parseObject } from './format';

const ORIGINS: readonly Origin[] = ['acquired', 'derived', 'fetched', 'migrated'];
const HARVEST_LEVELS: readonly HarvestLevel[] = ['study', 'series', 'image', 'full'];
const MAX_TEXT = 1024;
const MAX_WARNINGS = 1000;
const MAX_PATH = 256;

type Json = Record<string, unknown>;
type Tables = Pick<PackEntry, 'leftOut' | 'pixel'>;

function fail(field: string): never {
  throw new PackFormatError(`entry: wrong ${field}`);
}

function text(value: unknown, field: string): string {
  return typeof value === 'string' && value.length <= MAX_TEXT ? value : fail(field);
}

function count(value: unknown, field: string): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : fail(field);
}

function list(value: unknown, field: string): unknown[] {
  return Array.isArray(value) ? value : fail(field);
}

function counts(value: unknown, field: string): number[] {
  const items = list(value, field);
  for (const item of items) count(item, field);
  return items as number[];
}

function hexDigest(value: unknown, field: string): string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value) ? value : fail(field);
}

/**
 * Context and tables in the order of the JSON; leftOut: [vr, offset, length, path...] each. One literal: an object that is
 * spread and then added to gets a shape of its own for each property, every time, which costs more than all the rest.
 */
function encodeFields(c: EntryContext, t: Tables): Json {
  const p = t.pixel;
  return {
    origin: c.origin,
    source: c.source,
    callingAeTitle: c.callingAeTitle,
    calledAeTitle: c.calledAeTitle,
    remoteAddress: c.remoteAddress,
    site: c.site,
    receivedAt: c.receivedAt,
    sopClassUid: c.sopClassUid,
    sopInstanceUid: c.sopInstanceUid,
    transferSyntaxUid: c.transferSyntaxUid,
    // JSON has no undefined: an object has no such field
    harvest: c.harvest,
    warnings: c.warnings.slice(0, MAX_WARNINGS).map((w) => w.slice(0, MAX_TEXT)),
    leftOut: t.leftOut.map((v) => [v.vr, v.offset, v.length, ...v.path]),
    pixel: p && {
      tag: p.tag,
      vr: p.vr,
      offset: p.offset,
      length: p.length,
      encapsulated: p.encapsulated,
      fragments: p.fragments.flatMap((f) => [f.offset, f.length]),
      offsetTable: p.offsetTable,
      frameStarts: p.frameStarts,
    },
  };
}

function decodeContext(v: Json): EntryContext {
  const warnings = list(v.warnings, 'warnings');
  if (warnings.length > MAX_WARNINGS) fail('warnings');
  const context: EntryContext = {
    origin: ORIGINS.find((o) => o === v.origin) ?? fail('origin'),
    source: text(v.source, 'source'),
    callingAeTitle: text(v.callingAeTitle, 'callingAeTitle'),
    calledAeTitle: text(v.calledAeTitle, 'calledAeTitle'),
    remoteAddress: text(v.remoteAddress, 'remoteAddress'),
    site: text(v.site, 'site'),
    receivedAt: text(v.receivedAt, 'receivedAt'),
    sopClassUid: text(v.sopClassUid, 'sopClassUid'),
    sopInstanceUid: text(v.sopInstanceUid, 'sopInstanceUid'),
    transferSyntaxUid: text(v.transferSyntaxUid, 'transferSyntaxUid'),
    warnings: warnings.map((w) => text(w, 'warnings')),
  };
  if (v.harvest !== undefined) context.harvest = HARVEST_LEVELS.find((l) => l === v.harvest) ?? fail('harvest');
  return context;
}

function within(offset: number, length: number, datasetLength: number, field: string): void {
  if (offset + length > datasetLength) fail(field);
}

function decodeLeftOut(value: unknown, datasetLength: number): LeftOutValue {
  const [vr, offset, length, ...path] = list(value, 'leftOut');
  if (path.length > MAX_PATH) fail('leftOut');
  const out = {
    vr: text(vr, 'leftOut'),
    offset: count(offset, 'leftOut'),
    length: count(length, 'leftOut'),
    path: counts(path, 'leftOut'),
  };
  within(out.offset, out.length, datasetLength, 'leftOut');
  return out;
}

function decodePixel(value: unknown, datasetLength: number): PixelTable | null {
  if (value === null) return null;
  if (typeof value !== 'object') fail('pixel');
  const v = value as Json;
  const flat = counts(v.fragments, 'fragments');
  if (flat.length % 2 !== 0) fail('fragments');
  const fragments: PixelTable['fragments'] = [];
  for (let i = 0; i < flat.length; i += 2) {
    within(flat[i]!, flat[i + 1]!, datasetLength, 'fragments');
    fragments.push({ offset: flat[i]!, length: flat[i + 1]! });
  }
  const table: PixelTable = {
    tag: count(v.tag, 'pixel'),
    vr: text(v.vr, 'pixel'),
    offset: count(v.offset, 'pixel'),
    length: count(v.length, 'pixel'),
    encapsulated: typeof v.encapsulated === 'boolean' ? v.encapsulated : fail('pixel'),
    fragments,
    offsetTable: counts(v.offsetTable, 'offsetTable'),
  };
  within(table.offset, table.length, datasetLength, 'pixel');
  if (v.frameStarts !== undefined) table.frameStarts = counts(v.frameStarts, 'frameStarts');
  return table;
}

function decodeTables(v: Json, datasetLength: number): Tables {
  return {
    leftOut: list(v.leftOut, 'leftOut').map((item) => decodeLeftOut(item, datasetLength)),
    pixel: decodePixel(v.pixel, datasetLength),
  };
}

/**
 * The trailer's JSON. What readers of the format would refuse must not be acknowledged, for nobody could index the pack:
 * it is checked as they do.
 * @throws PackFormatError
 */
export function encodeEntryJson(context: EntryContext, tables: Tables, datasetLength: number): Buffer {
  const value = encodeFields(context, tables);
  decodeEntry(value, datasetLength);
  return Buffer.from(JSON.stringify(value), 'utf8');
}

/** @throws PackFormatError */
export function decodeEntryJson(json: Buffer, datasetLength: number): EntryContext & Tables {
  return decodeEntry(parseObject(json, 'entry'), datasetLength);
}

function decodeEntry(value: Json, datasetLength: number): EntryContext & Tables {
  const context = decodeContext(value);
  return Object.assign(context, decodeTables(value, tableBound(context, datasetLength)));
}

/** Tables of a deflated dataset (PS3.5 A.5) count inflated bytes: how many there are is not known from its length. */
function tableBound({ transferSyntaxUid }: EntryContext, datasetLength: number): number {
  return transferSyntax(transferSyntaxUid).deflated ? Number.MAX_SAFE_INTEGER : datasetLength;
}

export function encodeIndex(index: PackIndex): Buffer {
  const { format, packId, edgeId, site, createdAt, sealedAt } = index;
  const entries = index.entries.map((e) =>
    Object.assign(encodeFields(e, e), {
      offset: e.offset,
      length: e.length,
      datasetOffset: e.datasetOffset,
      datasetLength: e.datasetLength,
      wireDigest: e.wireDigest,
      headerDigest: e.headerDigest,
      headerOffset: e.headerOffset,
      headerLength: e.headerLength,
      headerRawLength: e.headerRawLength,
    }),
  );
  return Buffer.from(JSON.stringify({ format, packId, edgeId, site, createdAt, sealedAt, entries }), 'utf8');
}

/** Where entries and header blocks must lie. */
export interface IndexBounds {
  entries: number;
  tailOffset: number;
  indexOffset: number;
}

function decodeIndexEntry(
  value: unknown,
  ordinal: number,
  after: number,
  headerAt: number,
  bounds: IndexBounds,
): PackEntry {
  if (typeof value !== 'object' || value === null) fail('entry');
  const v = value as Json;
  const datasetLength = count(v.datasetLength, 'datasetLength');
  const context = decodeContext(v);
  const tables = decodeTables(v, tableBound(context, datasetLength));
  const entry: PackEntry = {
    ordinal,
    ...context,
    ...tables,
    offset: count(v.offset, 'offset'),
    length: count(v.length, 'length'),
    datasetOffset: count(v.datasetOffset, 'datasetOffset'),
    datasetLength,
    wireDigest: hexDigest(v.wireDigest, 'wireDigest'),
    headerDigest: hexDigest(v.headerDigest, 'headerDigest'),
    headerOffset: count(v.headerOffset, 'headerOffset'),
    headerLength: count(v.headerLength, 'headerLength'),
    headerRawLength: count(v.headerRawLength, 'headerRawLength'),
  };
  const metaLength = entry.datasetOffset - entry.offset;
  if (entry.offset < after || metaLength < 0 || metaLength > LIMITS.metaBytes) fail('offset');
  if (entry.length !== metaLength + datasetLength || entry.offset + entry.length > bounds.tailOffset) fail('length');
  if (entry.headerLength > LIMITS.headerBytes || entry.headerRawLength > LIMITS.headerRawBytes) fail('headerLength');
  if (entry.headerOffset !== headerAt || headerAt + entry.headerLength > bounds.indexOffset) fail('headerOffset');
  return entry;
}

/** Entries ascend without overlap, and header blocks lie side by side from tailOffset to indexOffset. @throws PackFormatError */
export function decodeIndex(json: Buffer, bounds: IndexBounds): PackIndex {
  const v = parseObject(json, 'index');
  if (v.format !== 1 || !isPackId(v.packId) || !isPackId(v.edgeId)) throw new PackFormatError('index: wrong identity');
  const items = list(v.entries, 'entries');
  if (items.length !== bounds.entries) throw new PackFormatError('index: wrong number of entries');
  const entries: PackEntry[] = [];
  let after = 0;
  let headerAt = bounds.tailOffset;
  for (const item of items) {
    const entry = decodeIndexEntry(item, entries.length, after, headerAt, bounds);
    after = entry.offset + entry.length;
    headerAt += entry.headerLength;
    entries.push(entry);
  }
  if (headerAt !== bounds.indexOffset) throw new PackFormatError('index: bytes between header blocks and index');
  return {
    format: 1,
    packId: v.packId,
    edgeId: v.edgeId,
    site: text(v.site, 'site'),
    createdAt: text(v.createdAt, 'createdAt'),
    sealedAt: text(v.sealedAt, 'sealedAt'),
    entries,
  };
}
