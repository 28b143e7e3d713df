import { createHash } from 'node:crypto';

/** Study and series that an object is filed under. `given` is false where the header names none and one was made up. */
export interface Filing {
  studyInstanceUid: string;
  seriesInstanceUid: string;
  given: boolean;
}

/**
 * Where an image is filed that names no study or no series (both type 1, so it should not be; such objects exist). It
 * must be found and retrieved like any other, so the catalog shows it under UIDs of its own, equal for equal input and
 * therefore for every rebuild: instances of one series stay together, those without a series are each a study. Two
 * patients never meet in one: nothing but a series that they share could bring them together, and a study that two
 * patients claim is shown once for each. The object itself is never changed.
 */
export function filing(
  studyUid: string,
  seriesUid: string,
  entry: { sopInstanceUid: string; sopClassUid: string },
): Filing {
  if (studyUid !== '' && seriesUid !== '')
    return { studyInstanceUid: studyUid, seriesInstanceUid: seriesUid, given: true };
  const studyInstanceUid = studyUid || derivedUid('study', seriesUid || entry.sopInstanceUid);
  return {
    studyInstanceUid,
    seriesInstanceUid: seriesUid || derivedUid('series', studyInstanceUid, entry.sopClassUid),
    given: false,
  };
}

/** A UID from a UUID (PS3.5 B.2) of version 8 (RFC 9562 5.8) made of SHA-256. */
function derivedUid(...parts: string[]): string {
  const bytes = createHash('sha256')
    .update(['archipelago', ...parts].join('\0'))
    .digest()
    .subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return `2.25.${BigInt(`0x${bytes.toString('hex')}`)}`;
}
