import { UIDS } from './generated/uids';

/** What a transfer syntax means for the bytes of a dataset (PS3.5 section 10 and Annex A). */
export interface TransferSyntax {
  uid: string;
  name: string;
  keyword: string;
  implicit: boolean;
  bigEndian: boolean;
  /** The whole dataset is a raw deflate stream (PS3.5 A.5). */
  deflated: boolean;
  /** Pixel data of undefined length in fragments (PS3.5 A.4). */
  encapsulated: boolean;
  /** Pixel data as plain values: may be re-encoded into any other native syntax. */
  native: boolean;
  /** The coding can lose information (lossy or either). */
  lossy: boolean;
  video: boolean;
  /** Pixel data lies behind a URL (JPIP). */
  referenced: boolean;
  retired: boolean;
  /** Defined by the standard; else treated as Explicit VR Little Endian that may be encapsulated. */
  known: boolean;
}

export const IMPLICIT_VR_LE = '1.2.840.10008.1.2';
export const EXPLICIT_VR_LE = '1.2.840.10008.1.2.1';
export const DEFLATED_EXPLICIT_VR_LE = '1.2.840.10008.1.2.1.99';
export const EXPLICIT_VR_BE = '1.2.840.10008.1.2.2';

const prefix = '1.2.840.10008.1.2.';
const native = new Set([IMPLICIT_VR_LE, EXPLICIT_VR_LE, DEFLATED_EXPLICIT_VR_LE, EXPLICIT_VR_BE, '1.2.840.10008.1.20']);
const referenced = new Set(['4.94', '4.95', '4.204', '4.205'].map((end) => prefix + end));
const deflated = new Set(['1.99', '4.95', '4.205'].map((end) => prefix + end));
const lossless = new Set(
  ['1.98', '4.57', '4.58', '4.65', '4.66', '4.70', '4.80', '4.90', '4.92', '4.110', '4.201', '4.202', '5', '8.1']
    .concat(['7.1', '7.2', '7.3', '6.1', '6.2'])
    .map((end) => prefix + end),
);

function describe(uid: string, name: string, keyword: string, retired: boolean, known: boolean): TransferSyntax {
  const isNative = native.has(uid);
  const isReferenced = referenced.has(uid);
  return {
    uid,
    name,
    keyword,
    implicit: uid === IMPLICIT_VR_LE || uid === '1.2.840.10008.1.20',
    bigEndian: uid === EXPLICIT_VR_BE,
    deflated: deflated.has(uid),
    encapsulated: !isNative && !isReferenced,
    native: isNative,
    lossy: known && !isNative && !isReferenced && !lossless.has(uid),
    video: /^1\.2\.840\.10008\.1\.2\.(4\.10[0-8](\.1)?|7\.[12])$/.test(uid),
    referenced: isReferenced,
    retired,
    known,
  };
}

function load(): Map<string, TransferSyntax> {
  const result = new Map<string, TransferSyntax>();
  for (const line of UIDS.split('\n')) {
    const [uid, kind, info, keyword, name] = line.split('\t');
    if (kind === 'Transfer Syntax') result.set(uid, describe(uid, name, keyword, info === 'Retired', true));
  }
  return result;
}

let table: Map<string, TransferSyntax> | undefined;

/** Every transfer syntax that the standard defines or defined. */
export function transferSyntaxes(): TransferSyntax[] {
  table ??= load();
  return [...table.values()];
}

/** A private or unknown one is taken as Explicit VR Little Endian, perhaps encapsulated, as PS3.5 A.4 demands of all. */
export function transferSyntax(uid: string): TransferSyntax {
  table ??= load();
  return table.get(uid) ?? describe(uid, 'Unknown', '', false, false);
}
