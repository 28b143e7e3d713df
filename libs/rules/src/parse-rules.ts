import { createHash } from 'node:crypto';
import { analyse } from './analysis';
import type { Expression } from './expression';
import {
  LIMITS,
  SCOPE_PARTS,
  type Action,
  type Problem,
  type Rule,
  type RuleSet,
  type Scope,
  type Table,
} from './model';
import { readAction, readTables, type KnownNames } from './parse-actions';
import { readExpression } from './parse-values';
import { phaseOf } from './phases';
import { Source, type Place } from './source';

export interface ParseOptions {
  /** Names that rules may speak of. */
  known?: KnownNames;
  /** Why rules on where data came from cannot look at an element, or write it; undefined: they can. */
  material?: (keyword: string, written: boolean) => string | undefined;
  /**
   * What whoever reads the set carries out. An enabled rule that it does not is a problem: in force it would do nothing, and
   * its author would rely on it.
   */
  acting?: { unacted(rule: Rule, looksAt: LooksAt): string | undefined; severity: 'error' | 'warning' };
}

/** Elements and context fields that a rule's condition and expressions look at. */
export interface LooksAt {
  keywords: readonly string[];
  context: readonly string[];
}

export interface ParseResult {
  /** Null when there is an error: half a rule set is none. */
  ruleSet: RuleSet | null;
  /** All errors and warnings, in the order of the source. */
  problems: Problem[];
}

/** A rule as read, with what checks of the whole set need. */
export interface ReadRule {
  rule: Rule;
  place: Place;
  /** Of its condition and its actions. */
  condition?: Expression;
  expressions: readonly Expression[];
}

const KNOWN: Record<keyof Scope, keyof KnownNames> = {
  archive: 'archives',
  site: 'sites',
  modality: 'modalities',
  person: 'persons',
  workstation: 'workstations',
  user: 'users',
  step: 'steps',
};

/** Reads a rule set from YAML or JSON and checks all of it. Never throws. The language: docs/rules/README.md. */
export function parseRules(text: string, options: ParseOptions = {}): ParseResult {
  if (text.length > LIMITS.sourceCharacters) {
    const message = `longer than ${LIMITS.sourceCharacters} characters`;
    return {
      ruleSet: null,
      problems: [{ severity: 'error', code: 'too-large', message, line: 1, column: 1, path: '' }],
    };
  }
  const source = new Source(text);
  const ruleSet = source.hasErrors ? null : readDocument(source, options);
  const problems = source.problems.sort((a, b) => a.line - b.line || a.column - b.column);
  return { ruleSet: source.hasErrors ? null : ruleSet, problems };
}

function readDocument(source: Source, options: ParseOptions): RuleSet | null {
  const root: Place = { node: source.root ?? undefined, path: '' };
  if (!source.root) {
    source.error('missing', 'the text holds nothing', root);
    return null;
  }
  const fields = source.fields(root, ['version', 'tables', 'rules'], 'a rule set');
  if (!fields) return null;
  for (const key of ['version', 'rules']) {
    if (!fields.has(key)) source.error('missing', `${key} is missing`, root);
  }
  const versionAt = fields.get('version');
  const version = versionAt ? (source.integer(versionAt, 'version', 1, 2_000_000_000) ?? 0) : 0;
  const tablesAt = fields.get('tables');
  const tables = tablesAt ? readTables(source, tablesAt) : {};
  const places = fields.has('rules') ? (source.list(fields.get('rules') as Place, 'rules') ?? []) : [];
  if (places.length > LIMITS.rules) {
    source.error('too-large', `more than ${LIMITS.rules} rules`, fields.get('rules') as Place);
    return null;
  }
  const read: ReadRule[] = [];
  const ids = new Set<string>();
  for (const place of places) {
    source.rule = undefined;
    const rule = readRule(source, place, tables, options);
    if (!rule) continue;
    if (ids.has(rule.rule.id)) source.error('duplicate', `another rule is called ${rule.rule.id}`, place);
    ids.add(rule.rule.id);
    read.push(rule);
  }
  source.rule = undefined;
  analyse(source, read);
  const rules = read.map(({ rule }) => rule);
  return { version, digest: digestOf(tables, rules), tables, rules };
}

/** Not of version and descriptions: what the rules do. */
function digestOf(tables: Readonly<Record<string, Table>>, rules: readonly Rule[]): string {
  const content = { tables: { ...tables }, rules: rules.map((rule) => ({ ...rule, description: undefined })) };
  return createHash('sha256').update(JSON.stringify(content)).digest('hex');
}

const FIELDS = ['id', 'description', 'enabled', 'priority', 'scope', 'when', 'everything', 'actions'];

function readRule(
  source: Source,
  place: Place,
  tables: Readonly<Record<string, Table>>,
  { known = {}, material, acting }: ParseOptions,
): ReadRule | null {
  const fields = source.fields(place, FIELDS, 'a rule');
  if (!fields) return null;
  const at = (key: string): Place => fields.get(key) as Place;
  const id = fields.has('id') ? source.text(at('id'), 'id') : null;
  if (!fields.has('id')) source.error('missing', 'id is missing', place);
  if (id !== null) {
    source.rule = id;
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(id)) {
      source.error('wrong-type', 'an id has up to 64 letters, digits, dots, dashes and underscores', at('id'));
    }
  }
  const expressions: Expression[] = [];
  const condition = fields.has('when') ? readCondition(source, at('when')) : null;
  const context = { source, tables, known, compiled: (one: Expression) => void expressions.push(one) };
  const actions: Action[] = [];
  const actionPlaces = fields.has('actions') ? (source.list(at('actions'), 'actions') ?? []) : [];
  if (!fields.has('actions') || (actionPlaces.length === 0 && !source.hasErrors)) {
    source.error('missing', 'a rule has actions', place);
  }
  if (actionPlaces.length > LIMITS.actionsPerRule) {
    source.error('too-large', `more than ${LIMITS.actionsPerRule} actions`, at('actions'));
  }
  for (const actionPlace of actionPlaces) {
    const action = readAction(actionPlace, context);
    if (action) actions.push(action);
  }
  const scope = fields.has('scope') ? readScope(source, at('scope'), known) : {};
  const looksAt = [...new Set([...(condition?.context ?? []), ...expressions.flatMap((one) => [...one.context])])];
  const phase = phaseOf(actions, scope, looksAt, (message) =>
    source.error('scope', message, fields.get('scope') ?? place),
  );
  const description = fields.has('description') ? source.text(at('description'), 'description') : null;
  const rule: Rule = {
    id: id ?? '',
    description: description ?? '',
    enabled: fields.has('enabled') ? (source.flag(at('enabled'), 'enabled') ?? true) : true,
    priority: fields.has('priority') ? (source.integer(at('priority'), 'priority', -1_000_000, 1_000_000) ?? 0) : 0,
    scope,
    ...(condition ? { when: condition.source } : {}),
    everything: fields.has('everything') ? (source.flag(at('everything'), 'everything') ?? false) : false,
    phase,
    actions,
  };
  if (acting && rule.enabled && actions.length > 0) {
    const keywords = [...(condition?.keywords ?? []), ...expressions.flatMap((one) => [...one.keywords])];
    const message = acting.unacted(rule, { keywords: [...new Set(keywords)], context: looksAt });
    if (message !== undefined && acting.severity === 'error') source.error('not-acting', message, place);
    else if (message !== undefined) source.warn('not-acting', message, place);
  }
  if (phase === 'material' && material) {
    const refuse = (keyword: string, written: boolean, where: Place): void => {
      const why = material(keyword, written);
      if (why !== undefined) source.error('forbidden-tag', `${keyword}: ${why}`, where);
    };
    for (const keyword of condition?.keywords ?? []) refuse(keyword, false, at('when'));
    for (const keyword of expressions.flatMap((one) => [...one.keywords])) refuse(keyword, false, at('actions'));
    actions.forEach((action, i) => {
      const where = actionPlaces[i] ?? place;
      if (action.kind === 'set') for (const keyword of Object.keys(action.values)) refuse(keyword, true, where);
      if (action.kind !== 'map') return;
      refuse(action.tag, true, where);
      if ('tag' in action.from) refuse(action.from.tag, false, where);
    });
  }
  return { rule, place, ...(condition ? { condition } : {}), expressions };
}

function readCondition(source: Source, place: Place): Expression | null {
  // `when: true` is a condition too.
  const condition = readExpression(source, place, 'when');
  if (condition && condition.type !== 'bool' && condition.type !== 'dyn') {
    source.errorInside('expression', `a condition is true or false, not ${condition.type}`, place, 0);
  }
  return condition;
}

function readScope(source: Source, place: Place, known: KnownNames): Scope {
  const scope: Record<string, string[]> = {};
  const fields = source.fields(place, SCOPE_PARTS, 'scope');
  for (const part of SCOPE_PARTS) {
    const at = fields?.get(part);
    if (!at) continue;
    const names = source.texts(at, part) ?? [];
    if (names.length > LIMITS.scopeNames) source.error('too-large', `more than ${LIMITS.scopeNames} names`, at);
    const exist = known[KNOWN[part]];
    for (const { text, place: namePlace } of names) {
      if (text === '' || /[*?]/.test(text)) {
        source.error('scope', 'a scope lists names, without wildcards; leave it away for any', namePlace);
      } else if (exist && !exist.includes(text)) source.error('unknown-name', `no ${part} ${text}`, namePlace);
    }
    if (names.length > 0) scope[part] = names.map(({ text }) => text);
  }
  return scope as Scope;
}
