import {
  keptOf,
  type AttributeSet,
  type CatalogLevel,
  type KeptAttributes,
  type KeptElement,
  type QueryAttribute,
  type RowOverlay,
} from '@archipelago/catalog-model';
import { evaluate, type CompiledRules, type RuleContext, type RuleFailure } from '@archipelago/rules';
import { tagsOf } from './rule-context';

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

/** What `parseRules` is to refuse of rules on where data came from: what no row can give or keep. */
export function materialElements(attributes: AttributeSet): (keyword: string, written: boolean) => string | undefined {
  const kept = new Set(attributes.all().flatMap((one) => (one.computed || one.items ? [] : [one.keyword])));
  return (keyword, written) => {
    if (written && IDENTITY.has(keyword)) return 'whose images these are is decided by links of persons, not by rules';
    return kept.has(keyword) ? undefined : 'the catalog does not keep it: add it to queryAttributes';
  };
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
  const tags = tagsOf({ ...above, ...own }, rules.attributes);
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
