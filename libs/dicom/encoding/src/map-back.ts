import { dictionaryVr, requireTag, vrRule } from '@archipelago/dicom-core';
import type { Tag } from './api';
import type { Dataset } from './dataset';
import type { TagChange } from './overlay';

/** What a peer was shown for an element, and what really stands there. Null: nothing, the element was or is absent. */
export interface ShownValue {
  tag: Tag | string;
  shown: readonly (string | number)[] | null;
  original: readonly (string | number)[] | null;
}

/**
 * What comes back from a peer that was shown other values than the stored ones: the changes that put the originals back.
 * An element of `incoming` that holds what was shown gets the original. One that holds the original already stays. One
 * that holds neither was changed by the peer: it stays as it is and its tag is in `altered`, for somebody to decide. Values
 * count as equal without padding and without empty parts at the end of person names; an absent element equals an empty one.
 */
export function mapBackChanges(
  incoming: Dataset,
  shown: readonly ShownValue[],
): { changes: TagChange[]; altered: Tag[] } {
  const changes: TagChange[] = [];
  const altered: Tag[] = [];
  for (const value of shown) {
    const tag = requireTag(value.tag);
    const vr = incoming.vr(tag) ?? dictionaryVr(tag) ?? '';
    const present = normalised(incoming.strings(tag), vr);
    const original = normalised(value.original, vr);
    if (present === original) continue;
    if (present === normalised(value.shown, vr)) changes.push({ tag, values: value.original, hideOriginal: true });
    else altered.push(tag);
  }
  return { changes, altered };
}

function normalised(values: readonly (string | number)[] | null, vr: string): string {
  const isNumber = ['number-text', 'binary-number'].includes(vrRule(vr)?.kind ?? '');
  const texts = (values ?? []).map((value) => {
    const text = String(value).trim();
    return isNumber && text !== '' && Number.isFinite(Number(text))
      ? String(Number(text))
      : text.replace(/[\^=]+$/, '');
  });
  return texts.every((text) => text === '') ? '' : JSON.stringify(texts);
}
