/** Answers and objects without what rules keep from who asks (docs/adr/0030). */
import type { DicomJson, OverlayV1 } from '@archipelago/contracts';
import { keptOf, plainValues, type AttributeSet, type KeptAttributes } from '@archipelago/catalog-model';
import { lookupTag } from '@archipelago/dicom-core';
import { obscured } from '@archipelago/rules';
import { COUNTS_OF_PERSON, denies, type Restrictions, type When } from './restrictions';
import { plainElement } from './result';

/** Type 2 of modules that all images have (PS3.3 C.7.1.1, C.7.2.1, C.7.3.1, C.7.6.1): there, without a value. */
const KEPT_EMPTY = new Set([
  ...['00100010', '00100020', '00100030', '00100040'],
  ...['00080020', '00080030', '00080050', '00080090', '00200010'],
  ...['00200011', '00200013', '00200020'],
]);

/** What is kept back of one row. */
interface Concealed {
  hidden: ReadonlySet<string>;
  /** Elements of which less is shown, as they are shown. */
  less: DicomJson;
}

/** @param kept the values that count, of which less is shown */
function concealedOf(
  { hide, obscure }: Restrictions,
  labels: readonly string[],
  kept: KeptAttributes,
  attributes: AttributeSet,
): Concealed {
  const held = new Set(labels);
  const holds = (when: When): boolean => when === null || when.some((label) => held.has(label));
  const hidden = new Set([...hide].flatMap(([key, when]) => (holds(when) ? [key] : [])));
  const less: DicomJson = {};
  for (const [key, rules] of obscure) {
    const rule = rules.find(({ when }) => holds(when));
    const attribute = attributes.get(key);
    if (!rule || !attribute || hidden.has(key)) continue;
    const element = kept[key];
    const rest = element ? keptOf(attribute, obscured(plainValues(key, element), rule.by)) : null;
    less[key] = rest === null ? { vr: attribute.vr } : plainElement(rest, null);
  }
  return { hidden, less };
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
  const { hidden, less } = concealedOf(restrictions, labels, match as KeptAttributes, attributes);
  const empty = new Set([...hidden, ...(denies(restrictions) ? COUNTS_OF_PERSON : [])]);
  // in items of sequences there is no telling how much of what is obscured would be too much
  const inItems = new Set([...hidden, ...Object.keys(less)]);
  return Object.fromEntries(
    Object.entries(match).map(([key, element]) => [
      key,
      less[key] ?? (empty.has(key) ? { vr: element.vr } : concealItems(element, inItems)),
    ]),
  );
}

/** The overlay that also takes away from an object what is kept back, on top of what is shown in place of stored values. */
export function concealing(
  overlay: OverlayV1 | undefined,
  restrictions: Restrictions,
  labels: readonly string[],
  kept: KeptAttributes,
  attributes: AttributeSet,
): OverlayV1 | undefined {
  const { hidden, less } = concealedOf(restrictions, labels, kept, attributes);
  const keys = [...hidden, ...Object.keys(less)];
  if (keys.length === 0) return overlay;
  const others = <T>(entries: readonly [string, T][]): [string, T][] => entries.filter(([key]) => !keys.includes(key));
  const set: DicomJson = { ...Object.fromEntries(others(Object.entries(overlay?.set ?? {}))), ...less };
  const removed = (overlay?.removed ?? []).filter((key) => !keys.includes(key));
  for (const key of hidden) {
    if (KEPT_EMPTY.has(key)) set[key] = { vr: lookupTag(parseInt(key, 16))?.vr ?? 'UN' };
    else removed.push(key);
  }
  return { set, removed, hidden: keys };
}
