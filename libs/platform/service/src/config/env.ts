import { z } from 'zod';

const TRUE = new Set(['true', '1', 'yes', 'on']);
const FALSE = new Set(['false', '0', 'no', 'off']);

/** true/false, 1/0, yes/no, on/off; anything else is a mistake (never silently false). */
export function envBoolean(): z.ZodType<boolean, string> {
  return z.string().transform((value, context) => {
    const lower = value.toLowerCase();
    if (TRUE.has(lower)) return true;
    if (FALSE.has(lower)) return false;
    context.addIssue({ code: 'custom', message: 'expected true or false' });
    return z.NEVER;
  });
}

/** Whole number in [min, max]. */
export function envInteger(min: number, max: number): z.ZodType<number, unknown> {
  return z.coerce.number().int().min(min).max(max);
}

/** TCP port; 0 asks for an ephemeral one. */
export function envPort(): z.ZodType<number, unknown> {
  return envInteger(0, 65_535);
}
