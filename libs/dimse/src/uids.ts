/** UIDs of the protocol itself (PS3.6 annex A) and our implementation's. */
export const UID = {
  applicationContext: '1.2.840.10008.3.1.1.1',
  verification: '1.2.840.10008.1.1',
  implicitVrLittleEndian: '1.2.840.10008.1.2',
  explicitVrLittleEndian: '1.2.840.10008.1.2.1',
  modalityPerformedProcedureStep: '1.2.840.10008.3.1.2.3.3',
  storageCommitmentPushModel: '1.2.840.10008.1.20.1',
} as const;

/** PS3.5 B.2: derived from a UUID, so that no registration is needed. Stays the same for all versions. */
export const IMPLEMENTATION_CLASS_UID = '2.25.196253027915307254161318912683187408155';
export const IMPLEMENTATION_VERSION_NAME = 'ARCHIPELAGO_01';

/** Contexts on which services act on instances of other SOP classes than the context's abstract syntax. */
const SHARED_CONTEXTS = new Set([
  '1.2.840.10008.5.1.1.9', // Basic Grayscale Print Management Meta
  '1.2.840.10008.5.1.1.18', // Basic Color Print Management Meta
  '1.2.840.10008.5.1.4.34.6.1', // Unified Procedure Step: Push, Watch, Pull, Event, Query (PS3.4 CC.2)
  '1.2.840.10008.5.1.4.34.6.2',
  '1.2.840.10008.5.1.4.34.6.3',
  '1.2.840.10008.5.1.4.34.6.4',
  '1.2.840.10008.5.1.4.34.6.5',
]);

/** Whether a message for this SOP class may travel on a context of that abstract syntax. */
export function sopClassFits(sopClassUid: string, abstractSyntax: string): boolean {
  return sopClassUid === abstractSyntax || SHARED_CONTEXTS.has(abstractSyntax);
}

/** Digits and dots, at most 64 (PS3.5 9.1); leading zeros, which real devices send, are let through. */
export function isUid(text: string | undefined): text is string {
  return text !== undefined && text.length <= 64 && /^[0-9.]+$/.test(text);
}
