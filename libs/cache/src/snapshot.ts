import { CachedHeap } from './cached-heap';
import { COLUMN_NAMES, EntryTable } from './entry-table';
import { HazardModel } from './hazard-model';
import { Observations } from './observations';
import { Objective } from './types';

const FORMAT = 'archipelago-cache-policy';
const VERSION = 1;

export class SnapshotError extends Error {
  readonly code = 'CACHE_SNAPSHOT';
}

interface Scalars {
  budget: number;
  objective: Objective;
  used: number;
  tick: number;
  time: number;
  accesses: number;
  novel: number;
  random: number;
  limit: number;
}

interface Parts {
  table: EntryTable;
  model: HazardModel;
  observations: Observations;
  cached: CachedHeap;
  pins: Set<string>;
}

/** JSON; arrays of numbers as base64 of their bytes, little endian as on every machine that Node runs on. */
export interface CachePolicySnapshot {
  format: string;
  version: number;
  /** -1e300 stands for a time before the first access. */
  state: Scalars;
  names: (string | null)[];
  free: number[];
  cached: number[];
  pins: string[];
  columns: Record<string, string>;
  model: Record<string, string>;
  observations: Record<string, string>;
}

type Numbers = Float64Array | Float32Array | Int32Array | Uint32Array | Uint16Array | Uint8Array;
const MODEL = ['weights', 'squares'] as const;
const OBSERVATIONS = ['features', 'rate', 'tick', 'end', 'slot', 'newer', 'older', 'made', 'learnt'] as const;

function pack(numbers: Numbers): string {
  return Buffer.from(numbers.buffer, numbers.byteOffset, numbers.byteLength).toString('base64');
}

function unpack(text: unknown, into: Numbers, what: string): void {
  const bytes = typeof text === 'string' ? Buffer.from(text, 'base64') : undefined;
  if (bytes?.length !== into.byteLength) throw new SnapshotError(`${what} has not the expected length`);
  new Uint8Array(into.buffer, into.byteOffset, into.byteLength).set(bytes);
}

export function writeSnapshot(state: Scalars, parts: Parts): CachePolicySnapshot {
  const { table, model, observations, cached, pins } = parts;
  const used = table.names.length;
  return {
    format: FORMAT,
    version: VERSION,
    state: { ...state, time: Math.max(-1e300, state.time) },
    names: table.names.map((each) => each ?? null),
    free: [...table.free],
    cached: [...cached.slots],
    pins: [...pins],
    columns: Object.fromEntries(COLUMN_NAMES.map((name) => [name, pack(table.columns[name].subarray(0, used))])),
    model: Object.fromEntries(MODEL.map((name) => [name, pack(model[name])])),
    observations: Object.fromEntries(OBSERVATIONS.map((name) => [name, pack(observations[name])])),
  };
}

/** Checks the snapshot, has the policy made, and fills its parts. */
export function readSnapshot<T>(from: unknown, make: (state: Scalars) => { result: T; parts: Parts }): T {
  const snapshot = from as CachePolicySnapshot | null;
  if (typeof snapshot !== 'object' || snapshot?.format !== FORMAT) throw new SnapshotError('not a snapshot');
  if (snapshot.version !== VERSION) throw new SnapshotError(`version ${String(snapshot.version)} is not supported`);
  const { names, free, cached, pins, columns, model, observations } = snapshot;
  const state = snapshot.state as Scalars | undefined;
  if (![names, free, cached, pins].every(Array.isArray) || !state) throw new SnapshotError('a part is missing');
  const numbers = [state.used, state.tick, state.time, state.accesses, state.novel, state.random, state.limit];
  if (!numbers.every(Number.isFinite) || names.length > state.limit)
    throw new SnapshotError('a number is out of range');
  const { result, parts } = make({ ...state, time: state.time === -1e300 ? -Infinity : state.time });
  const { table } = parts;
  table.names = names.map((each) => each ?? undefined);
  table.free = [...free];
  table.reserve(Math.min(state.limit, Math.max(1024, 2 ** Math.ceil(Math.log2(names.length + 1)))));
  table.names.forEach((each, slot) => each !== undefined && table.slots.set(each, slot));
  for (const name of COLUMN_NAMES) unpack(columns?.[name], table.columns[name].subarray(0, names.length), name);
  for (const name of MODEL) unpack(model?.[name], parts.model[name], name);
  for (const name of OBSERVATIONS) unpack(observations?.[name], parts.observations[name], name);
  parts.cached.slots = [...cached];
  for (const study of pins) parts.pins.add(study);
  check(table, cached, free, state.used);
  return result;
}

/** A damaged snapshot must not become a policy that counts wrongly. */
function check(table: EntryTable, cached: number[], free: number[], used: number): void {
  const { place, bytes } = table.columns;
  const placed = cached.every((slot, at) => table.names[slot] !== undefined && place[slot] === at);
  const sum = cached.reduce((all, slot) => all + (bytes[slot] ?? NaN), 0);
  const known = table.slots.size + free.length === table.names.length;
  if (!placed || sum !== used || !known || free.some((slot) => table.names[slot] !== undefined)) {
    throw new SnapshotError('its parts contradict each other');
  }
}
