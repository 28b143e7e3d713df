/** What this library does with each transfer syntax (PS3.5 section 10, annex A; PS3.6 annex A). */
export type Codec = 'rle' | 'jpeg' | 'jpeg-lossless' | 'jpeg-ls' | 'j2k' | 'htj2k' | 'deflate' | 'uncompressed';

export interface PixelSyntax {
  uid: string;
  /** Layout of the dataset's elements. */
  implicit: boolean;
  bigEndian: boolean;
  deflated: boolean;
  /** null for native syntaxes. */
  codec: Codec | null;
  decodable: boolean;
  /** We write it, always without loss. */
  encodable: boolean;
  /** Whether data in this syntax may have lost information: no, surely, or it depends on the frame. */
  loss: 'none' | 'lossy' | 'either';
}

const table = new Map<string, PixelSyntax>();
const P = '1.2.840.10008.1.2';

function native(uid: string, layout: Partial<PixelSyntax> = {}): void {
  table.set(uid, {
    uid,
    implicit: false,
    bigEndian: false,
    deflated: false,
    codec: null,
    decodable: true,
    encodable: true,
    loss: 'none',
    ...layout,
  });
}
function coded(end: string, codec: Codec, loss: PixelSyntax['loss'], encodable: boolean): void {
  const uid = `${P}.${end}`;
  table.set(uid, { uid, implicit: false, bigEndian: false, deflated: false, codec, decodable: true, encodable, loss });
}

export const IMPLICIT_LE = P;
export const EXPLICIT_LE = `${P}.1`;
export const EXPLICIT_BE = `${P}.2`;
export const DEFLATED_LE = `${P}.1.99`;

native(EXPLICIT_LE);
native(IMPLICIT_LE, { implicit: true });
native(EXPLICIT_BE, { bigEndian: true });
native(DEFLATED_LE, { deflated: true });
coded('1.98', 'uncompressed', 'none', true);
coded('5', 'rle', 'none', true);
coded('8.1', 'deflate', 'none', true);
coded('4.50', 'jpeg', 'lossy', false);
coded('4.51', 'jpeg', 'lossy', false);
coded('4.57', 'jpeg-lossless', 'none', true);
coded('4.70', 'jpeg-lossless', 'none', true);
coded('4.80', 'jpeg-ls', 'none', true);
coded('4.81', 'jpeg-ls', 'either', false);
coded('4.90', 'j2k', 'none', true);
coded('4.91', 'j2k', 'either', false);
coded('4.201', 'htj2k', 'none', true);
coded('4.202', 'htj2k', 'none', true);
coded('4.203', 'htj2k', 'either', false);

/** undefined for syntaxes whose pixels are never touched here: video, JPIP, JPEG XL, retired JPEG processes, private. */
export function pixelSyntax(uid: string): PixelSyntax | undefined {
  return table.get(uid);
}

export function pixelSyntaxes(): PixelSyntax[] {
  return [...table.values()];
}
