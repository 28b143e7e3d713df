import { applyAction, RESTRICTIONS, type Writing } from './apply-action';
import type { CompiledRule, CompiledRules } from './compile';
import { celError } from './expression';
import { CONTEXT_FIELDS, PHASES, type Destination, type Phase, type RuleContext } from './model';
import { textsOf, UnreadableValue, type CelScalar, type TagValue, type TagValues } from './tag-types';

/** A condition that takes longer is reported. */
const SLOW_MS = 20;

export interface RuleInput {
  /** By keyword; those of CompiledRules.keywords suffice. The values as stored (of the phase that is asked for). */
  tags: TagValues;
  ctx: RuleContext;
}

/** The value that counts for an element in place of the stored one. */
export interface EffectiveValue {
  keyword: string;
  /** Null: the element is not there. Empty: it is there without a value. */
  values: readonly string[] | null;
  original: readonly string[];
  /** The rule that decided, and what it did. */
  rule: string;
  phase: Phase;
  how: 'coerce' | 'set' | 'map' | 'hide' | 'obscure';
  /** Neither the original nor where it came from may be shown. */
  hideOriginal: boolean;
}

export type Outcome =
  | 'applied'
  /** It matched, and other rules had decided all that it wanted to. */
  | 'overruled'
  | 'scope'
  | 'condition-false'
  /** The condition looks at an element that is not there. */
  | 'absent'
  | 'error'
  | 'disabled';

export interface RuleExplanation {
  rule: string;
  phase: Phase;
  outcome: Outcome;
  /** Which part of the scope did not match; which element was absent; what failed. Holds no value of the object. */
  detail?: string;
  /** Actions that were not carried out though the rule matched, and why. */
  skipped?: readonly string[];
}

export interface RuleFailure {
  rule: string;
  message: string;
  /** In the expression, where one failed. */
  offset?: number;
  /** The rule would have denied, hidden or obscured: who is careful shows nothing now. */
  restrictive: boolean;
}

export interface Evaluation {
  version: number;
  digest: string;
  effective: ReadonlyMap<string, EffectiveValue>;
  denied: { rule: string; reason: string } | null;
  routes: readonly { rule: string; to: Destination }[];
  prefetch: readonly {
    rule: string;
    studies: number;
    maxAgeYears?: number;
    modalities: readonly string[];
    same: readonly string[];
  }[];
  /** Levels of obscuring that go beyond elements; whoever sends the pixels applies them. */
  obscureLevels: readonly { rule: string; level: string }[];
  compress: { rule: string; transferSyntax: string; quality?: number } | null;
  failures: readonly RuleFailure[];
  /** One per rule of the phases that were asked for, in the order in which they counted. */
  explanation: readonly RuleExplanation[];
}

export interface EvaluateOptions {
  /** Default: all four, one after the other. */
  phases?: readonly Phase[];
}

/**
 * What the rules say of one object. One pass: the phases in their order; in a phase every rule sees the values as the
 * phase found them, and the first rule (priority, then order of the source) that says something of an element decides. On
 * the way out what restricts goes before what replaces. Never throws for what `input` holds: a rule that fails does not act
 * and stands in `failures`.
 */
export function evaluate(compiled: CompiledRules, input: RuleInput, options: EvaluateOptions = {}): Evaluation {
  const run = new Run(compiled, input);
  for (const phase of PHASES) {
    if (options.phases && !options.phases.includes(phase)) continue;
    run.phase(phase);
  }
  return run.result();
}

class Run implements Writing {
  readonly routes: { rule: string; to: Destination }[] = [];
  readonly prefetch: Evaluation['prefetch'][number][] = [];
  readonly obscureLevels: { rule: string; level: string }[] = [];
  denied: Evaluation['denied'] = null;
  compress: Evaluation['compress'] = null;
  readonly failures: RuleFailure[] = [];
  private readonly explanation: RuleExplanation[] = [];
  private readonly effective = new Map<string, EffectiveValue>();
  /** Of the phase that runs. */
  private written = new Map<string, EffectiveValue>();
  private tags: Record<string, CelScalar | CelScalar[]> = {};
  private unreadable = new Map<string, UnreadableValue>();
  private stale = true;
  /** What is not known is an empty text: a condition like !(ctx.user in [...]) holds for unknown users. */
  private readonly context: Record<string, string>;
  private current: CompiledRule | undefined;

  constructor(
    readonly compiled: CompiledRules,
    readonly input: RuleInput,
  ) {
    const { ctx } = input;
    this.context = {};
    for (const field of CONTEXT_FIELDS) this.context[field] = ctx[field] ?? '';
  }

  phase(phase: Phase): void {
    this.written = new Map();
    const rules = this.compiled.phases[phase];
    const matched: { compiled: CompiledRule; at: number }[] = [];
    for (const compiled of rules) {
      const explanation = this.match(compiled);
      this.explanation.push(explanation);
      if (explanation.outcome === 'applied') matched.push({ compiled, at: this.explanation.length - 1 });
    }
    const restrictions = phase === 'outbound' ? RESTRICTIONS : [undefined];
    const results = matched.map(() => ({ done: 0, skipped: [] as string[] }));
    for (const kind of restrictions) {
      matched.forEach(({ compiled }, i) => {
        this.current = compiled;
        for (const action of compiled.rule.actions) {
          if (kind !== undefined && !kind.includes(action.kind)) continue;
          const { done, skipped } = applyAction(this, compiled, action);
          results[i].done += done;
          results[i].skipped.push(...skipped);
        }
      });
    }
    matched.forEach(({ at }, i) => {
      const { done, skipped } = results[i];
      if (done > 0 && skipped.length === 0) return;
      this.explanation[at] = {
        ...this.explanation[at],
        outcome: done > 0 ? 'applied' : 'overruled',
        ...(skipped.length > 0 ? { skipped } : {}),
      };
    });
    for (const [keyword, value] of this.written) {
      this.effective.set(keyword, value);
      this.stale = true;
    }
  }

  result(): Evaluation {
    const { ruleSet, disabled } = this.compiled;
    const off = disabled.map((rule): RuleExplanation => ({ rule: rule.id, phase: rule.phase, outcome: 'disabled' }));
    return {
      version: ruleSet.version,
      digest: ruleSet.digest,
      effective: this.effective,
      denied: this.denied,
      routes: this.routes,
      prefetch: this.prefetch,
      obscureLevels: this.obscureLevels,
      compress: this.compress,
      failures: this.failures,
      explanation: [...this.explanation, ...off],
    };
  }

  /** The values of an element as the phase found them; null when it is not there. */
  values(keyword: string): readonly string[] | null {
    const effective = this.effective.get(keyword);
    if (effective) return effective.values;
    return Object.hasOwn(this.input.tags, keyword) ? textsOf(this.input.tags[keyword]) : [];
  }

  /** False when another rule of this phase has decided already. */
  write(keyword: string, values: readonly string[] | null, how: EffectiveValue['how']): boolean {
    if (this.written.has(keyword)) return false;
    const { rule } = this.current as CompiledRule;
    const earlier = this.effective.get(keyword);
    const original =
      earlier?.original ?? textsOf(Object.hasOwn(this.input.tags, keyword) ? this.input.tags[keyword] : null);
    const hideOriginal = how === 'hide' || how === 'obscure';
    this.written.set(keyword, { keyword, values, original, rule: rule.id, phase: rule.phase, how, hideOriginal });
    return true;
  }

  fail(message: string, offset?: number): void {
    const { rule } = this.current as CompiledRule;
    const restrictive = rule.actions.some(({ kind }) => kind === 'deny' || kind === 'hide' || kind === 'obscure');
    this.failures.push({ rule: rule.id, message, ...(offset === undefined ? {} : { offset }), restrictive });
  }

  /** Runs an expression on the values as the phase found them. @throws what the expression throws */
  run(expression: { run(input: { tags: object; ctx: object }): unknown }): unknown {
    if (this.stale) this.readTags();
    return expression.run({ tags: this.tags, ctx: this.context });
  }

  /** Why an expression cannot be asked: an element that it looks at holds what it cannot be given. */
  unreadableOf(keywords: readonly string[]): UnreadableValue | undefined {
    if (this.stale) this.readTags();
    if (this.unreadable.size === 0) return undefined;
    return keywords.map((keyword) => this.unreadable.get(keyword)).find((one) => one !== undefined);
  }

  private readTags(): void {
    this.stale = false;
    this.tags = {};
    this.unreadable = new Map();
    for (const [keyword, read] of this.compiled.readers) {
      try {
        const value = read(this.values(keyword) as TagValue);
        if (value !== undefined) this.tags[keyword] = value;
      } catch (error) {
        if (!(error instanceof UnreadableValue)) throw error;
        this.unreadable.set(keyword, error);
      }
    }
  }

  private match(compiled: CompiledRule): RuleExplanation {
    const { rule, scope, condition } = compiled;
    const base = { rule: rule.id, phase: rule.phase };
    for (const { part, names } of scope) {
      const name = this.input.ctx[part];
      if (name !== undefined && names.has(name)) continue;
      if (part === 'modality' && (this.values('Modality') ?? []).some((value) => names.has(value))) continue;
      const detail = name === undefined ? `${part} is not known` : `${part} is ${name}`;
      return { ...base, outcome: 'scope', detail };
    }
    if (!condition) return { ...base, outcome: 'applied' };
    this.current = compiled;
    const unreadable = this.unreadableOf(condition.keywords);
    if (unreadable) {
      this.fail(`${unreadable.keyword}: ${unreadable.kind}`);
      return { ...base, outcome: 'error', detail: `${unreadable.keyword}: ${unreadable.kind}` };
    }
    const [started, used] = [performance.now(), process.cpuUsage()];
    try {
      const value = this.run(condition);
      if (value === true) return { ...base, outcome: 'applied' };
      if (value === false) return { ...base, outcome: 'condition-false' };
      this.fail('the condition gave neither true nor false');
      return { ...base, outcome: 'error', detail: 'the condition gave neither true nor false' };
    } catch (error) {
      const { message, offset, code } = celError(error);
      const field = condition.source.slice(offset).match(/^\w+/)?.[0];
      if (code === 'no_such_key') return { ...base, outcome: 'absent', detail: field ?? 'an element' };
      this.fail(message, offset);
      return { ...base, outcome: 'error', detail: message };
    } finally {
      if (isSlow(started, used) && this.isSlowAgain(condition))
        this.fail(`the condition took longer than ${SLOW_MS} ms`);
    }
  }

  /** Once may be the work of the compiler or the collector, which are of this process, too. */
  private isSlowAgain(condition: { run(input: { tags: object; ctx: object }): unknown }): boolean {
    const [started, used] = [performance.now(), process.cpuUsage()];
    try {
      this.run(condition);
    } catch {
      // told of the first time
    }
    return isSlow(started, used);
  }
}

/** It is slow when it uses the processor, not when others do. */
function isSlow(started: number, used: NodeJS.CpuUsage): boolean {
  return performance.now() - started > SLOW_MS && usedMs(used) > SLOW_MS;
}

/** Processor time of this process since then, in milliseconds. */
function usedMs(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1000;
}
