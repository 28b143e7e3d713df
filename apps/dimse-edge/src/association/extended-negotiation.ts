/**
 * Answers to SOP Class Extended Negotiation and Role Selection (PS3.7 D.3.3.4 and D.3.3.5). An acceptor answers only
 * what was asked, and never with more than was offered.
 */
import type { ExtendedNegotiation, RoleSelection } from '@archipelago/dimse';
import { queryClass } from './query-classes';

/** What a requestor and we agreed on for one C-FIND SOP class (PS3.4 C.5.1.1). */
export interface FindOptions {
  relational: boolean;
  combinedDateTime: boolean;
  fuzzyNames: boolean;
  timezone: boolean;
}

export const NO_FIND_OPTIONS: FindOptions = {
  relational: false,
  combinedDateTime: false,
  fuzzyNames: false,
  timezone: false,
};

/**
 * PS3.4 C.5.1.1: relational queries, combined date-time matching and fuzzy names are supported; timezone adjustment is
 * not (the catalog matches dates and times as they were written), nor enhanced multi-frame image conversion.
 */
const FIND_SUPPORT = [1, 1, 1, 0, 0];
/** PS3.4 C.5.2.1 and C.5.3.1: relational retrieval is supported, enhanced multi-frame conversion is not. */
const RETRIEVE_SUPPORT = [1, 0];
/**
 * PS3.4 B.3.1: level of support 2 (full), reserved, digital signature level 3 (bit preserving), reserved, element
 * coercion 0 (none), reserved.
 */
const STORAGE_ANSWER = Buffer.from([2, 0, 3, 0, 0, 0]);

/** For the conformance statement: every field of the items that are answered, in their order. */
export const EXTENDED_ANSWERS: readonly { service: string; field: string; supported: string }[] = [
  ...['Relational queries', 'Combined date-time matching', 'Fuzzy matching of person names', 'Timezone adjustment'].map(
    (field, i) => ({ service: 'C-FIND', field, supported: answered(FIND_SUPPORT[i]) }),
  ),
  { service: 'C-FIND', field: 'Enhanced multi-frame image conversion', supported: answered(FIND_SUPPORT[4]) },
  { service: 'C-MOVE, C-GET', field: 'Relational retrieval', supported: answered(RETRIEVE_SUPPORT[0]) },
  {
    service: 'C-MOVE, C-GET',
    field: 'Enhanced multi-frame image conversion',
    supported: answered(RETRIEVE_SUPPORT[1]),
  },
  { service: 'C-STORE', field: 'Level of support', supported: String(STORAGE_ANSWER[0]) },
  { service: 'C-STORE', field: 'Digital signature level of support', supported: String(STORAGE_ANSWER[2]) },
  { service: 'C-STORE', field: 'Element coercion', supported: String(STORAGE_ANSWER[4]) },
];

function answered(support: number | undefined): string {
  return support === 1 ? 'supported (1)' : 'not supported (0)';
}

export function answerExtended(
  asked: readonly ExtendedNegotiation[],
  isStorage: (sopClassUid: string) => boolean,
): ExtendedNegotiation[] {
  const answers: ExtendedNegotiation[] = [];
  for (const item of asked) {
    const found = queryClass(item.sopClassUid);
    if (found && item.info.length > 0) {
      const support = found.operation === 'FIND' ? FIND_SUPPORT : RETRIEVE_SUPPORT;
      answers.push({ sopClassUid: item.sopClassUid, info: narrowed(item.info, support) });
    } else if (!found && isStorage(item.sopClassUid)) {
      answers.push({ sopClassUid: item.sopClassUid, info: STORAGE_ANSWER });
    }
  }
  return answers;
}

function narrowed(offered: Buffer, support: readonly number[]): Buffer {
  const length = Math.min(offered.length, support.length);
  return Buffer.from(Array.from({ length }, (_, i) => (offered[i] === 1 && support[i] === 1 ? 1 : 0)));
}

/** The options in force for a C-FIND SOP class: those offered and supported. */
export function findOptions(asked: readonly ExtendedNegotiation[], sopClassUid: string): FindOptions {
  const item = asked.find((e) => e.sopClassUid === sopClassUid);
  if (!item) return NO_FIND_OPTIONS;
  const on = (i: number): boolean => item.info[i] === 1 && FIND_SUPPORT[i] === 1;
  return { relational: on(0), combinedDateTime: on(1), fuzzyNames: on(2), timezone: on(3) };
}

/**
 * Storage classes: the requestor may be SCU (C-STORE), SCP (C-GET) or both, as proposed. Query/retrieve classes: the
 * requestor is always the SCU; a proposal to be SCP is answered 0.
 */
export function answerRoles(
  asked: readonly RoleSelection[],
  isStorage: (sopClassUid: string) => boolean,
): RoleSelection[] {
  return asked.map((r) => ({
    sopClassUid: r.sopClassUid,
    scuRole: r.scuRole,
    scpRole: r.scpRole && isStorage(r.sopClassUid),
  }));
}
