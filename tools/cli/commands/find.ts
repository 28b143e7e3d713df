import { parseArgs } from 'node:util';
import {
  keywordOf,
  parseTag,
  personNameToJson,
  requireTag,
  dictionaryVr,
  type DicomJson,
  type DicomJsonElement,
} from '@archipelago/dicom-core';
import { parseDataset, writeDataset } from '@archipelago/dicom-encoding';
import { connect } from '@archipelago/dimse';
import { UsageError, type LeafCommand, type Output } from '../command';
import { statusHex, statusText } from '../status-text';
import { parseTarget } from '../target';

/** PS3.4 C.6: Patient Root and Study Root Query/Retrieve Information Model - FIND */
const PATIENT_ROOT = '1.2.840.10008.5.1.4.1.2.1.1';
const STUDY_ROOT = '1.2.840.10008.5.1.4.1.2.2.1';
const IMPLICIT_LE = '1.2.840.10008.1.2';
const EXPLICIT_LE = '1.2.840.10008.1.2.1';
const PENDING = new Set([0xff00, 0xff01]);

const LEVELS: Record<string, string[]> = {
  PATIENT: ['PatientName', 'PatientID', 'PatientBirthDate', 'PatientSex'],
  STUDY: [
    'StudyDate',
    'StudyTime',
    'PatientName',
    'PatientID',
    'AccessionNumber',
    'StudyDescription',
    'StudyInstanceUID',
  ],
  SERIES: ['Modality', 'SeriesNumber', 'SeriesDescription', 'StudyInstanceUID', 'SeriesInstanceUID'],
  IMAGE: ['InstanceNumber', 'SOPClassUID', 'StudyInstanceUID', 'SeriesInstanceUID', 'SOPInstanceUID'],
};

function elementOf(tag: number, value: string): DicomJsonElement {
  const vr = dictionaryVr(tag) ?? 'UN';
  if (value === '') return { vr };
  if (vr === 'PN') return { vr, Value: [personNameToJson(value)] };
  return { vr, Value: value.split('\\') };
}

/** The identifier (PS3.4 C.4.1.1.3): level, keys with values to match, and keys to return. */
export function identifier(level: string, keys: Record<string, string>): DicomJson {
  const json: DicomJson = {
    '00080005': { vr: 'CS', Value: ['ISO_IR 192'] },
    '00080052': { vr: 'CS', Value: [level] },
  };
  for (const [key, value] of Object.entries(keys)) {
    const tag = requireTag(key);
    json[tag.toString(16).toUpperCase().padStart(8, '0')] = elementOf(tag, value);
  }
  return json;
}

/** KEYWORD=value, KEYWORD or (gggg,eeee)=value */
function parseKeys(texts: string[], level: string): Record<string, string> {
  const keys: Record<string, string> = Object.fromEntries((LEVELS[level] ?? []).map((keyword) => [keyword, '']));
  for (const text of texts) {
    const at = text.indexOf('=');
    const key = at < 0 ? text : text.slice(0, at);
    const tag = parseTag(key);
    const keyword = (tag === undefined ? undefined : keywordOf(tag)) ?? key;
    try {
      requireTag(keyword);
    } catch {
      throw new UsageError(`unknown attribute: ${key}`);
    }
    keys[keyword] = at < 0 ? '' : text.slice(at + 1);
  }
  return keys;
}

async function run(args: string[], out: Output): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      to: { type: 'string' },
      from: { type: 'string', default: 'ARCHIPELAGOCLI' },
      level: { type: 'string', default: 'STUDY' },
      max: { type: 'string', default: '100' },
      json: { type: 'boolean', default: false },
    },
  });
  const level = values.level.toUpperCase();
  const max = Number(values.max);
  if (!LEVELS[level]) throw new UsageError(`--level ${values.level}: expected ${Object.keys(LEVELS).join(', ')}`);
  if (!Number.isInteger(max) || max < 1) throw new UsageError(`--max ${values.max}: expected a whole number`);
  const keys = parseKeys(positionals, level);
  const sopClass = level === 'PATIENT' ? PATIENT_ROOT : STUDY_ROOT;
  const target = parseTarget(values.to);
  const association = await connect({
    host: target.host,
    port: target.port,
    calledAeTitle: target.aeTitle,
    callingAeTitle: values.from,
    contexts: [{ abstractSyntax: sopClass, transferSyntaxes: [EXPLICIT_LE, IMPLICIT_LE] }],
  });
  const transferSyntax = association.contexts[0]?.transferSyntax;
  if (transferSyntax === undefined) {
    await association.release();
    throw new Error(`${target.aeTitle} does not accept this query`);
  }
  const cancel = new AbortController();
  const columns = Object.keys(keys);
  let count = 0;
  let status = 0;
  let comment: string | undefined;
  if (!values.json) out.line(columns.join('\t'));
  for await (const response of association.find(
    sopClass,
    writeDataset(identifier(level, keys), transferSyntax),
    cancel.signal,
  )) {
    status = response.status;
    if (!PENDING.has(status)) comment = response.errorComment;
    if (!PENDING.has(status) || !response.identifier || count >= max) continue;
    count++;
    const dataset = parseDataset(response.identifier, transferSyntax);
    if (values.json) out.line(JSON.stringify(dataset.toDicomJson()));
    else out.line(columns.map((keyword) => dataset.strings(keyword).join('\\')).join('\t'));
    if (count === max) cancel.abort();
  }
  await association.release();
  const cancelled = count === max && status === 0xfe00;
  // after the answers: who reads only the lines must also learn that the result is not complete
  if (values.json && comment) out.line(JSON.stringify({ status: statusHex(status), comment }));
  if (status !== 0 && !cancelled) throw new Error(`the query failed with ${statusText(status, comment)}`);
  if (comment) out.note(`${target.aeTitle} says: ${comment}`);
  out.note(`${count} found${cancelled ? ` (there are more: --max ${max})` : ''}`);
  return 0;
}

export const find: LeafCommand = {
  name: 'find',
  summary: 'query an archive (C-FIND)',
  help: `[KEYWORD[=value]]... [options]

Examples: find PatientName='DOE*'   find --level SERIES StudyInstanceUID=1.2.3   find StudyDate=20260101-20261231

  --level LEVEL            PATIENT, STUDY (default), SERIES or IMAGE
  --max N                  stop after N answers (default 100)
  --to AETITLE@host:port   default: this machine's Archipelago (ARCHIPELAGO_AE_TITLE, _DIMSE_HOST, _DIMSE_PORT)
  --from AETITLE           calling AE title (default ARCHIPELAGOCLI)
  --json                   one line of DICOM JSON per answer; a comment of the archive on the whole as a last line
                           {"status", "comment"}`,
  run,
};
