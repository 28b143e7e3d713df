import type { AttributeSet } from '@archipelago/catalog-model';
import { materialElements, unactedRestriction } from '@archipelago/catalog-store';
import type { RuleProblemV1 } from '@archipelago/contracts';
import { compile, parseRules, type CompiledRules, type LooksAt, type Rule, type RuleSet } from '@archipelago/rules';

export interface ReadRules {
  /** Null with an error. */
  ruleSet: RuleSet | null;
  compiled: CompiledRules | null;
  problems: RuleProblemV1[];
}

/**
 * Why the system does not carry out a rule; undefined: it does. In force, a rule that does nothing would be a promise that
 * nobody keeps.
 */
export function unacted(rule: Rule, looksAt: LooksAt, attributes: AttributeSet): string | undefined {
  if (rule.phase === 'material') return undefined;
  if (rule.phase === 'outbound') return unactedRestriction(rule, looksAt, attributes);
  const kinds = [...new Set(rule.actions.map(({ kind }) => kind))].join(', ');
  return `nothing carries out ${kinds} yet`;
}

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
    acting: {
      unacted: (rule, looksAt) => {
        const why = unacted(rule, looksAt, attributes);
        return why && `${why}; leave the rule out, or enabled: false`;
      },
      severity: trial ? 'warning' : 'error',
    },
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
