/** What rules keep from who asks (docs/adr/0030). */
import type { DicomJson, OverlayV1, Principal } from '@archipelago/contracts';
import {
  keptOf,
  plainValues,
  type AttributeSet,
  type CatalogLevel,
  type KeptAttributes,
  type KeptElement,
  type Predicate,
} from '@archipelago/catalog-model';
import { lookupTag, tagOf } from '@archipelago/dicom-core';
import { TransientError } from '@archipelago/platform-service';
import { obscured, parseRules, type ObscureMethod, type RuleSet } from '@archipelago/rules';
import { restrictiveRules } from '../rules/restrictive-rules';
import { shown } from '../shown';
import type { LabelFilter } from './access';
import { plainElement } from './result';
import type { QueryRunner } from './runner';
import type { SqlBuilder } from './sql-builder';

/** Conditions under which something is kept from who asks, by name; null: always. */
type When = readonly string[] | null;

export interface Restrictions {
  /** Studies that are not there. */
  deny: When;
  /** Elements that are not there, by key. */
  hide: ReadonlyMap<string, When>;
  /** Elements of which less is shown, by key; the first that holds decides. They match nothing, as if hidden. */
  obscure: ReadonlyMap<string, readonly { when: When; by: ObscureMethod }[]>;
}

/** The rules in force cannot be relied on yet, or not be read: who they are for gets a failure, not an answer. */
export class RulesNotReadyError extends TransientError {
  constructor(message: string) {
    super('rules-not-ready', message);
  }
}

/** An id is hidden with all that tells it. */
const WITH: Record<string, readonly string[]> = {
  // Issuer, Qualifiers Sequence, Other Patient IDs and its sequence
  '00100020': ['00100021', '00100024', '00101000', '00101002'],
};
/** Counts of a person's studies, which would tell of those that are denied. */
const COUNTS = ['00201200', '00201202', '00201204'];
/** What an answer is sorted by. */
const SORTED_BY: Record<CatalogLevel, readonly string[]> = {
  PATIENT: ['00100020'],
  STUDY: ['00080020', '00080030'],
  SERIES: ['00200011'],
  IMAGE: ['00200013'],
};
/** Type 2 of modules that all images have (PS3.3 C.7.1.1, C.7.2.1, C.7.3.1, C.7.6.1): there, without a value. */
const KEPT_EMPTY = new Set([
  ...['00100010', '00100020', '00100030', '00100040'],
  ...['00080020', '00080030', '00080050', '00080090', '00200010'],
  ...['00200011', '00200013', '00200020'],
]);

const union = (a: When | undefined, b: string | null): When =>
  a === null || b === null ? null : [...new Set([...(a ?? []), b])];

function keyOf(keyword: string): string {
  const tag = tagOf(keyword);
  if (tag === undefined) throw new RulesNotReadyError('a rule in force hides an element that is not known');
  return tag.toString(16).padStart(8, '0').toUpperCase();
}

/** Of these rules what concerns these workstations; null: nothing. */
export function restrictionsFor(ruleSet: RuleSet, names: readonly string[]): Restrictions | null {
  let deny: When = [];
  const hide = new Map<string, When>();
  const obscure = new Map<string, { when: When; by: ObscureMethod }[]>();
  const byPriority = [...restrictiveRules(ruleSet)].sort((a, b) => b.rule.priority - a.rule.priority);
  for (const { rule, label } of byPriority) {
    const { workstation } = rule.scope;
    if (workstation?.length && !workstation.some((name) => names.includes(name))) continue;
    for (const action of rule.actions) {
      if (action.kind === 'deny') deny = union(deny, label);
      if (action.kind === 'obscure')
        for (const key of action.tags.map(keyOf))
          obscure.set(key, [...(obscure.get(key) ?? []), { when: union([], label), by: action.by }]);
      if (action.kind !== 'hide') continue;
      for (const keyword of action.tags) {
        const key = keyOf(keyword);
        for (const one of [key, ...(WITH[key] ?? [])]) hide.set(one, union(hide.get(one), label));
      }
    }
  }
  return deny !== null && deny.length === 0 && hide.size + obscure.size === 0 ? null : { deny, hide, obscure };
}

/** Conditions under which the element matches nothing; undefined: it does always. */
function unmatched({ hide, obscure }: Restrictions, key: string): When | undefined {
  const all = [...(hide.has(key) ? [hide.get(key)!] : []), ...(obscure.get(key) ?? []).map(({ when }) => when)];
  if (all.length === 0) return undefined;
  return all.some((when) => when === null) ? null : [...new Set(all.flatMap((when) => when ?? []))];
}

interface InForce {
  version: number;
  source: string | null;
  labels: string[];
}

const IN_FORCE = `
  SELECT r.id AS version, CASE WHEN r.id <> $1 THEN r.source END AS source, ARRAY(SELECT label FROM rule_label) AS labels
  FROM rule_set r ORDER BY r.id DESC LIMIT 1`;

/** Reads the rules in force for each question; parses them where they changed. */
export class RestrictionReader {
  private version = 0;
  private ruleSet: RuleSet | null = null;

  constructor(private readonly runner: QueryRunner) {}

  /**
   * @param receivers other workstations that will see the answer (a C-MOVE destination): what is kept from one of them is kept
   * @throws RulesNotReadyError while studies are still tested for a condition that concerns who asks; as `runner.read`
   */
  async of(principal: Principal, receivers: readonly string[] = []): Promise<Restrictions | null> {
    if (principal.kind === 'service') return null;
    const [now] = await this.runner.read((run) => run<InForce>(IN_FORCE, [this.version]));
    if (!now) return null;
    if (now.source !== null) this.take(now.version, now.source);
    if (!this.ruleSet) return null;
    const names = [principal.name, principal.workstation, ...receivers].filter((name) => name !== undefined);
    const restrictions = restrictionsFor(this.ruleSet, names);
    if (!restrictions) return null;
    const tested = new Set(now.labels);
    const { deny, hide, obscure } = restrictions;
    const whens = [deny, ...hide.values(), ...[...obscure.values()].flatMap((list) => list.map(({ when }) => when))];
    const needed = whens.flatMap((when) => when ?? []);
    if (needed.some((label) => !tested.has(label)))
      throw new RulesNotReadyError('studies are still tested for rules that concern who asks');
    return restrictions;
  }

  private take(version: number, source: string): void {
    const { ruleSet } = parseRules(source);
    // of a language that this version does not read: nobody is told what it may keep from them
    if (!ruleSet && /\b(deny|hide|obscure)\b/.test(source))
      throw new RulesNotReadyError('the rules in force cannot be read');
    this.version = version;
    this.ruleSet = ruleSet;
  }
}

/** A condition on the labels of the study in that alias; null: always true. */
export function apart(when: When | undefined, alias: string, sql: SqlBuilder): string | null {
  if (when === null) return 'false';
  if (when === undefined || when.length === 0) return null;
  return `NOT (${alias}.labels && ${sql.param([...when], 'text[]')})`;
}

const STUDIES_OF = `SELECT 1 FROM study v WHERE v.person = p.person AND v.grouped IS NULL AND ${shown('v')}`;

/** Rows that who asks may know of: studies, and persons of whom they may know a study. */
export function restrictedRows({ deny }: Restrictions): LabelFilter {
  return (_principal, alias, sql) => {
    if (alias === 's') return apart(deny, 's', sql);
    const some = alias === 'p' ? apart(deny, 'v', sql) : null;
    return some === null || some === 'false' ? some : `EXISTS (${STUDIES_OF} AND ${some})`;
  };
}

function keysOf(predicate: Predicate): string[] {
  if (predicate.kind === 'combined') return [predicate.date.key, predicate.time.key];
  if (predicate.kind === 'sequence') return [predicate.attribute.key, ...predicate.inner.flatMap(keysOf)];
  return [predicate.attribute.key];
}

/** What is hidden matches nothing: the rows, by alias of study or patient, on which these predicates may be tried. */
export function restrictedMatching(
  restrictions: Restrictions,
  keys: readonly string[],
  alias: 's' | 'p',
  sql: SqlBuilder,
): string[] {
  const { deny } = restrictions;
  if ((deny === null || deny.length > 0) && keys.some((key) => COUNTS.includes(key))) return ['false'];
  return [...new Set(keys)].flatMap((key) => {
    const when = unmatched(restrictions, key);
    if (when === undefined) return [];
    if (alias === 's' || when === null) return apart(when, 's', sql) ?? [];
    return `NOT EXISTS (${STUDIES_OF} AND v.labels && ${sql.param([...when], 'text[]')})`;
  });
}

export const predicateKeys = (predicates: readonly Predicate[]): string[] => predicates.flatMap(keysOf);

/** Answers of the level are not to be sorted as they are. */
export function hidesOrder(restrictions: Restrictions, level: CatalogLevel): boolean {
  return SORTED_BY[level].some((key) => unmatched(restrictions, key) !== undefined);
}

/** Labels of the row, or of all studies of the person. */
export const labelsColumn = (alias: 's' | 'p'): string =>
  alias === 's'
    ? 's.labels AS labels'
    : `ARRAY(SELECT DISTINCT l FROM study v, unnest(v.labels) l WHERE v.person = p.person) AS labels`;

/** Keys that are hidden in a row with these labels. */
export function hiddenKeys({ hide }: Restrictions, labels: readonly string[]): Set<string> {
  const held = new Set(labels);
  const keys = new Set<string>();
  for (const [key, when] of hide) if (when === null || when.some((label) => held.has(label))) keys.add(key);
  return keys;
}

/** Keys that are obscured and not hidden in a row with these labels, with the elements to show: less of what `kept` says. */
export function obscuredElements(
  { obscure }: Restrictions,
  hidden: ReadonlySet<string>,
  labels: readonly string[],
  kept: KeptAttributes,
  attributes: AttributeSet,
): DicomJson {
  const held = new Set(labels);
  const shown: DicomJson = {};
  for (const [key, rules] of obscure) {
    const rule = rules.find(({ when }) => when === null || when.some((label) => held.has(label)));
    const attribute = attributes.get(key);
    if (!rule || !attribute || hidden.has(key)) continue;
    const element = kept[key];
    const less: KeptElement | null = element ? keptOf(attribute, obscured(plainValues(key, element), rule.by)) : null;
    shown[key] = less === null ? { vr: attribute.vr } : plainElement(less, null);
  }
  return shown;
}

function concealItems(element: DicomJson[string], keys: ReadonlySet<string>): DicomJson[string] {
  if (element.vr !== 'SQ' || element.Value === undefined) return element;
  const items = (element.Value as DicomJson[]).map((item) =>
    Object.fromEntries(
      Object.entries(item).flatMap(([key, inner]) => (keys.has(key) ? [] : [[key, concealItems(inner, keys)]])),
    ),
  );
  return { ...element, Value: items };
}

/** The match without what is hidden: asked for and empty, inside of sequences not there. */
export function conceal(
  match: DicomJson,
  restrictions: Restrictions,
  labels: readonly string[],
  attributes: AttributeSet,
): DicomJson {
  const less = obscuredElements(
    restrictions,
    hiddenKeys(restrictions, labels),
    labels,
    match as KeptAttributes,
    attributes,
  );
  // in items of sequences there is no telling how much of it would be too much
  const keys = hiddenKeys(restrictions, labels);
  if (restrictions.deny === null || restrictions.deny.length > 0) for (const key of COUNTS) keys.add(key);
  for (const key of Object.keys(less)) keys.add(key);
  return Object.fromEntries(
    Object.entries(match).map(([key, element]) => [
      key,
      less[key] ?? (keys.has(key) ? { vr: element.vr } : concealItems(element, keys)),
    ]),
  );
}

/** The overlay that takes away from an object what is hidden, on top of what is shown in place of stored values. */
export function concealing(
  overlay: OverlayV1 | undefined,
  keys: ReadonlySet<string>,
  less: DicomJson,
): OverlayV1 | undefined {
  if (keys.size === 0 && Object.keys(less).length === 0) return overlay;
  const set = Object.fromEntries(Object.entries(overlay?.set ?? {}).filter(([key]) => !keys.has(key)));
  const removed = new Set((overlay?.removed ?? []).filter((key) => !keys.has(key) && !(key in less)));
  for (const key of keys) {
    if (KEPT_EMPTY.has(key)) set[key] = { vr: lookupTag(parseInt(key, 16))?.vr ?? 'UN' };
    else removed.add(key);
  }
  Object.assign(set, less);
  return { set, removed: [...removed], hidden: [...keys, ...Object.keys(less)] };
}

/** How many of the studies that are named are denied: for the log of those who run the system, not for who asks. */
export async function deniedStudies(
  runner: QueryRunner,
  studyInstanceUids: readonly string[],
  { deny }: Restrictions,
): Promise<number> {
  if (deny !== null && deny.length === 0) return 0;
  const [row] = await runner.read((run) =>
    run<{ count: number }>(
      `SELECT count(DISTINCT study_instance_uid)::int AS count FROM study s
       WHERE study_instance_uid = ANY($1::text[]) AND ${shown('s')} AND ($2::text[] IS NULL OR labels && $2)`,
      [studyInstanceUids, deny],
    ),
  );
  return row?.count ?? 0;
}
