import type { AttributeSet, CatalogLevel } from './attributes';
import type { HeaderView } from './header-view';

/** A pack mixes few studies; more than that is made anew, not kept. */
const MOST_KEPT = 512;

/**
 * Instances of a series say the same of their patient, study and series: each is projected once for all headers with the
 * same bytes there, and the projections share it. That is most of the work of indexing a pack. One for each batch.
 */
export class SharedLevels {
  private readonly made = new Map<string, unknown>();
  private readonly tags = new Map<CatalogLevel, number[]>();

  constructor(private readonly attributes: AttributeSet) {}

  get size(): number {
    return this.made.size;
  }

  /** @param parts what the result depends on beside the level's elements */
  share<T>(level: CatalogLevel, view: HeaderView, parts: readonly string[], make: () => T): T {
    const print = view.fingerprint?.(this.tagsOf(level));
    if (print === undefined) return make();
    const key = JSON.stringify([level, ...parts]) + print;
    const known = this.made.get(key) as T | undefined;
    if (known !== undefined) return known;
    const made = make();
    if (this.made.size >= MOST_KEPT) this.made.clear();
    this.made.set(key, made);
    return made;
  }

  private tagsOf(level: CatalogLevel): number[] {
    let tags = this.tags.get(level);
    if (!tags) this.tags.set(level, (tags = this.attributes.ofLevel(level).map((one) => one.tag)));
    return tags;
  }
}
