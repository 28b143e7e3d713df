/** Seeded, deterministic mutation of whole DIMSE sessions, for fuzzing servers. */
import { encodeAbort, encodeReleaseRq } from '../pdu/encode';
import { COMMAND, NO_DATA_SET, WITH_DATA_SET } from '../session/command-set';
import { UID } from '../uids';
import { sampleAssociateRq, sampleCommand, samplePData } from './scripted-peer';

export interface MutatedSession {
  seed: number;
  /** What was done to it, for a failure's report. */
  mutations: string[];
  /** To be written one after the other, each as one write. */
  writes: Buffer[];
  /** After so many writes the sender waits for an answer (the A-ASSOCIATE-AC) for a moment. */
  waitAfter: number;
}

/** Mulberry32: 32 bits of state are enough here, and the same everywhere. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function wholeSession(random: () => number): Buffer[] {
  const size = 2 + Math.floor(random() * 3_000) * 2;
  const dataset = Buffer.alloc(size, Math.floor(random() * 256));
  const store = sampleCommand(3, {
    commandField: COMMAND.storeRq,
    commandDataSetType: WITH_DATA_SET,
    affectedSopClassUid: '1.2.840.10008.5.1.4.1.1.2',
    affectedSopInstanceUid: '1.2.3.4.5.6',
    messageId: 2,
    priority: 0,
  });
  const find = sampleCommand(5, {
    commandField: COMMAND.findRq,
    commandDataSetType: WITH_DATA_SET,
    affectedSopClassUid: '1.2.840.10008.5.1.4.1.2.2.1',
    messageId: 3,
    priority: 0,
  });
  const echo = sampleCommand(1, {
    commandField: COMMAND.echoRq,
    commandDataSetType: NO_DATA_SET,
    affectedSopClassUid: UID.verification,
    messageId: 1,
  });
  const cancel = sampleCommand(5, {
    commandField: COMMAND.cancelRq,
    commandDataSetType: NO_DATA_SET,
    messageIdBeingRespondedTo: 3,
  });
  const half = (size >> 2) << 1;
  const identifier = Buffer.from('08005200040000005354554459', 'hex');
  return [
    sampleAssociateRq(),
    echo,
    store,
    samplePData(3, false, false, dataset.subarray(0, half)),
    samplePData(3, false, true, dataset.subarray(half)),
    find,
    samplePData(5, false, true, identifier),
    cancel,
    random() < 0.8 ? encodeReleaseRq() : encodeAbort(0, 0),
  ];
}

const LENGTHS = [0, 1, 2, 3, 5, 6, 0xff, 0xffff, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff];

type Mutation = (pdus: Buffer[], index: number, random: () => number) => string;

const MUTATIONS: Mutation[] = [
  (pdus, index, random) => {
    const pdu = pdus[index]!;
    const count = 1 + Math.floor(random() * 8);
    for (let i = 0; i < count && pdu.length > 0; i++) {
      pdu[Math.floor(random() * pdu.length)]! ^= 1 << Math.floor(random() * 8);
    }
    return `flip ${count} bits of ${index}`;
  },
  (pdus, index, random) => {
    const pdu = pdus[index]!;
    if (pdu.length >= 6) pdu.writeUInt32BE(LENGTHS[Math.floor(random() * LENGTHS.length)]!, 2);
    return `length of ${index}`;
  },
  (pdus, index, random) => {
    const pdu = pdus[index]!;
    if (pdu.length >= 10) pdu.writeUInt32BE(LENGTHS[Math.floor(random() * LENGTHS.length)]!, 6);
    return `inner length of ${index}`;
  },
  (pdus, index, random) => {
    const pdu = pdus[index]!;
    const at = Math.floor(random() * Math.max(1, pdu.length - 4));
    if (pdu.length > 4) pdu.writeUInt32LE(LENGTHS[Math.floor(random() * LENGTHS.length)]!, at);
    return `number at ${at} of ${index}`;
  },
  (pdus, index, random) => {
    pdus[index] = pdus[index]!.subarray(0, Math.floor(random() * pdus[index]!.length));
    return `cut ${index}`;
  },
  (pdus, index) => {
    pdus.splice(index, 0, Buffer.from(pdus[index]!));
    return `repeat ${index}`;
  },
  (pdus, index) => {
    if (pdus.length > 1) pdus.splice(index, 1);
    return `drop ${index}`;
  },
  (pdus, index, random) => {
    const other = Math.floor(random() * pdus.length);
    [pdus[index], pdus[other]] = [pdus[other]!, pdus[index]!];
    return `swap ${index} and ${other}`;
  },
  (pdus, index, random) => {
    const noise = Buffer.from(Array.from({ length: 1 + Math.floor(random() * 200) }, () => Math.floor(random() * 256)));
    pdus.splice(index, 0, noise);
    return `noise before ${index}`;
  },
  (pdus, index, random) => {
    if (pdus[index]!.length > 0) pdus[index]![0] = Math.floor(random() * 256);
    return `type of ${index}`;
  },
];

/** One session, mutated one to four times and cut into writes at other places than the PDUs'. */
export function mutatePdus(seed: number): MutatedSession {
  const random = seededRandom(seed);
  const pdus = wholeSession(random).map((pdu) => Buffer.from(pdu));
  const mutations: string[] = [];
  const count = 1 + Math.floor(random() * 4);
  for (let i = 0; i < count; i++) {
    const index = Math.floor(random() * pdus.length);
    mutations.push(MUTATIONS[Math.floor(random() * MUTATIONS.length)]!(pdus, index, random));
  }
  const parts = pdus.filter((pdu) => pdu.length > 0);
  const first = parts.slice(0, 1);
  const rest = parts.slice(1);
  if (random() < 0.5) return { seed, mutations, writes: parts, waitAfter: 1 };
  const start = cut(first, random);
  return { seed, mutations, writes: [...start, ...cut(rest, random)], waitAfter: start.length };
}

/** The same bytes in writes of other sizes. */
function cut(pdus: Buffer[], random: () => number): Buffer[] {
  const whole = Buffer.concat(pdus);
  const writes: Buffer[] = [];
  for (let at = 0; at < whole.length;) {
    const take = Math.min(whole.length - at, 1 + Math.floor(random() * 4_000));
    writes.push(whole.subarray(at, at + take));
    at += take;
  }
  return writes;
}
