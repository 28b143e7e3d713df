import type { CampaignResult } from '../campaign';

/** Collects what held and what did not, and says each aloud. */
export class Checks {
  private passed = 0;
  private readonly failures: string[] = [];

  private readonly started = Date.now();

  /** Every line carries the seconds since the start. */
  readonly note: (line: string) => void;

  constructor(
    note: (line: string) => void,
    private readonly name: string,
    private readonly seed: string,
  ) {
    this.note = (line) => note(`${((Date.now() - this.started) / 1000).toFixed(1).padStart(6)} ${line}`);
  }

  /** @returns whether it held */
  check(what: string, held: boolean, detail = ''): boolean {
    const more = detail === '' ? '' : `: ${detail}`;
    if (held) this.passed++;
    else this.failures.push(`${this.name} (--seed ${this.seed}) ${what}${more}`);
    this.note(`  ${held ? 'ok  ' : 'FAIL'} ${what}${more}`);
    return held;
  }

  equal<T>(what: string, seen: T, wanted: T): boolean {
    const [a, b] = [JSON.stringify(seen), JSON.stringify(wanted)];
    return this.check(what, a === b, a === b ? a : `${shorten(a)}, wanted ${shorten(b)}`);
  }

  /** Nothing may be in the list; the first few are shown. */
  none(what: string, seen: readonly unknown[]): boolean {
    const first = seen.slice(0, 5).map((each) => (typeof each === 'string' ? each : JSON.stringify(each)));
    return this.check(what, seen.length === 0, seen.length === 0 ? '0' : `${seen.length}, e.g. ${first.join(' | ')}`);
  }

  /** Something that a check rests on went wrong: counted as one failed check. */
  broken(what: string, error: unknown): void {
    this.check(what, false, error instanceof Error ? (error.stack ?? error.message) : String(error));
  }

  result(): CampaignResult {
    return { passed: this.passed, failures: this.failures };
  }
}

function shorten(text: string | undefined): string {
  return text !== undefined && text.length > 400 ? `${text.slice(0, 400)}…` : String(text);
}
