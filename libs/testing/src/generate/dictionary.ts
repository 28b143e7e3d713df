import { lookupKeyword } from '@archipelago/dicom-core';

/** VRs that depend on the object (PS3.5 A.2, PS3.3 C.7.6.3): what the generator's objects need. */
const CHOSEN: Record<string, string> = {
  PixelData: 'OW',
  SmallestImagePixelValue: 'US',
  LargestImagePixelValue: 'US',
  PixelPaddingValue: 'US',
  RedPaletteColorLookupTableDescriptor: 'US',
  GreenPaletteColorLookupTableDescriptor: 'US',
  BluePaletteColorLookupTableDescriptor: 'US',
  RedPaletteColorLookupTableData: 'OW',
  GreenPaletteColorLookupTableData: 'OW',
  BluePaletteColorLookupTableData: 'OW',
  LUTDescriptor: 'US',
  LUTData: 'OW',
  WaveformData: 'OW',
};

const cache = new Map<string, { tag: number; vr: string }>();

/** Tag and VR of a keyword (PS3.6). @throws Error for an unknown one: a mistake of the generator, not of its user */
export function lookup(keyword: string): { tag: number; vr: string } {
  const known = cache.get(keyword);
  if (known) return known;
  const entry = lookupKeyword(keyword);
  if (entry?.tag === undefined) throw new Error(`generator: no such keyword: ${keyword}`);
  const vr = CHOSEN[keyword] ?? entry.vr;
  if (vr.length !== 2) throw new Error(`generator: the VR of ${keyword} depends on the object: ${vr}`);
  const found = { tag: entry.tag, vr };
  cache.set(keyword, found);
  return found;
}
