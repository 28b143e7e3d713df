import {
  keptOf,
  plainValues,
  type AttributeSet,
  type CatalogLevel,
  type KeptAttributes,
  type KeptElement,
  type QueryAttribute,
  type RowOverlay,
} from '@archipelago/catalog-model';
import { evaluate, type CompiledRules, type RuleContext, type RuleFailure } from '@archipelago/rules';

/** The rule set in force, as the writers of rows use it. */
export interface ActiveRules {
  /** `rule_set.id`. */
  version: number;
  compiled: CompiledRules;
  attributes: AttributeSet;
  /** Site whose edges reach a source. */
  siteOf(source: string): string;
  /** A rule could not be evaluated on a row: it did not act there. */
  onFailure?(failure: RuleFailure): void;
}

/** Whose PatientID a row shows is a matter of identity: links of persons, not rules, change it. */
const IDENTITY = new Set(['PatientID', 'IssuerOfPatientID', 'OtherPatientIDs', 'OtherPatientIDsSequence']);

const writtenBy = new WeakMap<CompiledRules, ReadonlySet<string>>();

/** Keywords that rules on where data came from write. */
export function materialKeywords(compiled: CompiledRules): ReadonlySet<string> {
  const known = writtenBy.get(compiled);
  if (known) return known;
  const keywords = new Set<string>();
  for (const { rule } of compiled.phases.material)
    for (const action of rule.actions) {
      if (action.kind === 'set') for (const keyword of Object.keys(action.values)) keywords.add(keyword);
      if (action.kind === 'map') keywords.add(action.tag);
    }
  writtenBy.set(compiled, keywords);
  return keywords;
}

/** Elements that these rules look at or write and that no row can give or keep, with why. */
export function notMaterial(compiled: CompiledRules, attributes: AttributeSet): { keyword: string; why: string }[] {
  if (compiled.phases.material.length === 0) return [];
  const kept = new Set(attributes.all().flatMap((one) => (one.computed || one.items ? [] : [one.keyword])));
  const looked = new Set(materialKeywords(compiled));
  for (const { rule, condition, expressions } of compiled.phases.material) {
    for (const expression of [condition, ...expressions.values()])
      for (const keyword of expression?.keywords ?? []) looked.add(keyword);
    for (const action of rule.actions) if (action.kind === 'map' && 'tag' in action.from) looked.add(action.from.tag);
  }
  const written = materialKeywords(compiled);
  return [...looked].sort().flatMap((keyword) => {
    if (IDENTITY.has(keyword) && written.has(keyword))
      return [{ keyword, why: 'whose images these are is decided by links of persons, not by rules' }];
    return kept.has(keyword) ? [] : [{ keyword, why: 'the catalog does not keep it: add it to queryAttributes' }];
  });
}

/** Attributes that the rules write in a row of the level; a study's row holds its patient's too. */
export function writtenAt(level: CatalogLevel, { compiled, attributes }: ActiveRules): QueryAttribute[] {
  const keywords = materialKeywords(compiled);
  const levels: CatalogLevel[] = level === 'STUDY' ? ['PATIENT', 'STUDY'] : [level];
  return levels.flatMap((one) => attributes.ofLevel(one)).filter((one) => keywords.has(one.keyword));
}

/**
 * The effective values of one row; null where no rule changes anything.
 * @param own what was said of the row
 * @param above what was said of the rows above it, for conditions
 */
export function overlayOf(
  rules: ActiveRules,
  written: readonly QueryAttribute[],
  own: KeptAttributes,
  above: KeptAttributes,
  ctx: RuleContext,
): RowOverlay | null {
  const said = { ...above, ...own };
  const tags: Record<string, string[]> = {};
  for (const [key, element] of Object.entries(said)) {
    const attribute = rules.attributes.get(key);
    if (attribute && element.vr !== 'SQ') tags[attribute.keyword] = plainValues(key, element);
  }
  const { effective, failures } = evaluate(rules.compiled, { tags, ctx }, { phases: ['material'] });
  for (const failure of failures) rules.onFailure?.(failure);
  const overlay: RowOverlay = { version: rules.version, set: {}, was: {}, by: {} };
  for (const attribute of written) {
    const value = effective.get(attribute.keyword);
    if (!value) continue;
    const { key } = attribute;
    const [now, before] = [keptOf(attribute, value.values), own[key] ?? null];
    if (sameElement(now, before)) continue;
    overlay.set[key] = now;
    overlay.was[key] = before;
    overlay.by[key] = value.rule;
  }
  return Object.keys(overlay.set).length === 0 ? null : overlay;
}

function sameElement(a: KeptElement | null, b: KeptElement | null): boolean {
  return JSON.stringify(a?.Value ?? (a ? [] : null)) === JSON.stringify(b?.Value ?? (b ? [] : null));
}
