/** Keyword -> tag and VR of the elements that the generator writes. Source: PS3.6, through dcmjs's copy of it. */
interface DcmjsEntry {
  tag: string;
  vr: string;
}
interface Dcmjs {
  data: { DicomMetaDictionary: { nameMap: Record<string, DcmjsEntry | undefined> } };
}

let nameMap: Record<string, DcmjsEntry | undefined> | undefined;
const cache = new Map<string, { tag: number; vr: string }>();

function load(): Record<string, DcmjsEntry | undefined> {
  // Loaded on first use: it costs 0.2 s, and most tests of other libraries never generate.
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  nameMap ??= (require('dcmjs') as Dcmjs).data.DicomMetaDictionary.nameMap;
  return nameMap;
}

/** Elements that PS3.6 lists and dcmjs 0.50.3 does not, and VRs that depend on the object (PS3.5 A.2, PS3.3 C.7.6.3). */
const OWN: Record<string, [number, string]> = {
  PixelData: [0x7fe00010, 'OW'],
  SmallestImagePixelValue: [0x00280106, 'US'],
  LargestImagePixelValue: [0x00280107, 'US'],
  PixelPaddingValue: [0x00280120, 'US'],
  RedPaletteColorLookupTableDescriptor: [0x00281101, 'US'],
  GreenPaletteColorLookupTableDescriptor: [0x00281102, 'US'],
  BluePaletteColorLookupTableDescriptor: [0x00281103, 'US'],
  RedPaletteColorLookupTableData: [0x00281201, 'OW'],
  GreenPaletteColorLookupTableData: [0x00281202, 'OW'],
  BluePaletteColorLookupTableData: [0x00281203, 'OW'],
  LUTDescriptor: [0x00283002, 'US'],
  LUTData: [0x00283006, 'OW'],
  OverlayData: [0x60003000, 'OW'],
  WaveformData: [0x54001010, 'OW'],
};

/** @throws Error for a keyword that is in neither list: a mistake of the generator, not of its user */
export function lookup(keyword: string): { tag: number; vr: string } {
  const known = cache.get(keyword);
  if (known) return known;
  const own = OWN[keyword];
  let found: { tag: number; vr: string };
  if (own) {
    found = { tag: own[0], vr: own[1] };
  } else {
    const entry = load()[keyword];
    if (!entry) throw new Error(`generator: no such keyword: ${keyword}`);
    found = { tag: parseInt(entry.tag.replace(/[(),]/g, ''), 16), vr: entry.vr };
  }
  cache.set(keyword, found);
  return found;
}
