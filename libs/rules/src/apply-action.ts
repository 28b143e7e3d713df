import { parsePersonName, type PersonNameGroup } from '@archipelago/dicom-core';
import type { CompiledRule, CompiledRules } from './compile';
import type { EffectiveValue, Evaluation, RuleInput } from './evaluate';
import { celError } from './expression';
import type { Action, ActionKind, Destination, ObscureMethod, ValueSource } from './model';
import { resultTexts, vrOf } from './parse-values';
import { textsOf, type UnreadableValue } from './tag-types';
import { valueProblem } from './value-check';

/** On the way out, what restricts goes before what replaces. */
export const RESTRICTIONS: readonly (readonly ActionKind[] | undefined)[] = [
  ['deny'],
  ['hide'],
  ['obscure'],
  ['set', 'map', 'compress'],
];

/** What an action may see and do. */
export interface Writing {
  readonly compiled: CompiledRules;
  readonly input: RuleInput;
  readonly routes: { rule: string; to: Destination }[];
  readonly prefetch: Evaluation['prefetch'][number][];
  readonly obscureLevels: { rule: string; level: string }[];
  denied: Evaluation['denied'];
  compress: Evaluation['compress'];
  values(keyword: string): readonly string[] | null;
  write(keyword: string, values: readonly string[] | null, how: EffectiveValue['how']): boolean;
  fail(message: string, offset?: number): void;
  run(expression: { run(input: { tags: object; ctx: object }): unknown }): unknown;
  unreadableOf(keywords: readonly string[]): UnreadableValue | undefined;
}

interface Applied {
  /** Things done. */
  done: number;
  /** Things not done, and why. */
  skipped: string[];
}

export function applyAction(on: Writing, compiled: CompiledRule, action: Action): Applied {
  const rule = compiled.rule.id;
  switch (action.kind) {
    case 'coerce':
    case 'set':
      return assign(on, compiled, action.kind, action.values);
    case 'map':
      return mapByTable(on, action);
    case 'route':
      return route(on, rule, action.to);
    case 'prefetch': {
      const { kind: _kind, ...what } = action;
      on.prefetch.push({ rule, ...what });
      return { done: 1, skipped: [] };
    }
    case 'deny':
      if (on.denied) return { done: 0, skipped: [`denied by ${on.denied.rule} already`] };
      on.denied = { rule, reason: action.reason };
      return { done: 1, skipped: [] };
    case 'hide':
      return each(action.tags, (keyword) => on.write(keyword, null, 'hide'));
    case 'obscure': {
      const tags = each(action.tags, (keyword) =>
        on.write(keyword, obscured(on.values(keyword), action.by), 'obscure'),
      );
      if (action.level === undefined) return tags;
      on.obscureLevels.push({ rule, level: action.level });
      return { done: tags.done + 1, skipped: tags.skipped };
    }
    case 'compress': {
      if (on.compress) return { done: 0, skipped: [`compressed by ${on.compress.rule} already`] };
      const { kind: _kind, ...how } = action;
      on.compress = { rule, ...how };
      return { done: 1, skipped: [] };
    }
  }
}

function each(keywords: readonly string[], write: (keyword: string) => boolean): Applied {
  const skipped = keywords.filter((keyword) => !write(keyword));
  return { done: keywords.length - skipped.length, skipped: skipped.map(decided) };
}

function decided(keyword: string): string {
  return `${keyword} was decided by another rule`;
}

function assign(
  on: Writing,
  compiled: CompiledRule,
  how: 'coerce' | 'set',
  values: Readonly<Record<string, ValueSource>>,
): Applied {
  let done = 0;
  const skipped: string[] = [];
  for (const [keyword, source] of Object.entries(values)) {
    const computed = source.kind === 'expression' ? compute(on, compiled, keyword, source.cel) : undefined;
    if (typeof computed === 'string') skipped.push(computed);
    else {
      const value = source.kind === 'constant' ? source.values : (computed ?? null);
      if (on.write(keyword, value, how)) done++;
      else skipped.push(decided(keyword));
    }
  }
  return { done, skipped };
}

/** The values, or why there are none. */
function compute(on: Writing, compiled: CompiledRule, keyword: string, cel: string): readonly string[] | string {
  const expression = compiled.expressions.get(cel);
  if (!expression) throw new RangeError(`rule ${compiled.rule.id}: expression not compiled`);
  const unreadable = on.unreadableOf(expression.keywords);
  if (unreadable) return failed(on, keyword, `${unreadable.keyword}: ${unreadable.kind}`);
  try {
    const texts = resultTexts(on.run(expression), vrOf(keyword));
    if (!texts) return failed(on, keyword, 'the expression gave no text or number');
    const problem = valueProblem(keyword, texts);
    return problem ? failed(on, keyword, problem) : texts;
  } catch (error) {
    const { message, offset, code } = celError(error);
    // What a value is made of is not there: nothing to do, and nothing wrong.
    if (code === 'no_such_key')
      return `${keyword}: ${expression.source.slice(offset).match(/^\w+/)?.[0] ?? ''} is absent`;
    return failed(on, keyword, message, offset);
  }
}

function failed(on: Writing, keyword: string, message: string, offset?: number): string {
  on.fail(`${keyword}: ${message}`, offset);
  return `${keyword}: ${message}`;
}

function mapByTable(on: Writing, action: Extract<Action, { kind: 'map' }>): Applied {
  const lookup = on.compiled.lookups.get(action.table);
  if (!lookup) throw new RangeError(`no table ${action.table}`);
  const { from, tag } = action;
  const values =
    'tag' in from ? (on.values(from.tag) ?? []) : textsOf(on.input.ctx[from.ctx as keyof RuleInput['ctx']]);
  const own = 'tag' in from && from.tag === tag;
  // From itself each value by itself; from elsewhere the first value decides.
  const found = (own ? values : values.slice(0, 1)).map(lookup);
  if (found.every((to) => to === undefined)) {
    if (action.otherwise === 'keep') return { done: 0, skipped: [`${tag}: the table has no row`] };
    return on.write(tag, [], 'map') ? { done: 1, skipped: [] } : { done: 0, skipped: [decided(tag)] };
  }
  const result = found.map((to, i) => to ?? (action.otherwise === 'keep' ? values[i] : ''));
  const mapped = result.every((text) => text === '') ? [] : result;
  const problem = valueProblem(tag, mapped);
  if (problem) return { done: 0, skipped: [failed(on, tag, problem)] };
  return on.write(tag, mapped, 'map') ? { done: 1, skipped: [] } : { done: 0, skipped: [decided(tag)] };
}

/** What was fetched or migrated is not routed, and nothing goes back to where it came from. */
function route(on: Writing, rule: string, to: readonly Destination[]): Applied {
  const { origin, archive, workstation } = on.input.ctx;
  if (origin === 'fetched' || origin === 'migrated') return { done: 0, skipped: [`what was ${origin} is not routed`] };
  const skipped: string[] = [];
  let done = 0;
  for (const destination of to) {
    const name = 'archive' in destination ? destination.archive : destination.workstation;
    if (name === ('archive' in destination ? archive : workstation)) skipped.push(`${name} is where it came from`);
    else if (on.routes.some((other) => JSON.stringify(other.to) === JSON.stringify(destination))) {
      skipped.push(`${name} gets it by another rule`);
    } else {
      on.routes.push({ rule, to: destination });
      done++;
    }
  }
  return { done, skipped };
}

/** What is left of values: nothing, the initials of names, the first day of a date's year. */
export function obscured(values: readonly string[] | null, by: ObscureMethod): readonly string[] {
  if (values === null || by === 'blank') return [];
  if (by === 'year')
    return values
      .filter((value) => /^\d{4}/.test(value))
      .map((value) => (value.length === 8 ? `${value.slice(0, 4)}0101` : value.slice(0, 4)));
  return values.map((value) => initials(parsePersonName(value).alphabetic));
}

function initials(group: PersonNameGroup): string {
  const first = (text: string): string => [...text][0] ?? '';
  return [group.familyName, group.givenName, group.middleName].map(first).join('^').replace(/\^+$/, '');
}
