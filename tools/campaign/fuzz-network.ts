/** Damaged sessions, data sets and identifiers over the network, into the edge as it runs. */
import { createHash } from 'node:crypto';
import { connect, type ClientAssociation, mutatePdus, ScriptedPeer } from '@archipelago/dimse';
import { writeDataset } from '@archipelago/dicom-encoding';
import { mutateDataset, Random, type TestSystem } from '@archipelago/testing';
import { hostileValue } from './fuzz-json';
import type { Sample } from './fuzz-samples';

const IMPLICIT_LE = '1.2.840.10008.1.2';
const STUDY_ROOT_FIND = '1.2.840.10008.5.1.4.1.2.2.1';
/** After our end of stream the server has to end too, within this. */
const CLOSE_MS = 2_000;

export interface NetworkResult {
  sessions: number;
  stores: number;
  finds: number;
  /** What was acknowledged as stored: by SOP Instance UID. */
  acknowledged: Map<string, Acknowledged>;
  /** How often each status came, by service: "C-STORE 0000". */
  statuses: Map<string, number>;
  failures: string[];
}
export interface Acknowledged {
  /** More than one when different data sets had one UID: the first to arrive is the answer. */
  sha256: string[];
  sopClassUid: string;
  transferSyntaxUid: string;
}

export function emptyResult(): NetworkResult {
  return { sessions: 0, stores: 0, finds: 0, acknowledged: new Map(), statuses: new Map(), failures: [] };
}

/** Runs `work` for each of `count` seeds, `lanes` at a time. */
export async function inLanes(count: number, lanes: number, work: (n: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(lanes, count) }, lane));
}

/** One damaged session: written, ended on our side; the server has to end its side within two seconds. */
export async function oneSession(system: TestSystem, writes: Buffer[], waitAfter: number): Promise<string | undefined> {
  const peer = await ScriptedPeer.open(system.port, system.host);
  try {
    for (const [index, bytes] of writes.entries()) {
      if (index === waitAfter) await peer.until(() => peer.received.length > 0 || peer.ended, 500);
      if (!peer.ended) peer.socket.write(bytes);
    }
    peer.socket.end();
    return (await peer.until(() => peer.ended, CLOSE_MS)) ? undefined : 'the server did not close within 2 s';
  } finally {
    peer.close();
  }
}

export async function fuzzSessions(
  system: TestSystem,
  first: number,
  count: number,
  result: NetworkResult,
): Promise<void> {
  await inLanes(count, 24, async (n) => {
    const { writes, waitAfter, mutations } = mutatePdus(first + n);
    try {
      const wrong = await oneSession(system, writes, waitAfter);
      if (wrong) note(result, `session seed ${first + n} (${mutations.join(', ')}): ${wrong}`);
    } catch (error) {
      note(result, `session seed ${first + n}: ${message(error)}`);
    }
    result.sessions++;
  });
}

/** C-STORE of damaged data sets under the UID of the undamaged one, several on one association. */
export async function fuzzStores(
  system: TestSystem,
  samples: Sample[],
  first: number,
  count: number,
  result: NetworkResult,
): Promise<void> {
  const perAssociation = 20;
  await inLanes(Math.ceil(count / perAssociation), 3, async (n) => {
    const from = n * perAssociation;
    const own = samples.map((_, i) => samples[(n * 13 + i) % samples.length] as Sample).slice(0, perAssociation);
    let association: ClientAssociation | undefined;
    for (let i = 0; i < perAssociation && from + i < count; i++) {
      association = await storeDamaged(system, own, own[i] as Sample, first + from + i, association, result);
    }
    await association?.release().catch(() => undefined);
  });
}

/** A copy of the sample under a UID of its own, so that what was acknowledged can be asked for by it. */
function withUid(sample: Sample, uid: string): { dataset: Buffer; sopInstanceUid: string } | undefined {
  const at = sample.dataset.indexOf(sample.sopInstanceUid, 0, 'latin1');
  if (at < 0) return undefined;
  const sopInstanceUid = uid.padEnd(sample.sopInstanceUid.length, '7').slice(0, sample.sopInstanceUid.length);
  const dataset = Buffer.from(sample.dataset);
  dataset.write(sopInstanceUid, at, 'latin1');
  return { dataset, sopInstanceUid };
}

async function storeDamaged(
  system: TestSystem,
  samples: Sample[],
  sample: Sample,
  seed: number,
  open: ClientAssociation | undefined,
  result: NetworkResult,
): Promise<ClientAssociation | undefined> {
  const own = withUid(sample, `2.25.9${seed}0`) ?? sample;
  const { bytes, name } = mutateDataset(own.dataset, seed);
  let association = open;
  try {
    association ??= await associate(system, samples);
    const context = association.contexts.find(
      (each) => each.abstractSyntax === sample.sopClassUid && each.transferSyntax === sample.transferSyntaxUid,
    );
    if (!context) throw new Error('its presentation context was not accepted');
    const { sopClassUid, transferSyntaxUid } = sample;
    const operation = { contextId: context.id, sopClassUid, sopInstanceUid: own.sopInstanceUid, body: [bytes] };
    const started = performance.now();
    const { status } = await association.store(operation);
    const ms = performance.now() - started;
    countStatus(result, 'C-STORE', status);
    if (ms > 4_000) note(result, `store seed ${seed} (${name}): answered after ${Math.round(ms)} ms`);
    if (status === 0 || status >> 12 === 0xb) {
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      const known = result.acknowledged.get(own.sopInstanceUid);
      const all = [...(known?.sha256 ?? []), sha256];
      result.acknowledged.set(own.sopInstanceUid, { sha256: all, sopClassUid, transferSyntaxUid });
    }
  } catch (error) {
    // An empty data set, for one, is an abort by the standard; the next goes on a new association.
    association?.abort();
    association = undefined;
    countText(result, `C-STORE ${error instanceof Error ? error.name : 'error'}`);
  }
  result.stores++;
  return association;
}

async function associate(system: TestSystem, samples: Sample[]): Promise<ClientAssociation> {
  const contexts = new Map(
    samples.map(({ sopClassUid, transferSyntaxUid }) => [
      `${sopClassUid} ${transferSyntaxUid}`,
      { abstractSyntax: sopClassUid, transferSyntaxes: [transferSyntaxUid] },
    ]),
  );
  return connect({
    host: system.host,
    port: system.port,
    calledAeTitle: system.aeTitle,
    callingAeTitle: 'FUZZ',
    contexts: [...contexts.values()],
    responseTimeoutMs: 20_000,
  });
}

const KEYS = [
  '00100010',
  '00100020',
  '00080020',
  '00080030',
  '00080050',
  '00080061',
  '0020000D',
  '00081030',
  '00101002',
  '00081110',
];

/** C-FIND with damaged identifiers, and with well-formed ones of hostile values. */
export async function fuzzFinds(
  system: TestSystem,
  first: number,
  count: number,
  result: NetworkResult,
): Promise<void> {
  const perAssociation = 20;
  await inLanes(Math.ceil(count / perAssociation), 3, async (n) => {
    let association: ClientAssociation | undefined;
    for (let i = 0; i < perAssociation && n * perAssociation + i < count; i++) {
      const seed = first + n * perAssociation + i;
      try {
        association ??= await connect({
          host: system.host,
          port: system.port,
          calledAeTitle: system.aeTitle,
          callingAeTitle: 'FUZZ',
          contexts: [{ abstractSyntax: STUDY_ROOT_FIND, transferSyntaxes: [IMPLICIT_LE] }],
          responseTimeoutMs: 20_000,
        });
        const started = performance.now();
        let last = -1;
        for await (const { status } of association.find(STUDY_ROOT_FIND, hostileIdentifier(seed))) last = status;
        countStatus(result, 'C-FIND', last);
        const ms = performance.now() - started;
        if (ms > 6_000) note(result, `find seed ${seed}: answered after ${Math.round(ms)} ms`);
      } catch (error) {
        association?.abort();
        association = undefined;
        countText(result, `C-FIND ${error instanceof Error ? error.name : 'error'}`);
      }
      result.finds++;
    }
    await association?.release().catch(() => undefined);
  });
}

export function hostileIdentifier(seed: number): Buffer {
  const random = new Random(`identifier:${seed}`);
  const json: Record<string, { vr?: string; Value?: unknown[] }> = { '00080052': { vr: 'CS', Value: ['STUDY'] } };
  for (let n = random.int(1, 5); n > 0; n--) {
    const value = hostileValue(random).replace(/\ud800|\0/g, '');
    // As LO whatever the key is: in implicit VR the receiver's dictionary decides what it is.
    json[random.pick(KEYS)] = { vr: 'LO', Value: [value] };
  }
  const whole = writeDataset(json as Parameters<typeof writeDataset>[0], IMPLICIT_LE);
  return random.chance(0.5) ? mutateDataset(whole, seed).bytes.subarray(0, 512 * 1024) : whole;
}

function countStatus(result: NetworkResult, service: string, status: number): void {
  countText(result, `${service} ${status.toString(16).toUpperCase().padStart(4, '0')}`);
}
function countText(result: NetworkResult, key: string): void {
  result.statuses.set(key, (result.statuses.get(key) ?? 0) + 1);
}
function note(result: NetworkResult, text: string): void {
  if (result.failures.length < 20) result.failures.push(text);
}
function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
