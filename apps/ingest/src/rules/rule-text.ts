import type { AttributeSet } from '@archipelago/catalog-model';
import { materialElements } from '@archipelago/catalog-store';
import type { RuleProblemV1 } from '@archipelago/contracts';
import { compile, parseRules, type CompiledRules, type RuleSet } from '@archipelago/rules';

export interface ReadRules {
  /** Null with an error. */
  ruleSet: RuleSet | null;
  compiled: CompiledRules | null;
  problems: RuleProblemV1[];
}

/** Reads and checks a rule set, against the archives there are and what the catalog keeps. Never throws. */
export function readRules(text: string, attributes: AttributeSet, archives: readonly string[]): ReadRules {
  const { ruleSet, problems } = parseRules(text, { known: { archives }, material: materialElements(attributes) });
  return {
    ruleSet,
    compiled: ruleSet && compile(ruleSet),
    problems: problems.map(({ severity, code, message, line, column, rule }) => ({
      ...{ severity, code, message, line, column },
      ...(rule === undefined ? {} : { rule }),
    })),
  };
}
