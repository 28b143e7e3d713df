/** Tags as unsigned 32-bit numbers: group << 16 | element (PS3.5 section 7.1). */
export type Tag = number;

/** '00100020' for 0x00100020: the form of the DICOM JSON model's keys. */
export function tagToHex(tag: Tag): string {
  return (tag >>> 0).toString(16).toUpperCase().padStart(8, '0');
}

/** '(0010,0020)' for people. */
export function tagToText(tag: Tag): string {
  const hex = tagToHex(tag);
  return `(${hex.slice(0, 4)},${hex.slice(4)})`;
}

/** Reads '00100020', '0010,0020' and '(0010,0020)'; undefined for anything else. */
export function parseTag(text: string): Tag | undefined {
  const match = /^\(?([0-9a-fA-F]{4}),?([0-9a-fA-F]{4})\)?$/.exec(text);
  return match ? parseInt(match[1] + match[2], 16) : undefined;
}

/** Odd groups but 0001, 0003, 0005, 0007 and FFFF hold private elements (PS3.5 section 7.8.1). */
export function isPrivateTag(tag: Tag): boolean {
  const group = tag >>> 16;
  return (group & 1) === 1 && group > 8 && group !== 0xffff;
}

/** (gggg,0010-00FF) of a private group: reserves the block (gggg,xx00-xxFF) (PS3.5 section 7.8.1). */
export function isPrivateCreatorTag(tag: Tag): boolean {
  const element = tag & 0xffff;
  return isPrivateTag(tag) && element >= 0x10 && element <= 0xff;
}

/** (gggg,0000): retired group length elements (PS3.5 section 7.2). */
export function isGroupLengthTag(tag: Tag): boolean {
  return (tag & 0xffff) === 0;
}
