/**
 * Sub-operation counts and final status of C-MOVE and C-GET (PS3.4 C.4.2.1.4 to C.4.3.1.4, PS3.7 9.1.3 and 9.1.4).
 */
import type { RetrieveResponse, SubOperations } from '@archipelago/dimse';

export const RETRIEVE_STATUS = {
  success: { status: 0x0000, meaning: 'All sub-operations complete, none failed or with a warning.' },
  pending: { status: 0xff00, meaning: 'Sub-operations are continuing.' },
  cancelled: { status: 0xfe00, meaning: 'Ended by C-CANCEL; the counts say what was sent.' },
  warning: { status: 0xb000, meaning: 'Complete, one or more failed or gave a warning; failed instances are listed.' },
  'cannot-count': { status: 0xa701, meaning: 'The catalog did not answer: the number of matches cannot be known.' },
  'cannot-send': { status: 0xa702, meaning: 'No sub-operation could be performed; failed instances are listed.' },
  'destination-unknown': { status: 0xa801, meaning: 'C-MOVE: the destination is not a configured peer.' },
  'identifier-mismatch': { status: 0xa900, meaning: 'The identifier does not match the SOP class.' },
  'class-mismatch': {
    status: 0x0122,
    meaning: 'The SOP class of the command is not that of the presentation context.',
  },
  'identifier-unreadable': { status: 0xc000, meaning: 'The identifier cannot be read, or is too large.' },
  'unable-to-process': { status: 0xc001, meaning: 'The catalog refused the question, or an unexpected failure.' },
} as const;

export type RetrieveOutcome = keyof typeof RETRIEVE_STATUS;

/** Most UIDs in the Failed SOP Instance UID List: what the standard allows in an explicit VR UI value (64 KiB). */
const MOST_LISTED = 900;

/** What became of one sub-operation: PS3.7 C.5: B000-class and 0001, 0107, 0116 are warnings. */
export function judgeSubOperation(status: number): 'completed' | 'warning' | 'failed' {
  if (status === 0) return 'completed';
  if ((status & 0xf000) === 0xb000 || status === 0x0001 || status === 0x0107 || status === 0x0116) return 'warning';
  return 'failed';
}

export class SubOperationCounter {
  private completed = 0;
  private failed = 0;
  private warning = 0;
  private readonly failedUids: string[] = [];
  /** Failed instances that the list had no room for. */
  private unlisted = 0;

  constructor(private readonly total: number) {}

  count(sopInstanceUid: string, what: 'completed' | 'warning' | 'failed'): void {
    this[what]++;
    if (what !== 'failed') return;
    if (this.failedUids.length < MOST_LISTED) this.failedUids.push(sopInstanceUid);
    else this.unlisted++;
  }

  /** Instances that the catalog counted but could not name any more. */
  countUnnamed(failed: number): void {
    this.failed += failed;
  }

  get done(): number {
    return this.completed + this.failed + this.warning;
  }

  get remaining(): number {
    return Math.max(0, this.total - this.done);
  }

  get counts(): SubOperations {
    const { completed, failed, warning } = this;
    return { remaining: this.remaining, completed, failed, warning };
  }

  get failedList(): readonly string[] {
    return this.failedUids;
  }

  pending(): RetrieveResponse {
    return { status: RETRIEVE_STATUS.pending.status, counts: this.counts };
  }

  /** The outcome when nothing remains, or the requestor cancelled. */
  outcome(cancelled: boolean): RetrieveOutcome {
    if (cancelled && this.remaining > 0) return 'cancelled';
    if (this.failed === 0 && this.warning === 0) return 'success';
    return this.completed === 0 && this.warning === 0 ? 'cannot-send' : 'warning';
  }

  /** Comment of the final response; empty when there is nothing to say. */
  comment(): string | undefined {
    if (this.unlisted > 0) return `${this.unlisted} more failed than the list can hold`;
    return undefined;
  }
}

/** Lets a pending response through at most every `everyMs`, and always the first. */
export class PendingPace {
  private last = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly everyMs = 200,
    private readonly now: () => number = () => performance.now(),
  ) {}

  due(): boolean {
    const now = this.now();
    if (now - this.last < this.everyMs) return false;
    this.last = now;
    return true;
  }
}
