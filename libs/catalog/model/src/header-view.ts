import type { DicomJson } from '@archipelago/contracts';
import { sanitise } from './text';

/** What the projection reads of one header: values as Unicode strings, without padding. */
export interface HeaderView {
  /** `undefined`: absent; `[]`: present and empty. A name keeps its groups as `alphabetic=ideographic=phonetic`. */
  strings(tag: number): string[] | undefined;
  /** Items of a sequence; `undefined` when absent. */
  items(tag: number): HeaderView[] | undefined;
  /** Equal for two whole headers only if these elements have the same values in both; not of items. */
  fingerprint?(tags: readonly number[]): string | undefined;
}

/** Tag number to the 8 upper-case hex digits of the DICOM JSON model. */
export function tagKey(tag: number): string {
  return (tag >>> 0).toString(16).toUpperCase().padStart(8, '0');
}

type JsonElement = { vr: string; Value?: unknown[] };

function text(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'string') return sanitise(value);
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value !== 'object') return '';
  const name = value as { Alphabetic?: unknown; Ideographic?: unknown; Phonetic?: unknown };
  return [name.Alphabetic, name.Ideographic, name.Phonetic].map(text).join('=').replace(/=+$/, '');
}

class JsonHeaderView implements HeaderView {
  constructor(private readonly json: DicomJson) {}

  strings(tag: number): string[] | undefined {
    const element: JsonElement | undefined = this.json[tagKey(tag)];
    if (!element || element.vr === 'SQ') return undefined;
    return (element.Value ?? []).map(text);
  }

  items(tag: number): HeaderView[] | undefined {
    const element: JsonElement | undefined = this.json[tagKey(tag)];
    if (!element || element.vr !== 'SQ') return undefined;
    return (element.Value ?? [])
      .filter((item): item is DicomJson => typeof item === 'object' && item !== null)
      .map((item) => new JsonHeaderView(item));
  }

  fingerprint(tags: readonly number[]): string {
    return JSON.stringify(tags.map((tag) => this.json[tagKey(tag)] ?? null));
  }
}

/** A header in the DICOM JSON model (PS3.18 F) as a view. */
export function jsonHeaderView(json: DicomJson): HeaderView {
  return new JsonHeaderView(json);
}

/** The part of the encoding library's Dataset that is needed here (it stays a matter of shape: no dependency). */
export interface DatasetLike {
  has(tag: number): boolean;
  vr(tag: number): string | undefined;
  strings(tag: number): string[];
  items(tag: number): DatasetLike[];
  fingerprint?(tags: readonly number[]): string;
}

class DatasetHeaderView implements HeaderView {
  constructor(private readonly dataset: DatasetLike) {}

  strings(tag: number): string[] | undefined {
    const values = this.dataset.strings(tag);
    if (values.length > 0) return values.map(sanitise);
    return this.dataset.has(tag) && this.dataset.vr(tag) !== 'SQ' ? [] : undefined;
  }

  items(tag: number): HeaderView[] | undefined {
    if (!this.dataset.has(tag) || this.dataset.vr(tag) !== 'SQ') return undefined;
    return this.dataset.items(tag).map((item) => new DatasetHeaderView(item));
  }

  fingerprint(tags: readonly number[]): string | undefined {
    return this.dataset.fingerprint?.(tags);
  }
}

/** A lazily decoded header (`readHeader` of the encoding library) as a view. */
export function datasetHeaderView(dataset: DatasetLike): HeaderView {
  return new DatasetHeaderView(dataset);
}
