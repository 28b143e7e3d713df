/** Storage SOP classes of objects without patient and study, with the query/retrieve family each belongs to (PS3.4 U, X, BB, HH). */
export const PATIENTLESS_SOP_CLASSES: ReadonlySet<string> = new Set([
  '1.2.840.10008.5.1.4.38.1', // Hanging Protocol
  '1.2.840.10008.5.1.4.39.1', // Color Palette
  '1.2.840.10008.5.1.4.43.1', // Generic Implant Template
  '1.2.840.10008.5.1.4.44.1', // Implant Assembly Template
  '1.2.840.10008.5.1.4.45.1', // Implant Template Group
  '1.2.840.10008.5.1.4.1.1.200.1', // CT Defined Procedure Protocol
  '1.2.840.10008.5.1.4.1.1.200.3', // Protocol Approval
  '1.2.840.10008.5.1.4.1.1.200.7', // XA Defined Procedure Protocol
  '1.2.840.10008.5.1.4.1.1.201.1', // Inventory
]);

export function isPatientless(sopClassUid: string): boolean {
  return PATIENTLESS_SOP_CLASSES.has(sopClassUid);
}
