import type { AttributeSet } from '@archipelago/catalog-model';
import { materialElements } from '@archipelago/catalog-store';
import type { RuleProblemV1 } from '@archipelago/contracts';
import { compile, parseRules, type CompiledRules, type Phase, type RuleSet } from '@archipelago/rules';

export interface ReadRules {
  /** Null with an error. */
  ruleSet: RuleSet | null;
  compiled: CompiledRules | null;
  problems: RuleProblemV1[];
}

/** What the system carries out: a rule of another phase in force would be a promise that nobody keeps. */
export const ACTING_PHASES: readonly Phase[] = ['material'];

/**
 * Reads and checks a rule set, against the archives there are and what the catalog keeps. Never throws.
 * @param trial it is only tried: rules that nothing carries out yet are a warning, not an error
 */
export function readRules(
  text: string,
  attributes: AttributeSet,
  archives: readonly string[],
  trial = false,
): ReadRules {
  const { ruleSet, problems } = parseRules(text, {
    known: { archives },
    material: materialElements(attributes),
    acting: { phases: ACTING_PHASES, severity: trial ? 'warning' : 'error' },
  });
  return {
    ruleSet,
    compiled: ruleSet && compile(ruleSet),
    problems: problems.map(({ severity, code, message, line, column, rule }) => ({
      ...{ severity, code, message, line, column },
      ...(rule === undefined ? {} : { rule }),
    })),
  };
}
