/**
 * Rules that keep something from who asks (docs/adr/0030). Such a rule has two sides: whom it keeps it from, known when they
 * ask; and of which studies, known before. The second is a condition that is tested when a study is written, and kept in
 * `study.labels` under the condition's own name: what a query costs does not grow with the rules.
 */
import { createHash } from 'node:crypto';
import type { AttributeSet } from '@archipelago/catalog-model';
import type { LooksAt, Rule, RuleSet, Scope } from '@archipelago/rules';

/** Source parts of a scope that a study as a whole has. A device is a series'. */
const STUDY_PARTS = ['archive', 'site', 'person'] as const;
const MODALITY = 'Modality';

export interface RestrictiveRule {
  rule: Rule;
  /** Name of the condition; null: it holds for all studies. */
  label: string | null;
}

export function sourceScope({ scope }: Rule): Scope {
  return Object.fromEntries(STUDY_PARTS.flatMap((part) => (scope[part]?.length ? [[part, scope[part]]] : [])));
}

function labelOf(rule: Rule): string | null {
  const scope = sourceScope(rule);
  if (Object.keys(scope).length === 0 && rule.when === undefined) return null;
  const sorted = STUDY_PARTS.map((part) => [...(scope[part] ?? [])].sort());
  return createHash('sha256')
    .update(JSON.stringify([sorted, rule.when ?? null]))
    .digest('hex')
    .slice(0, 32);
}

const RESTRICTIVE = new Set(['deny', 'hide', 'obscure']);

/** Enabled rules that deny, hide or obscure. */
export function restrictiveRules(ruleSet: RuleSet): RestrictiveRule[] {
  return ruleSet.rules
    .filter((rule) => rule.enabled && rule.actions.some(({ kind }) => RESTRICTIVE.has(kind)))
    .map((rule) => ({ rule, label: labelOf(rule) }));
}

/** Conditions of a rule set, by name. */
export function labelsOf(ruleSet: RuleSet): string[] {
  return [...new Set(restrictiveRules(ruleSet).flatMap(({ label }) => label ?? []))].sort();
}

/** Elements whose absence makes an object invalid, and by which it is filed: nothing can stand in their place. */
const NOT_HIDDEN = new Set([MODALITY]);
/** Half an id is another one. */
const NOT_OBSCURED = new Set(['PatientID', 'IssuerOfPatientID', 'OtherPatientIDs']);

/**
 * Why a rule on who asks would not act as its author means, undefined where it does: with a reason rather than half. Not
 * carried out are other actions than deny, hide and obscure, and conditions that a whole study does not answer.
 */
export function unactedRestriction(rule: Rule, looksAt: LooksAt, attributes: AttributeSet): string | undefined {
  const other = rule.actions.find(({ kind }) => !RESTRICTIVE.has(kind));
  if (other) return `nothing carries out ${other.kind} on the way out yet`;
  for (const part of ['user', 'step'] as const)
    if (rule.scope[part]?.length) return `who asks is known by workstation; a scope of ${part} would never be met yet`;
  if (rule.scope.modality?.length) return 'a study is denied or hidden as a whole: ask for tags.Modality instead';
  const context = looksAt.context.find((field) => !(STUDY_PARTS as readonly string[]).includes(field));
  if (context !== undefined) return `ctx.${context} is not known of a study: name it in the scope`;
  for (const keyword of looksAt.keywords)
    if (keyword !== MODALITY && !isOfStudy(keyword, attributes))
      return `${keyword} is not known of a study: a condition may look at attributes of patients and studies that the catalog keeps, and at Modality`;
  const hidden = rule.actions.flatMap((action) => (action.kind === 'hide' ? action.tags : []));
  const needed = hidden.find((keyword) => NOT_HIDDEN.has(keyword));
  if (needed !== undefined) return `${needed} cannot be hidden: no object is valid without it`;
  for (const action of rule.actions) {
    if (action.kind !== 'obscure') continue;
    if (action.level !== undefined) return 'nothing obscures pixels yet: leave the level out';
    const keyword = action.tags.find((one) => NOT_OBSCURED.has(one) || !isOfStudy(one, attributes));
    if (keyword !== undefined)
      return `${keyword} cannot be obscured, for that it has to be an attribute of patients or studies that the catalog keeps, and no id: hide it`;
  }
  return undefined;
}

function isOfStudy(keyword: string, attributes: AttributeSet): boolean {
  const attribute = attributes.all().find((one) => one.keyword === keyword);
  const ofStudy = attribute?.level === 'PATIENT' || attribute?.level === 'STUDY';
  return attribute !== undefined && !attribute.computed && !attribute.items && ofStudy;
}
