/** What this edge stores and sends: the registries of `libs/dicom/core` and the configured private SOP classes. */
import { isStorageSopClass, transferSyntax, transferSyntaxes } from '@archipelago/dicom-core';
import type { Capabilities } from './context-choice';

/**
 * Stored: every transfer syntax of the standard but those whose pixel data lies elsewhere (JPIP Referenced: what was
 * acknowledged would not be here), Papyrus and the form for real-time video, which no file has (PS3.5 A.10 to A.12).
 */
export function storedTransferSyntaxes(): string[] {
  return transferSyntaxes()
    .filter((ts) => !ts.referenced && !NOT_STORED.has(ts.uid))
    .map((ts) => ts.uid);
}

/** Papyrus 3 (retired), RFC 2557 MIME and XML encodings (retired), SMPTE ST 2110 real-time video. */
const NOT_STORED: ReadonlySet<string> = new Set([
  '1.2.840.10008.1.20',
  '1.2.840.10008.1.2.6.1',
  '1.2.840.10008.1.2.6.2',
  '1.2.840.10008.1.2.7.1',
  '1.2.840.10008.1.2.7.2',
  '1.2.840.10008.1.2.7.3',
]);

export function edgeCapabilities(privateSopClasses: readonly string[]): Capabilities {
  const own = new Set(privateSopClasses);
  const syntaxes = new Set(storedTransferSyntaxes());
  return {
    isStorage: (uid) => isStorageSopClass(uid) || own.has(uid),
    isKnownSyntax: (uid) => syntaxes.has(uid),
    canAlwaysSendIn: (uid) => transferSyntax(uid).native,
  };
}
