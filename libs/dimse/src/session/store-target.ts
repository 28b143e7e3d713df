/** One C-STORE data set on its way into the application's sink. */
import type { DimseStatus, StoreSink } from '../api';
import { Status } from '../status';
import type { DataTarget } from './assembler';
import { statusOf } from './status-error';

/** A sink whose write() never settles is aborted all the same after so long. */
const ABORT_PATIENCE_MS = 5_000;

export class StoreTarget implements DataTarget {
  private bytes = 0;
  private failure?: { error: unknown };
  private settled = false;
  private writing?: Promise<void>;

  constructor(
    private readonly sink: StoreSink,
    private readonly respond: (status: DimseStatus, bytes: number) => void | Promise<void>,
  ) {}

  write(chunk: Buffer): void | Promise<void> {
    this.bytes += chunk.length;
    // Refused already: the rest is drained without the sink.
    if (this.settled) return undefined;
    try {
      const wait = this.sink.write(chunk);
      if (!wait) return undefined;
      const writing = wait.then(
        () => (this.writing = undefined),
        (error: unknown) => {
          this.writing = undefined;
          this.fail(error);
        },
      );
      this.writing = writing as Promise<void>;
      return this.writing;
    } catch (error) {
      this.fail(error);
      return undefined;
    }
  }

  private fail(error: unknown): void {
    if (this.settled) return;
    this.failure = { error };
    this.abortSink(error instanceof Error ? error : new Error(String(error)));
  }

  async end(): Promise<void> {
    let status: DimseStatus;
    if (this.failure) status = statusOf(this.failure.error, Status.ProcessingFailure);
    else if (this.settled) return;
    else {
      this.settled = true;
      try {
        status = await this.sink.end();
      } catch (error) {
        status = statusOf(error, Status.ProcessingFailure);
      }
    }
    await this.respond(status, this.bytes);
  }

  /** The association is over. The sink hears of it when its last write has settled, so that calls never overlap. */
  abort(error: Error): void {
    if (this.settled) return;
    if (!this.writing) return this.abortSink(error);
    const timer = setTimeout(() => this.abortSink(error), ABORT_PATIENCE_MS);
    timer.unref();
    void this.writing.then(() => {
      clearTimeout(timer);
      this.abortSink(error);
    });
  }

  private abortSink(error: Error): void {
    if (this.settled) return;
    this.settled = true;
    try {
      this.sink.abort(error);
    } catch {
      // The sink is told to clean up; that it cannot is its own matter to log.
    }
  }
}
