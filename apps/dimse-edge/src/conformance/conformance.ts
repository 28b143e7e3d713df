/** What this edge conforms to, from the tables that it works by: for the generated conformance statement. */
import { sopClassName, storageSopClasses, transferSyntax, VERIFICATION_SOP_CLASS } from '@archipelago/dicom-core';
import { REFUSALS } from '../association/association-policy';
import { storedTransferSyntaxes } from '../association/capabilities';
import { QUERY_SYNTAXES } from '../association/context-choice';
import { EXTENDED_ANSWERS } from '../association/extended-negotiation';
import { QUERY_CLASSES } from '../association/query-classes';
import { QUERY_STATUS } from '../query/find-status';
import { RETRIEVE_STATUS } from '../retrieve/sub-operations';
import { STORE_ANSWERS } from '../store/store-status';

export interface ConformanceRow {
  uid: string;
  name: string;
  retired: boolean;
}

export interface StatusRow {
  /** Four hex digits. */
  status: string;
  name: string;
  meaning: string;
}

export interface Conformance {
  verification: ConformanceRow;
  storage: (ConformanceRow & { patientless: boolean })[];
  query: (ConformanceRow & { operation: string; levels: readonly string[] })[];
  storageSyntaxes: ConformanceRow[];
  querySyntaxes: ConformanceRow[];
  storeStatus: StatusRow[];
  findStatus: StatusRow[];
  retrieveStatus: StatusRow[];
  refusals: { result: number; source: number; reason: number; text: string }[];
  /** Fields of SOP Class Extended Negotiation and what is answered when they are asked for. */
  extended: readonly { service: string; field: string; supported: string }[];
}

export function conformance(): Conformance {
  const syntax = (uid: string): ConformanceRow => {
    const { name, retired } = transferSyntax(uid);
    return { uid, name, retired };
  };
  return {
    verification: { uid: VERIFICATION_SOP_CLASS, name: sopClassName(VERIFICATION_SOP_CLASS) ?? '', retired: false },
    storage: storageSopClasses().map(({ uid, name, retired, patientless }) => ({ uid, name, retired, patientless })),
    query: QUERY_CLASSES.map(({ uid, name, retired, operation, levels }) => ({
      uid,
      name,
      retired,
      operation,
      levels,
    })),
    storageSyntaxes: storedTransferSyntaxes().map(syntax),
    querySyntaxes: QUERY_SYNTAXES.map(syntax),
    storeStatus: statusRows(STORE_ANSWERS),
    findStatus: statusRows(QUERY_STATUS),
    retrieveStatus: statusRows(RETRIEVE_STATUS),
    refusals: Object.values(REFUSALS),
    extended: EXTENDED_ANSWERS,
  };
}

function statusRows(table: Readonly<Record<string, { status: number; meaning: string }>>): StatusRow[] {
  return Object.entries(table).map(([name, { status, meaning }]) => ({
    status: status.toString(16).toUpperCase().padStart(4, '0'),
    name,
    meaning,
  }));
}
