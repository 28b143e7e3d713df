import type { AttributeSet } from '@archipelago/catalog-model';
import { materialElements, unactedRestriction, unactedRoute } from '@archipelago/catalog-store';
import type { RuleProblemV1 } from '@archipelago/contracts';
import {
  compile,
  parseRules,
  type CompiledRules,
  type Destination,
  type LooksAt,
  type Rule,
  type RuleSet,
} from '@archipelago/rules';

export interface ReadRules {
  /** Null with an error. */
  ruleSet: RuleSet | null;
  compiled: CompiledRules | null;
  problems: RuleProblemV1[];
}

/** What rules can look at, and act upon, here. */
export interface RuleSite {
  attributes: AttributeSet;
  /** Why routes cannot go there; undefined: they can. */
  cannotReach(to: Destination): string | undefined;
}

/**
 * Why the system does not carry out a rule; undefined: it does. In force, a rule that does nothing would be a promise that
 * nobody keeps.
 */
export function unacted(rule: Rule, looksAt: LooksAt, site: RuleSite): string | undefined {
  switch (rule.phase) {
    case 'material':
      return undefined;
    case 'outbound':
      return unactedRestriction(rule, looksAt, site.attributes);
    case 'trigger': {
      const why = unactedRoute(rule, looksAt, site.attributes);
      if (why !== undefined) return why;
      const to = rule.actions.flatMap((action) => (action.kind === 'route' ? action.to : []));
      return to.map((one) => site.cannotReach(one)).find((one) => one !== undefined);
    }
    case 'receipt':
      return 'nothing carries out coerce yet';
  }
}

/**
 * Reads and checks a rule set, against the archives there are and what the catalog keeps. Never throws.
 * @param archives names that a scope may hold, our own site's too
 * @param trial it is only tried: rules that nothing carries out yet are a warning, not an error
 */
export function readRules(text: string, site: RuleSite, archives: readonly string[], trial = false): ReadRules {
  const { ruleSet, problems } = parseRules(text, {
    known: { archives },
    material: materialElements(site.attributes),
    acting: {
      unacted: (rule, looksAt) => {
        const why = unacted(rule, looksAt, site);
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
