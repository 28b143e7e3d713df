/**
 * What is fuzzed inside a process: the code that takes bytes from strangers, without the network around it. Each target
 * makes its input from a seed, and checks any input: a declared error is an answer, all else is a failure.
 */
import { isDeepStrictEqual } from 'node:util';
import { datasetHeaderView, planSearch, projectInstance } from '@archipelago/catalog-model';
import * as contracts from '@archipelago/contracts';
import { charsetOf } from '@archipelago/dicom-core';
import {
  compressHeader,
  DatasetError,
  decompressHeader,
  HeaderReader,
  type HeaderResult,
  parseDataset,
  readHeader,
  readPart10Meta,
} from '@archipelago/dicom-encoding';
import { decodeFrame, type PixelAttributes, PixelError, probe } from '@archipelago/dicom-pixel';
import { decodeCommandSet, encodeCommandSet } from '@archipelago/dimse';
import { BufferSource, PackFormatError, PackIntegrityError, PackReader } from '@archipelago/pack';
import { mutateDataset, Random, TRANSFER_SYNTAXES } from '@archipelago/testing';
import { damagePack, makePack } from './fuzz-packs';
import { hostileKeys, mutateJson } from './fuzz-json';
import { makeSamples, type Sample } from './fuzz-samples';

export interface Target {
  /** Also the folder of its corpus. */
  name: string;
  /** Its share of the inputs. */
  weight: number;
  make(seed: number): Buffer;
  /** @throws when the input shows a fault of the product */
  check(input: Buffer): void | Promise<void>;
}

export const TARGET_NAMES = [
  'header',
  'identifier',
  'part10',
  'pack',
  'contract',
  'query',
  'command',
  'text',
  'frame',
] as const;

export async function makeTargets(seed = 1): Promise<Target[]> {
  const samples = await makeSamples(72, seed);
  const pack = await makePack(samples.slice(0, 4));
  return [
    header(samples),
    identifier(samples),
    part10(samples),
    packs(pack),
    contract(),
    query(),
    command(),
    text(),
    frame(),
  ];
}

/** JSON.stringify escapes halves of surrogate pairs, and only those. An escaped backslash before it is another thing. */
const LONE_ESCAPED = /(?<!\\)(?:\\\\)*\\ud[89a-f]/i;

const expected = (error: unknown, ...kinds: (new (...args: never[]) => Error)[]): void => {
  if (!kinds.some((kind) => error instanceof kind)) throw error;
};
const random = (name: string, seed: number): Random => new Random(`${name}:${seed}`);
const pick = (samples: Sample[], seed: number): Sample => samples[seed % samples.length] as Sample;
const syntaxAt = (index: number): string => TRANSFER_SYNTAXES[index % TRANSFER_SYNTAXES.length]?.uid as string;
const syntaxIndex = (uid: string): number => TRANSFER_SYNTAXES.findIndex((each) => each.uid === uid);

/** Input: index of the transfer syntax, seed of the chunks' sizes, data set. */
function header(samples: Sample[]): Target {
  return {
    name: 'header',
    weight: 8,
    make(seed) {
      const sample = pick(samples, seed);
      const other = seed % 11 === 0 ? seed % TRANSFER_SYNTAXES.length : syntaxIndex(sample.transferSyntaxUid);
      return Buffer.concat([Buffer.of(other, seed & 0xff), mutateDataset(sample.dataset, seed).bytes]);
    },
    check(input) {
      const uid = syntaxAt(input[0] ?? 0);
      const dataset = input.subarray(2);
      const whole = outcome(() => readAt(uid, dataset, () => dataset.length));
      const sizes = random('chunks', input[1] ?? 0);
      const pieces = outcome(() => readAt(uid, dataset, () => sizes.int(1, sizes.chance(0.5) ? 16 : 8192)));
      if (!isDeepStrictEqual(whole, pieces)) throw new Error('the chunks decide what is read');
      if (typeof whole !== 'string') useHeader(whole);
    },
  };
}

function readAt(uid: string, dataset: Buffer, size: () => number): HeaderResult {
  const reader = new HeaderReader(uid);
  for (let at = 0; at < dataset.length;) {
    const end = Math.min(dataset.length, at + size());
    // A buffer of its own that is overwritten afterwards, as the receive buffer is.
    const chunk = Buffer.from(dataset.subarray(at, end));
    reader.push(chunk);
    chunk.fill(0xa5);
    at = end;
  }
  return reader.end();
}

/** The result, or the code of a DatasetError: where it stopped may differ with the chunks, why may not. */
function outcome(read: () => HeaderResult): HeaderResult | string {
  try {
    return read();
  } catch (error) {
    expected(error, DatasetError);
    return (error as DatasetError).code;
  }
}

/** What ingest and catalog do with every header that was taken. */
function useHeader(result: HeaderResult): void {
  const block = compressHeader(result.header);
  const raw = decompressHeader(block, result.header.length);
  const dataset = readHeader(raw, { leftOut: result.leftOut, pixel: result.pixel });
  const json = JSON.stringify(dataset.toDicomJson({ bulkDataUri: () => 'x' }));
  if (LONE_ESCAPED.test(json)) throw new Error('DICOM JSON with half of a surrogate pair');
  // The edge lets no object through whose own UIDs are none.
  const uid = (value: string): string => (/^[0-9.]{1,64}$/.test(value) ? value : '2.25.1');
  const [sopClassUid, sopInstanceUid] = [uid(result.sopClassUid), uid(result.sopInstanceUid)];
  const projected = projectInstance({ sopClassUid, sopInstanceUid }, datasetHeaderView(readHeader(raw)));
  const row = JSON.stringify(projected, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
  if (/(?<!\\)(?:\\\\)*\\u0000/.test(row)) throw new Error('a NUL on its way into PostgreSQL');
  if (LONE_ESCAPED.test(row)) throw new Error('half of a surrogate pair on its way into PostgreSQL');
}

/** Input: index of the transfer syntax, identifier. */
function identifier(samples: Sample[]): Target {
  return {
    name: 'identifier',
    weight: 3,
    make(seed) {
      const sample = pick(samples, seed * 5);
      const small = sample.dataset.subarray(0, 600);
      return Buffer.concat([Buffer.of(syntaxIndex(sample.transferSyntaxUid)), mutateDataset(small, seed).bytes]);
    },
    check(input) {
      try {
        const dataset = parseDataset(input.subarray(1), syntaxAt(input[0] ?? 0), { maxHeaderBytes: 1024 * 1024 });
        for (const tag of dataset.tags()) {
          dataset.strings(tag);
          dataset.numbers(tag);
          dataset.items(tag);
        }
        dataset.toDicomJson();
      } catch (error) {
        expected(error, DatasetError);
      }
    },
  };
}

function part10(samples: Sample[]): Target {
  return {
    name: 'part10',
    weight: 2,
    make: (seed) => mutateDataset(pick(samples, seed).part10.subarray(0, 2048), seed).bytes,
    check(input) {
      for (const end of [true, false]) {
        try {
          const meta = readPart10Meta(input, end);
          if (meta && meta.datasetOffset > input.length) throw new Error('the data set begins behind the end');
          if (meta === null && end) throw new Error('more bytes wanted behind the end');
        } catch (error) {
          expected(error, DatasetError);
        }
      }
    },
  };
}

function packs(whole: Buffer): Target {
  return {
    name: 'pack',
    weight: 3,
    make: (seed) => damagePack(whole, random('pack', seed)),
    async check(input) {
      try {
        const reader = await PackReader.open(new BufferSource(input));
        for (const entry of reader.index.entries) {
          reader.header(entry);
          for await (const _piece of reader.file(entry));
        }
        await reader.verify();
      } catch (error) {
        expected(error, PackFormatError, PackIntegrityError);
      }
    },
  };
}

type AnyContract = contracts.Contract;
const CONTRACTS: AnyContract[] = Object.values(contracts as Record<string, unknown>).filter(
  (value): value is AnyContract => typeof value === 'object' && value !== null && 'aggregate' in value,
);

/** Input: JSON text, read with every contract. */
function contract(): Target {
  return {
    name: 'contract',
    weight: 2,
    make: (seed) => mutateJson(random('contract', seed)),
    check(input) {
      let value: unknown;
      try {
        value = JSON.parse(input.toString('utf8'));
      } catch {
        return;
      }
      for (const { schema, reply } of CONTRACTS) {
        schema.safeParse(value);
        reply?.safeParse(value);
      }
      contracts.Envelope.safeParse(value);
    },
  };
}

/** Input: the keys of a search as JSON. */
function query(): Target {
  return {
    name: 'query',
    weight: 2,
    make: (seed) => Buffer.from(JSON.stringify(hostileKeys(random('query', seed)))),
    check(input) {
      const parsed = contracts.Search.schema.safeParse(JSON.parse(input.toString('utf8')));
      if (parsed.success) planSearch(parsed.data);
    },
  };
}

function command(): Target {
  const whole = encodeCommandSet({
    commandField: 1,
    commandDataSetType: 1,
    affectedSopClassUid: '1.2.840.10008.5.1.4.1.1.2',
    affectedSopInstanceUid: '1.2.3.4.5.6',
    messageId: 2,
    priority: 0,
    moveOriginatorAeTitle: 'ORIGIN',
    moveOriginatorMessageId: 3,
    offendingElements: [0x00080018],
  });
  return {
    name: 'command',
    weight: 2,
    make: (seed) => mutateDataset(whole, seed).bytes.subarray(0, 65536),
    check(input) {
      try {
        decodeCommandSet(input);
      } catch (error) {
        if ((error as Error).name !== 'ProtocolError') throw error;
      }
    },
  };
}

const TERMS = ['', 'ISO_IR 6', 'ISO_IR 100', 'ISO_IR 144', 'ISO_IR 192', 'GB18030', 'GBK', 'ISO_IR 13', 'nonsense'];
const ESCAPED = [
  '',
  'ISO 2022 IR 87',
  'ISO 2022 IR 159',
  'ISO 2022 IR 149',
  'ISO 2022 IR 58',
  'ISO 2022 IR 13',
  'GB18030',
];
const TEXT_VRS = ['PN', 'LO', 'UT', 'SH', 'CS', 'UI', 'DA'];

/** Input: three indices (terms, VR), text. */
function text(): Target {
  return {
    name: 'text',
    weight: 2,
    make(seed) {
      const r = random('text', seed);
      const parts: Buffer[] = [Buffer.of(r.int(0, 255), r.int(0, 255), r.int(0, 255))];
      for (let n = r.int(1, 12); n > 0; n--) {
        const escapes = [
          '\x1b$B',
          '\x1b(B',
          '\x1b$)C',
          '\x1b$(D',
          '\x1b)I',
          '\x1b$)A',
          '\x1b',
          '\x1b$',
          '=',
          '^',
          '\\',
        ];
        parts.push(r.chance(0.4) ? Buffer.from(r.pick(escapes), 'latin1') : r.bytes(r.int(0, 20)));
      }
      return Buffer.concat(parts);
    },
    check(input) {
      const first = TERMS[(input[0] ?? 0) % TERMS.length] as string;
      const second = ESCAPED[(input[1] ?? 0) % ESCAPED.length] as string;
      const decoded = charsetOf([first, second]).decode(
        input.subarray(3),
        TEXT_VRS[(input[2] ?? 0) % TEXT_VRS.length] as string,
      );
      if (/\p{Surrogate}/u.test(decoded)) throw new Error('half of a surrogate pair');
    },
  };
}

/** Input: which syntax, then a coded frame. The foreign codecs are fuzzed through their pool, in libs/dicom/pixel. */
function frame(): Target {
  const own = ['1.2.840.10008.1.2.5', '1.2.840.10008.1.2.8.1', '1.2.840.10008.1.2.1.98'];
  const attributes: PixelAttributes = {
    rows: 16,
    columns: 16,
    samplesPerPixel: 1,
    bitsAllocated: 16,
    bitsStored: 12,
    highBit: 11,
    pixelRepresentation: 0,
    photometricInterpretation: 'MONOCHROME2',
    planarConfiguration: 0,
    numberOfFrames: 1,
  };
  const rle = Buffer.alloc(64 + 20);
  rle.writeUInt32LE(2, 0);
  rle.writeUInt32LE(64, 4);
  rle.writeUInt32LE(74, 8);
  rle.fill(0x81, 64);
  const jpeg = Buffer.from('ffd8ffc3000b0c0010001001011100ffda0008010100010000112233ffd9', 'hex');
  const j2k = Buffer.from(
    'ff4fff51002900000000001000000010000000000000000000000010000000100000000000000000000' +
      '10b0101ff52000c00000001000303030001ff5c00040000ff90000a0000000000100001ff93ffd9',
    'hex',
  );
  return {
    name: 'frame',
    weight: 2,
    make: (seed) =>
      Buffer.concat([Buffer.of(seed % 5), mutateDataset([rle, rle, rle, jpeg, j2k][seed % 5] as Buffer, seed).bytes]),
    check(input) {
      const which = (input[0] ?? 0) % 5;
      try {
        if (which > 2) probe(input.subarray(1));
        else decodeFrame(own[which] as string, attributes, input.subarray(1));
      } catch (error) {
        expected(error, PixelError);
      }
    },
  };
}
