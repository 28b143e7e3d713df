/** Value representations and their rules (PS3.5 section 6.2). */

export type VrKind = 'text' | 'number-text' | 'binary-number' | 'bytes' | 'tag' | 'sequence';

export interface VrRule {
  vr: string;
  kind: VrKind;
  /** Most characters of one value (bytes for UI and the fixed forms); undefined without bound. */
  maxLength?: number;
  /** Byte that fills an odd value. */
  padding: 0x20 | 0x00;
  /** The value field of Explicit VR has 2 reserved bytes and a 32-bit length (PS3.5 section 7.1.2). */
  longForm: boolean;
  /** Bytes that change places between the byte orders; 1 when none do. */
  unit: 1 | 2 | 4 | 8;
  /** Several values with backslashes between them. */
  multiValued: boolean;
  /** SpecificCharacterSet applies. */
  charset: boolean;
}

function text(
  vr: string,
  maxLength: number | undefined,
  options: { charset?: boolean; single?: boolean; longForm?: boolean; nul?: boolean } = {},
): VrRule {
  return {
    vr,
    kind: vr === 'DS' || vr === 'IS' ? 'number-text' : 'text',
    maxLength,
    padding: options.nul ? 0x00 : 0x20,
    longForm: options.longForm ?? false,
    unit: 1,
    multiValued: !options.single,
    charset: options.charset ?? false,
  };
}

function binary(vr: string, kind: VrKind, unit: 1 | 2 | 4 | 8, longForm: boolean): VrRule {
  const multiValued = kind === 'binary-number' || kind === 'tag';
  return { vr, kind, padding: 0x00, longForm, unit, multiValued, charset: false };
}

/** All of PS3.5 table 6.2-1. */
export const VR_RULES: readonly VrRule[] = [
  text('AE', 16),
  text('AS', 4),
  text('CS', 16),
  text('DA', 8),
  text('DS', 16),
  text('DT', 26),
  text('IS', 12),
  text('LO', 64, { charset: true }),
  text('LT', 10240, { charset: true, single: true }),
  text('PN', 64, { charset: true }),
  text('SH', 16, { charset: true }),
  text('ST', 1024, { charset: true, single: true }),
  text('TM', 14),
  text('UC', undefined, { charset: true, longForm: true }),
  text('UI', 64, { nul: true }),
  text('UR', undefined, { single: true, longForm: true }),
  text('UT', undefined, { charset: true, single: true, longForm: true }),
  binary('AT', 'tag', 2, false),
  binary('FD', 'binary-number', 8, false),
  binary('FL', 'binary-number', 4, false),
  binary('SL', 'binary-number', 4, false),
  binary('SS', 'binary-number', 2, false),
  binary('SV', 'binary-number', 8, true),
  binary('UL', 'binary-number', 4, false),
  binary('US', 'binary-number', 2, false),
  binary('UV', 'binary-number', 8, true),
  binary('OB', 'bytes', 1, true),
  binary('OD', 'bytes', 8, true),
  binary('OF', 'bytes', 4, true),
  binary('OL', 'bytes', 4, true),
  binary('OV', 'bytes', 8, true),
  binary('OW', 'bytes', 2, true),
  binary('UN', 'bytes', 1, true),
  binary('SQ', 'sequence', 1, true),
];

const byVr = new Map(VR_RULES.map((rule) => [rule.vr, rule]));

export function vrRule(vr: string): VrRule | undefined {
  return byVr.get(vr);
}

/**
 * Splits decoded text into values and drops padding: trailing spaces and NULs of every value; leading spaces too, but
 * where they mean something (LT, ST, UT, UR, UC: PS3.5 table 6.2-1). An empty field has no value.
 */
export function splitValues(field: string, vr: string): string[] {
  const rule = byVr.get(vr);
  const whole = trimEndPadding(field);
  if (whole === '') return [];
  if (rule && !rule.multiValued) return [whole];
  if (!whole.includes('\\')) return [vr === 'UC' ? whole : whole.trimStart()];
  return whole.split('\\').map((value) => (vr === 'UC' ? trimEndPadding(value) : trimEndPadding(value).trimStart()));
}

/** Without trailing spaces and NULs. */
export function trimEndPadding(value: string): string {
  let end = value.length;
  while (end > 0) {
    const code = value.charCodeAt(end - 1);
    if (code !== 0x20 && code !== 0) break;
    end--;
  }
  return end === value.length ? value : value.slice(0, end);
}

/** The number of a DS value; undefined when it is none. */
export function parseDecimalString(value: string): number | undefined {
  const trimmed = value.trim();
  if (!/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(trimmed)) return undefined;
  const number = Number(trimmed);
  return Number.isFinite(number) ? number : undefined;
}

/** The number of an IS value; a decimal point with zeros behind it, as some devices write, is forgiven. */
export function parseIntegerString(value: string): number | undefined {
  const trimmed = value.trim();
  return /^[+-]?\d+(\.0*)?$/.test(trimmed) ? Number(trimmed) : undefined;
}

/** The greatest number that 16 characters can say without rounding up to infinity. */
const LARGEST_DS = 1.797693134e308;

/** A number as DS, at most 16 characters (PS3.5 section 6.2), as near as 16 characters allow. */
export function formatDecimalString(value: number): string {
  if (!Number.isFinite(value)) throw new RangeError('DS holds finite numbers only');
  const bounded = Math.min(LARGEST_DS, Math.max(-LARGEST_DS, value));
  for (let digits = 17; digits > 1; digits--) {
    const number = digits === 17 ? bounded : Number(bounded.toPrecision(digits));
    if (!Number.isFinite(number)) continue;
    const forms = [String(number), number.toExponential()].map((text) => text.replace('e+', 'e'));
    const fitting = forms.find((text) => text.length <= 16);
    if (fitting !== undefined) return fitting;
  }
  return bounded.toExponential(1);
}
