/**
 * Life of a sealed pack on the edge, as a table. Nothing in it depends on a centre that answers: a pack waits here, safe
 * on disk, as long as it takes. After a restart every unconfirmed pack begins again at `sealed`: each step may be
 * repeated without harm (storing the same bytes again is success, ingest answers repeated announcements).
 *
 * ```
 * sealed ──upload──▶ uploaded ──announce──▶ announced ──indexed──▶ confirmed (cache, evictable)
 *   ▲ ▲ └─failed: back-off─┘                 │ │ └─no answer, pending: announce again, back-off
 *   │ └──────────────resend──────────────────┘ └──rejected──▶ quarantined (kept, alarm; resend or announce on command)
 *   └──damaged or lost in the store: resend, also of a confirmed pack
 * ```
 */
export type PackState = 'sealed' | 'uploaded' | 'announced' | 'confirmed' | 'quarantined';

export type PackEvent =
  | 'upload-done'
  | 'upload-failed'
  | 'announce-done'
  | 'announce-failed'
  | 'unanswered'
  | 'indexed'
  | 'pending'
  | 'rejected'
  | 'resend';

/** What to do on entering or staying in a state. */
export type PackAction = 'upload' | 'announce' | 'wait' | 'confirm' | 'quarantine' | 'none';

export interface PackStep {
  state: PackState;
  action: PackAction;
  /** Whether the action is a repetition and waits for its back-off. */
  backOff: boolean;
}

const step = (state: PackState, action: PackAction, backOff = false): PackStep => ({ state, action, backOff });

const CONFIRM = step('confirmed', 'confirm');
const QUARANTINE = step('quarantined', 'quarantine');
const UPLOAD = step('sealed', 'upload');

/** An event that has no row changes nothing: a late or repeated answer. */
export const PACK_TABLE: Readonly<Record<PackState, Partial<Record<PackEvent, PackStep>>>> = {
  sealed: {
    'upload-done': step('uploaded', 'announce'),
    'upload-failed': step('sealed', 'upload', true),
    // An answer to an announcement from before a restart
    indexed: CONFIRM,
    rejected: QUARANTINE,
  },
  uploaded: {
    'announce-done': step('announced', 'wait'),
    'announce-failed': step('uploaded', 'announce', true),
    indexed: CONFIRM,
    rejected: QUARANTINE,
    resend: UPLOAD,
  },
  announced: {
    unanswered: step('uploaded', 'announce'),
    pending: step('announced', 'wait'),
    indexed: CONFIRM,
    rejected: QUARANTINE,
    resend: UPLOAD,
  },
  confirmed: { resend: UPLOAD },
  quarantined: { indexed: CONFIRM, resend: UPLOAD },
};

export function nextStep(state: PackState, event: PackEvent): PackStep | undefined {
  return PACK_TABLE[state][event];
}

export const FIRST_STEP: PackStep = UPLOAD;

/** 1 s, doubling to 60 s, with up to a fifth of jitter so that edges do not march in step after an outage. */
export function backOffMs(attempt: number, random: () => number = Math.random): number {
  const base = Math.min(60_000, 1000 * 2 ** Math.min(attempt, 6));
  return Math.round(base * (1 - 0.2 * random()));
}
