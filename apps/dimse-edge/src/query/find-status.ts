/** Every final and pending status of a C-FIND (PS3.4 C.4.1.1.4), for the code and the conformance statement. */
export const QUERY_STATUS = {
  success: { status: 0x0000, meaning: 'Complete; the comment says what the answer may miss.' },
  pending: { status: 0xff00, meaning: 'Matches are continuing, every key supported.' },
  'pending-warning': { status: 0xff01, meaning: 'Matches are continuing, one or more optional keys not supported.' },
  cancelled: { status: 0xfe00, meaning: 'Ended by C-CANCEL.' },
  'catalog-unavailable': { status: 0xa700, meaning: 'The catalog did not answer within 5 s. Never an empty success.' },
  'identifier-mismatch': {
    status: 0xa900,
    meaning:
      'Level missing or not of the model, a unique key above it missing, or a key with a value that its VR does not allow.',
  },
  'class-mismatch': {
    status: 0x0122,
    meaning: 'The SOP class of the command is not that of the presentation context.',
  },
  'identifier-unreadable': { status: 0xc000, meaning: 'The identifier cannot be read, or is too large.' },
  incomplete: {
    status: 0xc002,
    meaning: 'After all matches: the answer may miss something, see the comment. For peers configured to be told so.',
  },
  'unable-to-process': { status: 0xc001, meaning: 'The catalog refused the question, or an unexpected failure.' },
} as const;
