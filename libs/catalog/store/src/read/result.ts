import type { DicomJson, QueryKey } from '@archipelago/contracts';
import type { KeptAttributes, KeptElement, QueryAttribute } from '@archipelago/catalog-model';

/** A row as the search reads it: kept attributes by alias, and computed columns by tag. */
export interface FoundRow {
  kept: KeptAttributes[];
  computed: Record<string, unknown>;
  issuer?: string;
}

const ISSUER = '00100021';

function plainItem(item: unknown, wanted: ReadonlySet<string> | null): DicomJson {
  const plain: DicomJson = {};
  for (const [key, element] of Object.entries(item as KeptAttributes)) {
    if (wanted === null || wanted.has(key)) plain[key] = plainElement(element, null);
  }
  return plain;
}

/** The element without our folded names; of a sequence's items only what was asked for, or all when nothing was. */
export function plainElement(element: KeptElement, wanted: ReadonlySet<string> | null): DicomJson[string] {
  if (element.Value === undefined) return { vr: element.vr };
  const value = element.vr === 'SQ' ? element.Value.map((item) => plainItem(item, wanted)) : element.Value;
  return { vr: element.vr, Value: value };
}

function computedElement(attribute: QueryAttribute, value: unknown): DicomJson[string] {
  if (Array.isArray(value)) return value.length > 0 ? { vr: attribute.vr, Value: value } : { vr: attribute.vr };
  return value === null || value === undefined ? { vr: attribute.vr } : { vr: attribute.vr, Value: [value] };
}

/** Keys asked for inside the first item of each sequence. */
export function wantedItems(keys: readonly QueryKey[]): Map<string, ReadonlySet<string>> {
  const wanted = new Map<string, ReadonlySet<string>>();
  for (const key of keys) {
    const inner = key.items?.[0]?.map((item) => item.tag) ?? [];
    if (inner.length > 0) wanted.set(key.tag, new Set(inner));
  }
  return wanted;
}

/** One match: every requested attribute, empty where nothing is known. */
export function toMatch(
  row: FoundRow,
  returns: readonly QueryAttribute[],
  wanted: Map<string, ReadonlySet<string>>,
): DicomJson {
  const match: DicomJson = {};
  for (const attribute of returns) {
    if (attribute.key in row.computed) {
      match[attribute.key] = computedElement(attribute, row.computed[attribute.key]);
      continue;
    }
    const element = row.kept.map((kept) => kept[attribute.key]).find((one) => one !== undefined);
    match[attribute.key] = element ? plainElement(element, wanted.get(attribute.key) ?? null) : { vr: attribute.vr };
  }
  // an id that the header does not qualify is its source's: shown with the issuer that it is matched under
  if (match[ISSUER] && match[ISSUER].Value === undefined && row.issuer)
    match[ISSUER] = { vr: 'LO', Value: [row.issuer] };
  return match;
}
