import { join } from 'node:path';
import { runPython } from '@archipelago/testing';

/** Values by keyword as `archive_peer.py` gives them: numbers of IS, DS and binary VRs as numbers, null when empty. */
export type Values = Record<string, unknown>;
export type Pair = readonly [sopClass: string, syntax: string];

export interface SampleFile {
  path: string;
  sopClass: string;
  sopInstance: string;
  syntax: string;
  /** '' when the data set has none. */
  study: string;
  series: string;
  patientId: string;
  issuer: string;
  charset: unknown;
  /** Of the data set as it lies in the file, without the meta information. */
  sha256: string;
  bytes: number;
  levels: Record<'PATIENT' | 'STUDY' | 'SERIES' | 'IMAGE' | 'PATIENTLESS', Values>;
}
export interface Inventory {
  files: SampleFile[];
  skipped: { path: string; why: string }[];
}
export interface BrokenFile {
  path: string;
  /** Relative to the folder. */
  name: string;
  /** Where the data set begins. */
  offset: number;
  sopClass: string;
  sopInstance: string;
  syntax: string;
  sha256: string;
}
export interface StoreAnswer {
  path: string;
  /** null: no response. */
  status: number | null;
  comment?: string;
  error?: string;
}
export interface Query {
  /** `P` and `S`: Patient and Study Root; else the UID of a SOP class. */
  model: string;
  keys: Values;
  /** The only transfer syntax to propose. */
  syntax?: string;
  /** C-CANCEL after so many matches; 0: right after the request. */
  cancelAfter?: number;
  /** SOP class extended negotiation, hex (PS3.4 C.5.1.1.2.1): relational, combined date-time, fuzzy names, timezone. */
  extended?: string;
}
export interface FindAnswer {
  statuses: number[];
  matches: Values[];
  charsets: unknown[];
  /** From the request to the final response. */
  seconds: number;
  comment?: string;
}
export interface RetrieveJob {
  model: string;
  keys: Values;
  /** C-GET: storage contexts to propose for it. */
  pairs?: readonly Pair[];
  /** C-CANCEL at the first pending response. */
  cancel?: boolean;
  /** C-MOVE destination, when it is not the receiver itself. */
  to?: string;
}
export interface Received {
  sopClass: string;
  sopInstance: string;
  syntax: string;
  sha256: string;
  bytes: number;
  originator: string;
  originatorMessage: number | null;
  /** With `keep`. */
  path?: string;
}
export interface RetrieveAnswer {
  statuses: number[];
  counts: Record<'remaining' | 'completed' | 'failed' | 'warning', number | null> | null;
  failed: string[];
  comment?: string;
  received: Received[];
}
export interface Pixels {
  path: string;
  shape?: number[];
  type?: string;
  sha256?: string;
  photometric?: string;
  error?: string;
}

/** Whom to call. */
export interface Address {
  port: number;
  called?: string;
  calling?: string;
}
interface ReceiverOptions {
  /** Status to answer a C-STORE sub-operation with, by SOP Instance UID. */
  storeStatus?: Record<string, number>;
  /** Folder where received objects are written as Part 10 files. */
  keep?: string;
}

async function run<T>(command: string, job: unknown, timeoutMs = 240_000): Promise<T> {
  const script = join(__dirname, '..', 'peers', 'archive_peer.py');
  const result = await runPython(script, [command], { input: JSON.stringify(job), timeoutMs });
  if (result.code !== 0) throw new Error(`archive_peer.py ${command}: ${result.stderr.slice(-3000)}`);
  return JSON.parse(result.stdout) as T;
}

/** pynetdicom and pydicom, a process for each call. */
export const pythonPeer = {
  inventory: (roots: string[], without: string[] = []): Promise<Inventory> => run('inventory', { roots, without }),
  /** What is in a folder of broken files, with UIDs and syntax to send each under. */
  broken: (root: string): Promise<BrokenFile[]> => run('broken', { root }),
  /** Sends the bytes of the files as they are. */
  store: (
    to: Address,
    files: Pick<SampleFile, 'path' | 'sopClass' | 'sopInstance' | 'syntax'>[],
  ): Promise<StoreAnswer[]> => run('store', { ...to, files }),
  /** Sends any bytes as a data set, each on an association of its own. */
  raw: (
    to: Address,
    items: { path: string; offset?: number; sopClass: string; sopInstance: string; syntax: string }[],
  ): Promise<StoreAnswer[]> => run('raw', { ...to, items }),
  find: (to: Address, queries: Query[]): Promise<FindAnswer[]> => run('find', { ...to, queries }),
  get: (to: Address, jobs: RetrieveJob[], options: ReceiverOptions = {}): Promise<RetrieveAnswer[]> =>
    run('get', { ...to, ...options, jobs }),
  /** Receives as `destination` on `destinationPort`, accepting `pairs`. */
  move: (
    to: Address & { destination: string; destinationPort: number; pairs: readonly Pair[] },
    jobs: RetrieveJob[],
    options: ReceiverOptions = {},
  ): Promise<RetrieveAnswer[]> => run('move', { ...to, ...options, jobs }),
  /** Decoded by pydicom. */
  pixels: (files: string[]): Promise<Pixels[]> => run('pixels', { files }),
  echo: (
    to: Address,
    callings: string[],
  ): Promise<{ calling: string; status?: number; rejected?: number[]; aborted?: boolean }[]> =>
    run('echo', { ...to, callings }),
};
