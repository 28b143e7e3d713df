/** Transfer syntaxes that the generator can write (PS3.5 annex A). */
export interface TransferSyntaxInfo {
  uid: string;
  name: string;
  explicit: boolean;
  bigEndian: boolean;
  deflated: boolean;
  encapsulated: boolean;
  lossy: boolean;
}

const native = (
  uid: string,
  name: string,
  explicit = true,
  bigEndian = false,
  deflated = false,
): TransferSyntaxInfo => ({
  uid,
  name,
  explicit,
  bigEndian,
  deflated,
  encapsulated: false,
  lossy: false,
});
const encapsulated = (uid: string, name: string, lossy = false): TransferSyntaxInfo => ({
  uid,
  name,
  explicit: true,
  bigEndian: false,
  deflated: false,
  encapsulated: true,
  lossy,
});

export const TRANSFER_SYNTAXES: readonly TransferSyntaxInfo[] = [
  native('1.2.840.10008.1.2', 'implicit-le', false),
  native('1.2.840.10008.1.2.1', 'explicit-le'),
  native('1.2.840.10008.1.2.2', 'explicit-be', true, true),
  native('1.2.840.10008.1.2.1.99', 'deflated-le', true, false, true),
  encapsulated('1.2.840.10008.1.2.5', 'rle'),
  encapsulated('1.2.840.10008.1.2.8.1', 'deflated-image-frame'),
  encapsulated('1.2.840.10008.1.2.1.98', 'encapsulated-uncompressed'),
  encapsulated('1.2.840.10008.1.2.4.50', 'jpeg-baseline', true),
  encapsulated('1.2.840.10008.1.2.4.51', 'jpeg-extended', true),
  encapsulated('1.2.840.10008.1.2.4.57', 'jpeg-lossless-14'),
  encapsulated('1.2.840.10008.1.2.4.70', 'jpeg-lossless'),
  encapsulated('1.2.840.10008.1.2.4.80', 'jpeg-ls'),
  encapsulated('1.2.840.10008.1.2.4.81', 'jpeg-ls-near', true),
  encapsulated('1.2.840.10008.1.2.4.90', 'j2k-lossless'),
  encapsulated('1.2.840.10008.1.2.4.91', 'j2k', true),
  encapsulated('1.2.840.10008.1.2.4.201', 'htj2k-lossless'),
  encapsulated('1.2.840.10008.1.2.4.202', 'htj2k-lossless-rpcl'),
  encapsulated('1.2.840.10008.1.2.4.203', 'htj2k', true),
];

/** By UID or by short name. @throws Error when the generator cannot write it */
export function transferSyntax(uidOrName: string): TransferSyntaxInfo {
  const found = TRANSFER_SYNTAXES.find((each) => each.uid === uidOrName || each.name === uidOrName);
  if (!found) throw new Error(`generator: transfer syntax not known: ${uidOrName}`);
  return found;
}
