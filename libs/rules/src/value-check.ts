import {
  lookupKeyword,
  parseDate,
  parseDateTime,
  parseDecimalString,
  parseIntegerString,
  parseTime,
  vrRule,
  type VrRule,
} from '@archipelago/dicom-core';

/** Bounds of the binary integers (PS3.5 table 6.2-1). */
const RANGES: Record<string, readonly [number, number]> = {
  US: [0, 0xffff],
  SS: [-0x8000, 0x7fff],
  UL: [0, 0xffffffff],
  SL: [-0x80000000, 0x7fffffff],
  SV: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  UV: [0, Number.MAX_SAFE_INTEGER],
  IS: [-0x80000000, 0x7fffffff],
};

const FORMS: Record<string, (text: string) => boolean> = {
  AS: (text) => /^\d{3}[DWMY]$/.test(text),
  CS: (text) => /^[A-Z0-9 _]*$/.test(text),
  DA: (text) => /^\d{8}$/.test(text) && parseDate(text) !== undefined,
  TM: (text) => !text.includes(':') && parseTime(text) !== undefined,
  DT: (text) => parseDateTime(text) !== undefined,
  DS: (text) => parseDecimalString(text) !== undefined,
  IS: (text) => parseIntegerString(text) !== undefined && !text.includes('.'),
};

/**
 * Why the values cannot stand in the element: undefined when they can. Checks VM, length, repertoire and form by the
 * dictionary's VR (PS3.5 section 6.2). The keyword must be one of the dictionary.
 */
export function valueProblem(keyword: string, values: readonly string[]): string | undefined {
  const entry = lookupKeyword(keyword);
  if (!entry) return 'no such keyword';
  const vr = entry.vr.split('/')[0];
  const rule = vrRule(vr);
  if (values.length === 0) return undefined;
  if (!rule || rule.kind === 'sequence' || rule.kind === 'bytes' || rule.kind === 'tag') return `${vr} takes no value`;
  if (!allowsCount(entry.vm, values.length)) return `${values.length} values, but VM is ${entry.vm}`;
  for (const value of values) {
    const problem = oneValue(vr, rule, value);
    if (problem) return problem;
  }
  return undefined;
}

function oneValue(vr: string, rule: VrRule, value: string): string | undefined {
  if (value === '') return undefined;
  const range = RANGES[vr];
  if (range) {
    const number = Number(value);
    if (!Number.isInteger(number) || number < range[0] || number > range[1]) return `no value of ${vr}`;
  }
  if (vr === 'FL' || vr === 'FD')
    return value.trim() !== '' && Number.isFinite(Number(value)) ? undefined : `no value of ${vr}`;
  if (rule.multiValued && value.includes('\\')) return 'a backslash would make two values';
  if (/\p{Surrogate}/u.test(value)) return 'no well-formed text';
  const controls = rule.multiValued || vr === 'UR' ? /[\x00-\x1f\x7f]/ : /[\x00-\x08\x0b\x0e-\x1f\x7f]/;
  if (controls.test(value)) return 'control characters';
  if (!rule.charset && !/^[\x20-\x7e]*$/.test(value)) return `${vr} holds ASCII only`;
  const longest = vr === 'PN' ? Math.max(...value.split('=').map((group) => group.length)) : value.length;
  if (rule.maxLength !== undefined && longest > rule.maxLength)
    return `longer than ${rule.maxLength} characters of ${vr}`;
  if (vr === 'PN' && (value.split('=').length > 3 || value.split('=').some((group) => group.split('^').length > 5))) {
    return 'PN has at most three groups of five parts';
  }
  return FORMS[vr]?.(value) === false ? `no value of ${vr}` : undefined;
}

/** VM of the dictionary: '1', '3', '1-2', '1-n', '2-2n'. */
export function allowsCount(vm: string, count: number): boolean {
  const [low, high] = vm.split('-');
  const least = parseInt(low, 10);
  if (high === undefined) return count === least;
  if (high === 'n') return count >= least;
  const step = /^(\d+)n$/.exec(high);
  if (step) return count >= least && count % Number(step[1]) === 0;
  return count >= least && count <= Number(high);
}
