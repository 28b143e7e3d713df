import type { SyntaxChoice } from './api';
import { DEFLATED_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE, pixelSyntax } from './syntaxes';

/**
 * Whether an object stored in one syntax can be sent in another. By syntax only: a particular object may still fail
 * (damaged, odd bit depths), which transcode reports as a PixelError before or while streaming.
 */
export function canTranscode(fromTs: string, toTs: string): boolean {
  if (fromTs === toTs) return true;
  const from = pixelSyntax(fromTs);
  const to = pixelSyntax(toTs);
  return Boolean(from?.decodable && to?.encodable);
}

/** Native syntaxes in order of preference: explicit keeps the VRs of private elements, big endian is retired. */
const NATIVE_ORDER = [EXPLICIT_LE, IMPLICIT_LE, DEFLATED_LE, EXPLICIT_BE];
/** Then without loss, cheapest for both sides first. */
const CODED_ORDER = ['5', '4.80', '4.70', '4.57', '4.90', '4.201', '4.202', '8.1', '1.98'].map(
  (end) => `1.2.840.10008.1.2.${end}`,
);

/**
 * What to send to a peer that accepts only `acceptedTs`: as stored if it may be, else a native syntax, else a lossless
 * one. null: nothing that the peer accepts can be made.
 */
export function chooseTransferSyntax(storedTs: string, acceptedTs: readonly string[]): SyntaxChoice | null {
  if (acceptedTs.includes(storedTs)) return { ts: storedTs, how: 'as-is' };
  const from = pixelSyntax(storedTs);
  if (!from) return null;
  const native = NATIVE_ORDER.find((ts) => acceptedTs.includes(ts));
  if (native) return { ts: native, how: from.codec ? 'decode' : 'native' };
  const coded = CODED_ORDER.find((ts) => acceptedTs.includes(ts));
  return coded && canTranscode(storedTs, coded) ? { ts: coded, how: 'encode' } : null;
}
