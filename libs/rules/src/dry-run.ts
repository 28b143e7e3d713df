import type { CompiledRules } from './compile';
import { evaluate, type Evaluation, type RuleInput } from './evaluate';
import type { Phase } from './model';

export interface DryRunOptions {
  phases?: readonly Phase[];
  /** Differences of so many objects are told in full (default 100); all are counted. */
  examples?: number;
}

export interface Difference {
  /** Number of the sample, from 0. */
  sample: number;
  /** What differs: a keyword, or deny, routes, prefetch, compress, obscure. */
  what: string;
  old: string;
  new: string;
}

export interface RuleCount {
  applied: number;
  overruled: number;
  failed: number;
}

export interface DryRun {
  samples: number;
  /** Samples for which something differs from the old rules (from no rules, without old ones). */
  changed: number;
  /** By rule of the new set; rules that never matched are here with zeros. */
  rules: ReadonlyMap<string, RuleCount>;
  /** By what differs. */
  differences: ReadonlyMap<string, number>;
  examples: readonly Difference[];
}

/**
 * What a new rule set would do to samples, and what it would change against the old one. Streams: the memory is that of
 * the counts and examples. The examples hold values of the samples: for the eyes of those who may see these.
 */
export async function dryRun(
  compiled: CompiledRules,
  oldCompiled: CompiledRules | null,
  samples: Iterable<RuleInput> | AsyncIterable<RuleInput>,
  options: DryRunOptions = {},
): Promise<DryRun> {
  const rules = new Map<string, RuleCount>();
  for (const { id } of compiled.ruleSet.rules) rules.set(id, { applied: 0, overruled: 0, failed: 0 });
  const differences = new Map<string, number>();
  const examples: Difference[] = [];
  const most = options.examples ?? 100;
  const told = new Set<number>();
  let count = 0;
  let changed = 0;
  for await (const sample of samples) {
    const now = evaluate(compiled, sample, options);
    tally(rules, now);
    const before = oldCompiled ? evaluate(oldCompiled, sample, options) : null;
    const found = compare(before, now, sample);
    if (found.length > 0) changed++;
    for (const one of found) {
      differences.set(one.what, (differences.get(one.what) ?? 0) + 1);
      if (told.size < most || told.has(count)) {
        told.add(count);
        examples.push({ sample: count, ...one });
      }
    }
    count++;
  }
  return { samples: count, changed, rules, differences, examples };
}

function tally(rules: Map<string, RuleCount>, evaluation: Evaluation): void {
  for (const { rule, outcome } of evaluation.explanation) {
    const counts = rules.get(rule) as RuleCount;
    if (outcome === 'applied') counts.applied++;
    else if (outcome === 'overruled') counts.overruled++;
  }
  for (const { rule } of evaluation.failures) (rules.get(rule) as RuleCount).failed++;
}

function compare(before: Evaluation | null, now: Evaluation, sample: RuleInput): Omit<Difference, 'sample'>[] {
  const found: Omit<Difference, 'sample'>[] = [];
  const add = (what: string, old: string, next: string): void => {
    if (old !== next) found.push({ what, old, new: next });
  };
  const keywords = new Set([...(before?.effective.keys() ?? []), ...now.effective.keys()]);
  for (const keyword of keywords) add(keyword, shown(before, keyword, sample), shown(now, keyword, sample));
  add('deny', before?.denied?.reason ?? '', now.denied?.reason ?? '');
  add('routes', list(before?.routes.map(({ to }) => to)), list(now.routes.map(({ to }) => to)));
  add('prefetch', list(before?.prefetch.map(withoutRule)), list(now.prefetch.map(withoutRule)));
  add(
    'compress',
    list(before?.compress && [withoutRule(before.compress)]),
    list(now.compress && [withoutRule(now.compress)]),
  );
  add(
    'obscure',
    list(before?.obscureLevels.map(({ level }) => level)),
    list(now.obscureLevels.map(({ level }) => level)),
  );
  return found;
}

function shown(evaluation: Evaluation | null, keyword: string, sample: RuleInput): string {
  const effective = evaluation?.effective.get(keyword);
  if (effective) return effective.values === null ? '(removed)' : effective.values.join('\\');
  const stored = Object.hasOwn(sample.tags, keyword) ? sample.tags[keyword] : undefined;
  return Array.isArray(stored) ? stored.join('\\') : String(stored ?? '');
}

function withoutRule<T extends { rule: string }>({ rule: _rule, ...rest }: T): Omit<T, 'rule'> {
  return rest;
}

/** In an order that does not depend on that of the rules. */
function list(values: readonly unknown[] | null | undefined): string {
  return (values ?? [])
    .map((value) => JSON.stringify(value))
    .sort()
    .join(' ');
}
