/** Values that rules give a row in place of those that were said (docs/adr/0022). Pure. */
import type { QueryAttribute } from './attributes';
import { jsonHeaderView } from './header-view';
import { keep, type KeptAttributes, type KeptElement } from './projection';

/** What a row keeps of its effective values: `attributes` hold them, this tells them from what was said. By key. */
export interface RowOverlay {
  /** Of the rule set that gave them. */
  version: number;
  /** What is shown; null: the element is not there. */
  set: Record<string, KeptElement | null>;
  /** What was said; null: nothing. */
  was: Record<string, KeptElement | null>;
  /** Name of the rule that decided. */
  by: Record<string, string>;
}

function replaced(attributes: KeptAttributes, values: Readonly<Record<string, KeptElement | null>>): KeptAttributes {
  const result = { ...attributes };
  for (const [key, element] of Object.entries(values)) {
    if (element === null) delete result[key];
    else result[key] = element;
  }
  return result;
}

export function withOverlay(said: KeptAttributes, overlay: Pick<RowOverlay, 'set'>): KeptAttributes {
  return replaced(said, overlay.set);
}

/** What was said, of a row that shows effective values. */
export function withoutOverlay(shown: KeptAttributes, overlay: Pick<RowOverlay, 'was'> | null): KeptAttributes {
  return overlay === null ? shown : replaced(shown, overlay.was);
}

/** Values of an element as rules take them (`TagValues`): a name with its groups between `=`. Sequences have none. */
export function plainValues(key: string, element: KeptElement): string[] {
  return jsonHeaderView({ [key]: element }).strings(parseInt(key, 16)) ?? [];
}

/** Values that a rule gives, as they are kept; null: no element. */
export function keptOf(attribute: QueryAttribute, values: readonly string[] | null): KeptElement | null {
  if (values === null) return null;
  const { key, vr } = attribute;
  return keep(jsonHeaderView({ [key]: { vr, Value: [...values] } }), [attribute])[key] ?? { vr };
}
