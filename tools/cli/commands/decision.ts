import { parseArgs, type ParseArgsConfig } from 'node:util';

/** Options of every command by which a person decides something. */
export const DECISION_OPTIONS = {
  json: { type: 'boolean', default: false },
  reason: { type: 'string' },
  by: { type: 'string' },
  at: { type: 'string' },
} as const satisfies ParseArgsConfig['options'];

export interface DecisionValues {
  json: boolean;
  reason?: string;
  by?: string;
  at?: string;
}

export function parseDecision(args: string[]): { values: DecisionValues; positionals: string[] } {
  return parseArgs({ args, allowPositionals: true, options: DECISION_OPTIONS });
}

/** Who decides, and why: kept with what is decided. */
export function who({ by, reason }: Pick<DecisionValues, 'by' | 'reason'>): { by: string; reason: string } {
  return { by: by ?? process.env['USER'] ?? 'cli', reason: reason ?? '' };
}
