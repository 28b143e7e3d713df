/** Packs made of DICOM JSON for this library's own tests: rows exactly as ingest would bring them. */
import { createHash, randomUUID } from 'node:crypto';
import type { DicomJson } from '@archipelago/contracts';
import { jsonHeaderView } from '@archipelago/catalog-model';
import type { PackEntry } from '@archipelago/pack';
import type { IndexPackInput } from './write/index-pack.types';

export interface Sample {
  header: DicomJson;
  origin?: PackEntry['origin'];
  source?: string;
  /** Distinguishes pixels (and with them the wire) of the same header. */
  pixels?: string;
  /** Distinguishes the wire only: another encoding of the same. */
  encoding?: string;
  /** No object, but what an archive answered of it. */
  harvest?: PackEntry['harvest'];
  /** ISO 8601; of an answer, when it was given. */
  at?: string;
}

const VRS: Record<string, string> = {
  '00100010': 'PN',
  '00100020': 'LO',
  '00100021': 'LO',
  '00100030': 'DA',
  '00100040': 'CS',
  '0020000D': 'UI',
  '0020000E': 'UI',
  '00080018': 'UI',
  '00080016': 'UI',
  '00080020': 'DA',
  '00080030': 'TM',
  '00080050': 'SH',
  '00080060': 'CS',
  '00200011': 'IS',
  '00200013': 'IS',
  '00081030': 'LO',
  '00200010': 'SH',
  '0008103E': 'LO',
  '00080090': 'PN',
  '00180050': 'DS',
  '0008002A': 'DT',
  '00080022': 'DA',
  '00080032': 'TM',
  '00280010': 'US',
  '00080070': 'LO',
  '00400275': 'SQ',
  '00401001': 'SH',
  '00400009': 'SH',
  '00080100': 'SH',
  '00081032': 'SQ',
  '00101002': 'SQ',
  '00080080': 'LO',
  '00720002': 'SH',
  '00180015': 'CS',
  '00080021': 'DA',
  '00080031': 'TM',
  '00201206': 'IS',
  '00201208': 'IS',
  '00201209': 'IS',
  '00080061': 'CS',
};

export type Plain = { [tag: string]: string | number | null | string[] | Plain[] };

/** A short way to write DICOM JSON: VRs are known, names are `alphabetic=ideographic=phonetic`. */
export function dicom(plain: Plain): DicomJson {
  const json: DicomJson = {};
  for (const [tag, value] of Object.entries(plain)) {
    const vr = VRS[tag] ?? 'LO';
    const values = value === null ? [] : Array.isArray(value) ? value : [value];
    json[tag] = {
      vr,
      Value: values.map((one) => (typeof one === 'object' ? dicom(one) : vr === 'PN' ? name(String(one)) : one)),
    };
  }
  return json;
}

function name(value: string): Record<string, string> {
  const [Alphabetic = '', Ideographic = '', Phonetic = ''] = value.split('=');
  return { Alphabetic, Ideographic, Phonetic };
}

const EDGE = '7b6ad8f2-46ad-4a6f-9f4c-4f4cbd4d2c11';
const sha = (text: string): string => createHash('sha256').update(text).digest('hex');

function entryOf(sample: Sample, ordinal: number): PackEntry {
  const header = JSON.stringify(sample.header);
  const uid = (tag: string): string => String(sample.header[tag]?.Value?.[0] ?? '');
  return {
    ordinal,
    offset: ordinal * 10_000,
    length: 9_000,
    datasetOffset: ordinal * 10_000 + 400,
    datasetLength: 8_600,
    wireDigest: sha(`wire ${header} ${sample.pixels ?? ''} ${sample.encoding ?? ''}`),
    headerDigest: sha(`header ${header}`),
    headerOffset: 100_000 + ordinal * 500,
    headerLength: 400,
    headerRawLength: 900,
    leftOut: [],
    pixel: null,
    origin: sample.origin ?? 'acquired',
    source: sample.source ?? 'main',
    callingAeTitle: 'CT1',
    calledAeTitle: 'ARCHIPELAGO',
    remoteAddress: '127.0.0.1',
    site: 'main',
    receivedAt: sample.at ?? '2026-11-20T10:00:00.000Z',
    sopClassUid: uid('00080016') || '1.2.840.10008.5.1.4.1.2.2.1',
    sopInstanceUid: uid(
      sample.harvest === 'study' ? '0020000D' : sample.harvest === 'series' ? '0020000E' : '00080018',
    ),
    ...(sample.harvest === undefined ? {} : { harvest: sample.harvest }),
    transferSyntaxUid: '1.2.840.10008.1.2.1',
    warnings: [],
  };
}

/** The input of `indexPack` for a pack of these objects; `compared` counts the pixel comparisons. */
export function packOf(samples: Sample[], packId = randomUUID()): IndexPackInput & { compared: number } {
  const entries = samples.map(entryOf);
  const pixels = new Map(entries.map((entry, i) => [entry.wireDigest, samples[i]?.pixels ?? '']));
  for (const [wire, value] of pixels) PIXELS.set(wire, value);
  const at = '2026-11-20T10:00:05.000Z';
  const input: IndexPackInput & { compared: number } = {
    compared: 0,
    announcement: {
      packId,
      edgeId: EDGE,
      site: 'main',
      store: 'fs',
      key: `packs/main/2026/11/20/${packId}.pack`,
      bytes: 1_000_000,
      tailOffset: 100_000,
      entries: entries.length,
      sha256: sha(packId),
      sealedAt: at,
      attempt: 1,
    },
    index: { format: 1, packId, edgeId: EDGE, site: 'main', createdAt: at, sealedAt: at, entries },
    header: (ordinal) => jsonHeaderView((samples[ordinal] as Sample).header),
    comparePixels: (a, b) => {
      input.compared += 1;
      return Promise.resolve(PIXELS.get(a.wireDigest) === PIXELS.get(b.wireDigest));
    },
  };
  return input;
}
const PIXELS = new Map<string, string>();

/** A CT image of study `study`, series `series`, number `number`, with what `more` changes. */
export function ct(study: string, series: number, number: number, more: Plain = {}): DicomJson {
  const root = `1.2.826.0.1.${study}`;
  return dicom({
    '00080016': '1.2.840.10008.5.1.4.1.1.2',
    '00080018': `${root}.${series}.${number}`,
    '0020000D': root,
    '0020000E': `${root}.${series}`,
    '00100010': 'Doe^John',
    '00100020': `P${study}`,
    '00100030': '19600229',
    '00100040': 'M',
    '00080020': '20260115',
    '00080030': '101530',
    '00080050': `A${study}`,
    '00081030': 'Thorax',
    '00080060': 'CT',
    '00200011': series,
    '00200013': number,
    '0008103E': 'Axial',
    ...more,
  });
}

/** What an archive answers about study `study` at study level. */
export function studyAnswer(archive: string, study: string, more: Plain = {}, at = '2026-11-21T10:00:00.000Z'): Sample {
  const header = dicom({
    '0020000D': `1.2.826.0.1.${study}`,
    '00100010': 'Doe^John',
    '00100020': `P${study}`,
    '00100030': '19600229',
    '00100040': 'M',
    '00080020': '20260115',
    '00080030': '101530',
    '00080050': `A${study}`,
    '00081030': 'Thorax',
    '00080061': ['CT'],
    '00201206': 1,
    '00201208': 2,
    ...more,
  });
  return { header, harvest: 'study', source: archive, origin: 'fetched', at };
}
export function seriesAnswer(
  archive: string,
  study: string,
  series: number,
  more: Plain = {},
  at = '2026-11-21T10:00:00.000Z',
): Sample {
  const root = `1.2.826.0.1.${study}`;
  const header = dicom({
    '0020000D': root,
    '0020000E': `${root}.${series}`,
    '00080060': 'CT',
    '00200011': series,
    '0008103E': 'Axial',
    '00201209': 2,
    ...more,
  });
  return { header, harvest: 'series', source: archive, origin: 'fetched', at };
}
export function imageAnswer(
  archive: string,
  study: string,
  series: number,
  number: number,
  more: Plain = {},
  at = '2026-11-21T10:00:00.000Z',
): Sample {
  const root = `1.2.826.0.1.${study}`;
  const header = dicom({
    '0020000D': root,
    '0020000E': `${root}.${series}`,
    '00080018': `${root}.${series}.${number}`,
    '00080016': '1.2.840.10008.5.1.4.1.1.2',
    '00200013': number,
    ...more,
  });
  return { header, harvest: 'image', source: archive, origin: 'fetched', at };
}
/** The whole header that an archive gives of a CT image. */
export function fullAnswer(
  archive: string,
  study: string,
  series: number,
  number: number,
  more: Plain = {},
  at = '2026-11-21T10:00:00.000Z',
): Sample {
  return { header: ct(study, series, number, more), harvest: 'full', source: archive, origin: 'fetched', at };
}
