import { lookup } from './dictionary';

/** A value: text (a list is joined by backslash), numbers, bytes, items of a sequence; null or [] is an empty value. */
export type GenValue = string | number | null | readonly string[] | readonly number[] | Buffer | readonly GenDataset[];

export interface GenElement {
  tag: number;
  vr: string;
  value: GenValue;
}

/** A value with a VR other than the dictionary's, for elements whose VR depends on the object. */
export class WithVr {
  constructor(
    readonly vr: string,
    readonly value: GenValue,
  ) {}
}

/** Attributes by keyword. A plain object (or a list of them) stands for a sequence's items. */
export interface Attributes {
  [keyword: string]: AttributeValue;
}
export type AttributeValue = GenValue | WithVr | Attributes | readonly Attributes[] | undefined;

/** A dataset to be written: elements by tag, kept until they are encoded in order of their tags. */
export class GenDataset {
  private readonly elements = new Map<number, GenElement>();

  static of(attributes: Attributes): GenDataset {
    return new GenDataset().put(attributes);
  }

  /** Sets (replaces) attributes by keyword; undefined leaves the attribute out. */
  put(attributes: Attributes): this {
    for (const [keyword, value] of Object.entries(attributes)) {
      if (value === undefined) continue;
      const { tag, vr } = lookup(keyword);
      if (value instanceof WithVr) this.set(tag, value.vr, value.value);
      else this.set(tag, vr, toGenValue(value));
    }
    return this;
  }

  set(tag: number, vr: string, value: GenValue): this {
    this.elements.set(tag >>> 0, { tag: tag >>> 0, vr, value });
    return this;
  }

  delete(tag: number): this {
    this.elements.delete(tag >>> 0);
    return this;
  }

  get(tag: number): GenElement | undefined {
    return this.elements.get(tag >>> 0);
  }

  /** The first value as text, '' when absent. */
  text(keyword: string): string {
    const value = this.get(lookup(keyword).tag)?.value;
    if (value === undefined || value === null) return '';
    if (Array.isArray(value)) return String(value[0] ?? '');
    return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
  }

  /** Elements in order of their tags. */
  sorted(): GenElement[] {
    return [...this.elements.values()].sort((x, y) => x.tag - y.tag);
  }

  clone(): GenDataset {
    const copy = new GenDataset();
    for (const [tag, element] of this.elements) copy.elements.set(tag, element);
    return copy;
  }
}

function toGenValue(value: GenValue | Attributes | readonly Attributes[]): GenValue {
  if (value === null || typeof value !== 'object' || Buffer.isBuffer(value) || value instanceof GenDataset) {
    return value instanceof GenDataset ? [value] : (value as GenValue);
  }
  if (Array.isArray(value)) {
    return (value as readonly unknown[]).map((entry) =>
      isAttributes(entry) ? GenDataset.of(entry) : (entry as never),
    ) as unknown as GenValue;
  }
  return [GenDataset.of(value as Attributes)];
}

function isAttributes(value: unknown): value is Attributes {
  return typeof value === 'object' && value !== null && !(value instanceof GenDataset) && !Buffer.isBuffer(value);
}
