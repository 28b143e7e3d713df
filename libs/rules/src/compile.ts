import { compileExpression, type Expression } from './expression';
import { PHASES, SCOPE_PARTS, type Action, type Phase, type Rule, type RuleSet, type ScopePart } from './model';
import { tableLookup, type Lookup } from './table-lookup';
import { tagReader, type CelScalar, type TagValue } from './tag-types';

export interface CompiledRule {
  rule: Rule;
  /** Only the parts that limit it. */
  scope: readonly { part: ScopePart; names: ReadonlySet<string> }[];
  condition?: Expression;
  /** By their source text. */
  expressions: ReadonlyMap<string, Expression>;
}

/** A rule set ready to be evaluated; immutable, may be shared. */
export interface CompiledRules {
  readonly ruleSet: RuleSet;
  /** Enabled rules of each phase, the first to count first. */
  readonly phases: Readonly<Record<Phase, readonly CompiledRule[]>>;
  /** Disabled ones, for explanations. */
  readonly disabled: readonly Rule[];
  readonly lookups: ReadonlyMap<string, Lookup>;
  /**
   * Every element that the rules look at or write: what `tags` has to hold for an evaluation. In tag-independent, sorted
   * order.
   */
  readonly keywords: readonly string[];
  /** @internal Converters of the elements that expressions look at. */
  readonly readers: ReadonlyMap<string, (value: TagValue) => CelScalar | CelScalar[] | undefined>;
}

/** @throws RangeError for a rule set that parseRules() would not have given */
export function compile(ruleSet: RuleSet): CompiledRules {
  const looked = new Set<string>();
  const all = new Set<string>(['Modality']);
  const phases: Record<Phase, CompiledRule[]> = { receipt: [], material: [], trigger: [], outbound: [] };
  for (const rule of ruleSet.rules) {
    if (!rule.enabled) continue;
    const compiled = compileRule(rule, looked);
    phases[rule.phase].push(compiled);
    for (const action of rule.actions) keywordsOf(action).forEach((keyword) => all.add(keyword));
  }
  // Sorting is stable: equal priorities stay in the order of the source.
  for (const phase of PHASES) phases[phase].sort((a, b) => b.rule.priority - a.rule.priority);
  looked.forEach((keyword) => all.add(keyword));
  return {
    ruleSet,
    phases,
    disabled: ruleSet.rules.filter(({ enabled }) => !enabled),
    lookups: new Map(Object.entries(ruleSet.tables).map(([name, table]) => [name, tableLookup(table)])),
    keywords: [...all].sort(),
    readers: new Map([...looked].map((keyword) => [keyword, tagReader(keyword)])),
  };
}

function compileRule(rule: Rule, looked: Set<string>): CompiledRule {
  const expressions = new Map<string, Expression>();
  const need = (source: string): Expression => {
    const { expression, problems } = compileExpression(source);
    if (!expression) throw new RangeError(`rule ${rule.id}: ${problems[0].message}`);
    expression.keywords.forEach((keyword) => looked.add(keyword));
    return expression;
  };
  for (const action of rule.actions) {
    if (action.kind !== 'coerce' && action.kind !== 'set') continue;
    for (const value of Object.values(action.values)) {
      if (value.kind === 'expression') expressions.set(value.cel, need(value.cel));
    }
  }
  const scope = SCOPE_PARTS.filter((part) => (rule.scope[part]?.length ?? 0) > 0);
  return {
    rule,
    scope: scope.map((part) => ({ part, names: new Set(rule.scope[part]) })),
    ...(rule.when === undefined ? {} : { condition: need(rule.when) }),
    expressions,
  };
}

function keywordsOf(action: Action): readonly string[] {
  switch (action.kind) {
    case 'coerce':
    case 'set':
      return Object.keys(action.values);
    case 'map':
      return 'tag' in action.from ? [action.tag, action.from.tag] : [action.tag];
    case 'hide':
    case 'obscure':
      return action.tags;
    case 'prefetch':
      return action.same;
    default:
      return [];
  }
}
