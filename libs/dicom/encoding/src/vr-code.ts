import { dictionaryVr, isPrivateCreatorTag, isPrivateTag, VR_RULES, vrRule } from '@archipelago/dicom-core';

/** A VR as one number, first letter in the high byte: what the byte path compares. */
export type VrCode = number;

export function vrCode(vr: string): VrCode {
  return (vr.charCodeAt(0) << 8) | vr.charCodeAt(1);
}

const names = new Map<VrCode, string>(VR_RULES.map((rule) => [vrCode(rule.vr), rule.vr]));

export function vrName(code: VrCode): string {
  return names.get(code) ?? String.fromCharCode(code >> 8, code & 0xff);
}

export const OB = vrCode('OB');
export const OW = vrCode('OW');
export const SQ = vrCode('SQ');
export const UN = vrCode('UN');
export const US = vrCode('US');
export const SS = vrCode('SS');
export const UL = vrCode('UL');

export const KNOWN = 1;
export const LONG = 2;
export const TEXT = 4;
/** Value is padded with NUL. */
export const NUL_PADDED = 8;

const flags = new Uint8Array(0x10000);
const units = new Uint8Array(0x10000).fill(1);
for (const rule of VR_RULES) {
  const isText = rule.kind === 'text' || rule.kind === 'number-text';
  flags[vrCode(rule.vr)] =
    KNOWN | (rule.longForm ? LONG : 0) | (isText ? TEXT : 0) | (rule.padding === 0 ? NUL_PADDED : 0);
  units[vrCode(rule.vr)] = rule.unit;
}

export function vrFlags(code: VrCode): number {
  return flags[code];
}

/** Bytes of one number: what changes places between the byte orders. */
export function vrUnit(code: VrCode): number {
  return units[code];
}

/** The dictionary's answer for one tag. `AMBIGUOUS_SIGN`: US or SS, as PixelRepresentation says. */
export const AMBIGUOUS_SIGN = 1;

const cache = new Map<number, VrCode>();

/**
 * VR of a standard element or private creator by the dictionary; 0 when unknown; AMBIGUOUS_SIGN for US or SS. Other
 * choices are OW, as PS3.5 A.1 has it for implicit VR.
 */
export function standardVr(tag: number): VrCode {
  let code = cache.get(tag);
  if (code === undefined) {
    code = isPrivateTag(tag) && !isPrivateCreatorTag(tag) && (tag & 0xffff) !== 0 ? 0 : fromText(dictionaryVr(tag));
    if (cache.size < 20_000) cache.set(tag, code);
  }
  return code;
}

/** VR of a private element by its creator's dictionary; 0 when unknown. */
export function privateVr(tag: number, creator: string): VrCode {
  return fromText(dictionaryVr(tag, creator));
}

function fromText(vr: string | undefined): VrCode {
  if (vr === undefined || vr === '--') return 0;
  if (!vr.includes('/')) return vrRule(vr) ? vrCode(vr) : 0;
  return vr === 'US/SS' ? AMBIGUOUS_SIGN : OW;
}

/** True when the dictionary knows the element as text: trailing padding then means nothing. */
export function isStandardText(tag: number): boolean {
  return (flags[standardVr(tag)] & TEXT) !== 0;
}
