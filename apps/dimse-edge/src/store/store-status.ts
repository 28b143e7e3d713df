/**
 * Every answer the edge gives to a C-STORE (PS3.4 B.2.3, PS3.7 9.1.1.1.9), in one table: the code, the handlers, the
 * conformance statement and the tests read it.
 */
import type { DimseStatus } from '@archipelago/dimse';

export interface StoreAnswer {
  status: number;
  /** For the Error Comment (0000,0902), at most 64 characters, never patient data. */
  comment: string;
  /** Tags for Offending Element (0000,0901). */
  elements: readonly number[];
  /** Why, for the conformance statement. */
  meaning: string;
}

const SOP_CLASS_UID = 0x00080016;
const SOP_INSTANCE_UID = 0x00080018;
const STUDY_UID = 0x0020000d;
const SERIES_UID = 0x0020000e;

export const STORE_ANSWERS = {
  stored: {
    status: 0x0000,
    comment: '',
    elements: [],
    meaning: 'On stable storage (after fdatasync; in strict mode after the commit of the catalog).',
  },
  'stored-unfiled': {
    status: 0xb007,
    comment: 'stored; Study or Series Instance UID missing',
    elements: [STUDY_UID, SERIES_UID],
    meaning:
      'Stored as above; it names no study or no series: the catalog shows it under UIDs of its own, and flags it.',
  },
  'out-of-resources': {
    status: 0xa700,
    comment: 'no space left for images',
    elements: [],
    meaning: 'Free space below the reserve. Nothing was kept; the sender tries again later.',
  },
  'not-durable': {
    status: 0xa701,
    comment: 'could not be written to disk',
    elements: [],
    meaning:
      'A write or sync failed. Nothing was acknowledged; the sender tries again on the same or a new association.',
  },
  'not-confirmed': {
    status: 0xa702,
    comment: 'stored, not yet in the catalog',
    elements: [],
    meaning: 'Strict mode only: the catalog did not confirm in time. The copy is kept; sending it again is harmless.',
  },
  'class-differs': {
    status: 0xa900,
    comment: 'SOP class of data set and command differ',
    elements: [SOP_CLASS_UID],
    meaning: 'The SOP class of the data set is not that of the command, or not that of the presentation context.',
  },
  'instance-differs': {
    status: 0xa901,
    comment: 'SOP instance of data set and command differ',
    elements: [SOP_INSTANCE_UID],
    meaning: 'The SOP Instance UID of the data set is not that of the command.',
  },
  unparsable: {
    status: 0xc000,
    comment: 'data set cannot be read',
    elements: [],
    meaning: 'The data set is not what the transfer syntax says, or ends in the middle of an element.',
  },
  'bad-class-uid': {
    status: 0xc001,
    comment: 'SOP Class UID not valid',
    elements: [SOP_CLASS_UID],
    meaning: 'Not a UID by PS3.5 section 9 (digits and dots, at most 64 characters), or empty.',
  },
  'bad-instance-uid': {
    status: 0xc002,
    comment: 'SOP Instance UID not valid',
    elements: [SOP_INSTANCE_UID],
    meaning: 'As above, of the instance.',
  },
  'bad-study-uid': {
    status: 0xc003,
    comment: 'Study Instance UID not valid',
    elements: [STUDY_UID],
    meaning: 'As above, of the study.',
  },
  'bad-series-uid': {
    status: 0xc004,
    comment: 'Series Instance UID not valid',
    elements: [SERIES_UID],
    meaning: 'As above, of the series.',
  },
  'over-limits': {
    status: 0xc005,
    comment: 'data set beyond the limits of this archive',
    elements: [],
    meaning: 'Header larger, nesting deeper or inflation greater than the limits set.',
  },
} as const satisfies Record<string, StoreAnswer>;

export type StoreOutcome = keyof typeof STORE_ANSWERS;

/** The response for an outcome; `detail` completes the comment where it says more than the table. */
export function storeStatus(outcome: StoreOutcome, detail?: string, offending?: readonly number[]): DimseStatus {
  const answer: StoreAnswer = STORE_ANSWERS[outcome];
  if (answer.status === 0) return { status: 0 };
  const elements = offending && offending.length > 0 ? offending : answer.elements;
  return {
    status: answer.status,
    errorComment: detail ? `${answer.comment}: ${detail}`.slice(0, 64) : answer.comment,
    ...(elements.length > 0 ? { offendingElements: [...elements] } : {}),
  };
}
