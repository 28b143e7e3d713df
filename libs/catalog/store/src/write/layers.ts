import type { KeptAttributes, RowOverlay } from '@archipelago/catalog-model';

/**
 * What a presentation row's attributes are made of. Two layers that are kept apart, so that each can change without the
 * other: what held objects say, and what archives answered. Shown are the held ones, and where they say nothing the
 * archives' (docs/adr/0019, winner rule). Null: nothing is held, or nothing was answered.
 */
export interface Layers {
  held: KeptAttributes | null;
  archive: KeptAttributes | null;
}

/** As a row keeps them: one layer is `attributes` alone, both stand beside. */
export interface LayeredRow extends Layers {
  attributes: KeptAttributes;
  basis: 'held' | 'archive' | 'both';
  /** `attributes` are effective values by rules; what was said of a row with one layer is told from them by this. */
  overlay?: RowOverlay | null;
}

/** Attributes of `base`, and of `more` where base has none or an empty one. Tells whether anything changed. */
export function fillIn(base: KeptAttributes, more: KeptAttributes): { merged: KeptAttributes; changed: boolean } {
  let merged = base;
  for (const [key, element] of Object.entries(more)) {
    const had = base[key];
    if (had !== undefined && (had.Value !== undefined || element.Value === undefined)) continue;
    if (merged === base) merged = { ...base };
    merged[key] = element;
  }
  return { merged, changed: merged !== base };
}

export function layersOf(row: LayeredRow): Layers {
  if (row.basis === 'both') return { held: row.held, archive: row.archive };
  if (row.basis === 'archive') return { held: null, archive: row.attributes };
  // a row that was just made, or whose archives forgot it, has nothing yet
  return { held: Object.keys(row.attributes).length === 0 ? null : row.attributes, archive: null };
}

/** The one place where the attributes of a presentation row come from. */
export function layeredRow({ held, archive }: Layers): LayeredRow {
  if (archive === null) return { attributes: held ?? {}, basis: 'held', held: null, archive: null };
  if (held === null) return { attributes: archive, basis: 'archive', held: null, archive: null };
  return { attributes: fillIn(held, archive).merged, basis: 'both', held, archive };
}

/** PostgreSQL gives the keys of JSONB back in its own order. */
function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, canonical(inner)]),
  );
}
export function sameKept(a: unknown, b: unknown): boolean {
  return JSON.stringify(canonical(a)) === JSON.stringify(canonical(b));
}
