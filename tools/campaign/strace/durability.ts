import type { Call } from './trace';

export interface StoreResponse {
  sopInstanceUid: string;
  status: number;
  /** The call that took it to the socket. */
  call: Call;
}

export interface Verdict {
  /** Success and warning responses. */
  successes: number;
  failures: number;
  /** What must not be: empty proves the order, if there was any success. */
  violations: string[];
  /** Syncs that failed. */
  failedSyncs: number;
}

const WRITES = new Set(['write', 'writev', 'pwrite64', 'pwritev', 'pwritev2', 'sendto', 'sendmsg']);
const SYNCS = new Set(['fdatasync', 'fsync']);
const ok = (call: Call): boolean => call.result !== undefined && call.result >= 0;

/**
 * For every C-STORE response of success: all that was written of the object to its segment was followed by an fdatasync
 * of that segment, and the making of the segment by an fsync of its directory, both of which had come back with success
 * before the response was given to the socket; and no sync of that segment had failed before.
 */
export function judge(calls: readonly Call[]): Verdict {
  const verdict: Verdict = { successes: 0, failures: 0, violations: [], failedSyncs: 0 };
  const syncs = calls.filter((call) => SYNCS.has(call.name));
  verdict.failedSyncs = syncs.filter((call) => call.result !== undefined && call.result < 0).length;
  const segmentWrites = calls.filter((call) => WRITES.has(call.name) && call.target.endsWith('.seg'));
  for (const response of responses(calls)) {
    if (response.status !== 0 && (response.status & 0xf000) !== 0xb000) {
      verdict.failures++;
      continue;
    }
    verdict.successes++;
    const why = whyNotDurable(response, segmentWrites, syncs, calls);
    if (why) verdict.violations.push(`${response.sopInstanceUid}: ${why} (line ${response.call.entered + 1})`);
  }
  return verdict;
}

function whyNotDurable(
  { sopInstanceUid, call: response }: StoreResponse,
  segmentWrites: readonly Call[],
  syncs: readonly Call[],
  calls: readonly Call[],
): string | undefined {
  const uid = Buffer.from(sopInstanceUid);
  const written = segmentWrites.filter((call) => call.entered < response.entered && call.data.includes(uid));
  const last = written.at(-1);
  if (!last) return 'never written to a segment';
  if (!ok(last) || last.left >= response.entered) return 'its write had not come back';
  // all that was written to the segment since the object began is part of what the sync has to cover
  const covered = segmentWrites
    .filter((call) => call.target === last.target && call.entered <= last.entered)
    .reduce((most, call) => Math.max(most, call.left), 0);
  const ofSegment = syncs.filter((call) => call.target === last.target);
  if (!ofSegment.some((call) => call.entered > covered && call.left < response.entered && ok(call)))
    return 'no fdatasync of its segment came back between its write and the response';
  if (ofSegment.some((call) => call.left < response.entered && !ok(call)))
    return 'acknowledged in a segment of which a sync had failed';
  const made = calls.find((call) => call.name === 'openat' && call.target === last.target && ok(call));
  const folder = last.target.slice(0, last.target.lastIndexOf('/'));
  if (
    made &&
    !syncs.some(
      (call) => call.target === folder && call.entered > made.left && call.left < response.entered && ok(call),
    )
  )
    return 'no fsync of the directory came back between the making of its segment and the response';
  return undefined;
}

/** C-STORE-RSPs in what went to sockets: P-DATA-TF (PS3.8 9.3.5) with a command set (PS3.7 6.3, implicit little endian). */
export function responses(calls: readonly Call[]): StoreResponse[] {
  return calls.flatMap((call) => {
    if (!WRITES.has(call.name) || !/^(socket|TCP)/.test(call.target)) return [];
    return pdvs(call.data).flatMap((command) => {
      const elements = commandElements(command);
      if (elements.get(0x0100)?.readUInt16LE(0) !== 0x8001) return [];
      const status = elements.get(0x0900)?.readUInt16LE(0) ?? -1;
      const sopInstanceUid = (elements.get(0x1000) ?? Buffer.alloc(0)).toString('latin1').replace(/\0+$/, '');
      return [{ sopInstanceUid, status, call }];
    });
  });
}

/** Command fragments of the P-DATA-TF PDUs in the bytes. */
function pdvs(bytes: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at + 12 <= bytes.length && bytes[at] === 4; at += 6 + bytes.readUInt32BE(at + 2)) {
    const end = Math.min(bytes.length, at + 6 + bytes.readUInt32BE(at + 2));
    for (let pdv = at + 6; pdv + 6 <= end; pdv += 4 + bytes.readUInt32BE(pdv)) {
      if ((bytes[pdv + 5]! & 1) === 1)
        found.push(bytes.subarray(pdv + 6, Math.min(end, pdv + 4 + bytes.readUInt32BE(pdv))));
    }
  }
  return found;
}

/** Elements of group 0000 by element number. */
function commandElements(bytes: Buffer): Map<number, Buffer> {
  const elements = new Map<number, Buffer>();
  for (let at = 0; at + 8 <= bytes.length;) {
    const length = bytes.readUInt32LE(at + 4);
    if (bytes.readUInt16LE(at) !== 0 || at + 8 + length > bytes.length) break;
    elements.set(bytes.readUInt16LE(at + 2), bytes.subarray(at + 8, at + 8 + length));
    at += 8 + length;
  }
  return elements;
}
