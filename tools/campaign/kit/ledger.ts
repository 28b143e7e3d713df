/** What a sender knows of one content of one SOP Instance UID. */
export interface Sent {
  sopInstanceUid: string;
  sopClassUid: string;
  studyInstanceUid: string;
  /** SHA-256 of the data set as it went over the wire, hex. */
  /** As of the datasets of packs. */
  wireDigest: string;
  bytes: number;
  /** Success or warning responses received. */
  acknowledged: number;
  attempts: number;
}

/** The senders' own list: what was tried, and what was acknowledged. */
export class Ledger {
  private readonly entries = new Map<string, Sent>();
  /** Time of every acknowledgement, ms since the epoch. */
  readonly acknowledgedAt: number[] = [];
  /** Failure statuses received, by status in hex. */
  readonly refusals = new Map<string, number>();
  /** Associations that broke or could not be opened. */
  interruptions = 0;

  trying(what: Omit<Sent, 'acknowledged' | 'attempts'>): Sent {
    const key = `${what.sopInstanceUid} ${what.wireDigest}`;
    const entry = this.entries.get(key) ?? { ...what, acknowledged: 0, attempts: 0 };
    entry.attempts++;
    this.entries.set(key, entry);
    return entry;
  }

  acknowledge(entry: Sent): void {
    entry.acknowledged++;
    this.acknowledgedAt.push(Date.now());
  }

  refuse(status: number): void {
    const code = status.toString(16).toUpperCase().padStart(4, '0');
    this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1);
  }

  all(): Sent[] {
    return [...this.entries.values()];
  }

  acknowledged(): Sent[] {
    return this.all().filter((each) => each.acknowledged > 0);
  }

  studies(): string[] {
    return [...new Set(this.all().map((each) => each.studyInstanceUid))];
  }

  summary(): string {
    const attempts = this.all().reduce((sum, each) => sum + each.attempts, 0);
    const refusals = [...this.refusals].map(([status, times]) => `${times} × ${status}`).join(', ') || 'none';
    const { length } = this.acknowledged();
    return `${length} acknowledged of ${attempts} attempts, interruptions ${this.interruptions}, refusals ${refusals}`;
  }

  /** Longest time without an acknowledgement between two moments, ms. */
  longestPause(from: number, to: number): number {
    const times = [from, ...this.acknowledgedAt.filter((at) => at > from && at < to), to];
    return times.slice(1).reduce((most, at, i) => Math.max(most, at - (times[i] as number)), 0);
  }

  acknowledgedBetween(from: number, to: number): number {
    return this.acknowledgedAt.filter((at) => at >= from && at < to).length;
  }
}
