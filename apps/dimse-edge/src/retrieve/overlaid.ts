/** Datasets with the values that are shown in place of those that are stored (docs/adr/0022). */
import type { OverlayV1 } from '@archipelago/contracts';
import { overlayDataset, peekHeader, type TagChange } from '@archipelago/dicom-encoding';

/** ModifyingSystem (0400,0563) of what we change on the way out. */
export const MODIFYING_SYSTEM = 'ARCHIPELAGO';

/** The dataset cannot be rewritten: it is not sent, for as stored it says what must not be shown. */
export class OverlayError extends Error {
  constructor(cause: unknown) {
    super('the header cannot be rewritten', { cause });
    this.name = 'OverlayError';
  }
}

function plain(value: unknown): string | number {
  if (typeof value === 'string' || typeof value === 'number') return value;
  if (typeof value !== 'object' || value === null) return '';
  const { Alphabetic = '', Ideographic = '', Phonetic = '' } = value as Record<string, string>;
  return [Alphabetic, Ideographic, Phonetic].join('=').replace(/=+$/, '');
}

export function changesOf({ set, removed = [], hidden = [] }: OverlayV1): TagChange[] {
  const hides = new Set(hidden);
  const change = (key: string, values: TagChange['values']): TagChange => ({
    tag: parseInt(key, 16),
    values,
    ...(hides.has(key) ? { hideOriginal: true } : {}),
  });
  return [
    ...Object.entries(set).map(([key, element]) =>
      change(key, ((element.Value as unknown[] | undefined) ?? []).map(plain)),
    ),
    ...removed.map((key) => change(key, null)),
  ];
}

/** DT with offset (PS3.5 6.2), of now. */
function dateTime(): string {
  return `${new Date()
    .toISOString()
    .replace(/[-:TZ]/g, '')
    .slice(0, 18)}000+0000`;
}

/**
 * The dataset as it is shown: the header rewritten, everything else passed on. Memory: the header and a chunk.
 * @throws OverlayError from the first step or a later one
 */
export async function* overlaid(
  source: AsyncIterable<Buffer>,
  transferSyntaxUid: string,
  overlay: OverlayV1,
): AsyncGenerator<Buffer> {
  try {
    const { header, leftOut, dataset } = await peekHeader(source, transferSyntaxUid);
    const changes = changesOf(overlay);
    const options = { changes, header, leftOut, modifyingSystem: MODIFYING_SYSTEM, dateTime: dateTime() };
    yield* overlayDataset(dataset, transferSyntaxUid, options);
  } catch (error) {
    throw new OverlayError(error);
  }
}
