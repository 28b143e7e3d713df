/** Puts PDVs together into DIMSE messages (PS3.7 section 6.3): a bounded command set, then the data set as a stream. */
import { ProtocolError } from '../errors';
import { ABORT_REASON } from '../reasons';
import { decodeCommandSet, NO_DATA_SET, type CommandSet } from './command-set';

/** Where the data set of one message goes. After end() or abort() it is not used any more. */
export interface DataTarget {
  write(chunk: Buffer): void | Promise<void>;
  end(): void | Promise<void>;
  abort(error: Error): void;
}

export interface MessageHandler {
  hasContext(contextId: number): boolean;
  /** A command set is whole. Must return a target when a data set follows; nothing else is handled meanwhile. */
  onCommand(contextId: number, command: CommandSet): DataTarget | undefined | Promise<DataTarget | undefined>;
}

/** For data sets that nobody wants. */
export const DRAIN: DataTarget = { write: () => undefined, end: () => undefined, abort: () => undefined };

export class MessageAssembler {
  private parts: Buffer[] = [];
  private partBytes = 0;
  private commandContext = 0;
  private target?: DataTarget;
  private dataContext = 0;
  private handling = false;

  constructor(
    private readonly handler: MessageHandler,
    private readonly maxCommandBytes: number,
  ) {}

  /** Nothing is half received or being handled. */
  get idle(): boolean {
    return !this.target && !this.handling && this.parts.length === 0;
  }

  /** A service works on a whole command or data set; the peer has to wait. */
  get handlingRequest(): boolean {
    return this.handling;
  }

  /** Message control header, PS3.8 annex E.2: bit 0 command, bit 1 last fragment. Throws ProtocolError. */
  fragment(contextId: number, flags: number, data: Buffer, end: boolean): void | Promise<void> {
    const last = end && (flags & 2) !== 0;
    if (flags & 1) return this.command(contextId, data, last);
    const target = this.target;
    if (!target) throw new ProtocolError('data set without a command', ABORT_REASON.unexpectedParameter);
    if (contextId !== this.dataContext) {
      throw new ProtocolError('data set on another presentation context', ABORT_REASON.invalidParameter);
    }
    const wait = data.length > 0 ? target.write(data) : undefined;
    if (!last) return wait;
    if (wait) return wait.then(() => this.endData(target));
    return this.endData(target);
  }

  private endData(target: DataTarget): void | Promise<void> {
    if (this.target !== target) return undefined;
    this.target = undefined;
    const wait = target.end();
    if (!wait) return undefined;
    this.handling = true;
    return wait.finally(() => (this.handling = false));
  }

  private command(contextId: number, data: Buffer, last: boolean): void | Promise<void> {
    if (this.target) throw new ProtocolError('command inside a data set', ABORT_REASON.unexpectedParameter);
    this.partBytes += data.length;
    if (this.partBytes > this.maxCommandBytes) {
      throw new ProtocolError('command set too long', ABORT_REASON.invalidParameter);
    }
    if (this.parts.length === 0) {
      if (!this.handler.hasContext(contextId)) {
        throw new ProtocolError('unknown presentation context', ABORT_REASON.invalidParameter);
      }
      this.commandContext = contextId;
      if (last) {
        this.partBytes = 0;
        return this.dispatch(contextId, decodeCommandSet(data));
      }
    } else if (contextId !== this.commandContext) {
      throw new ProtocolError('command on another presentation context', ABORT_REASON.invalidParameter);
    }
    this.parts.push(Buffer.from(data));
    if (this.parts.length > 64) this.parts = [Buffer.concat(this.parts)];
    if (!last) return undefined;
    const bytes = Buffer.concat(this.parts);
    this.parts = [];
    this.partBytes = 0;
    return this.dispatch(contextId, decodeCommandSet(bytes));
  }

  private dispatch(contextId: number, command: CommandSet): void | Promise<void> {
    const hasData = command.commandDataSetType !== NO_DATA_SET;
    const target = this.handler.onCommand(contextId, command);
    if (target instanceof Promise) {
      this.handling = true;
      return target.then(
        (ready) => {
          this.handling = false;
          this.expect(contextId, hasData, ready);
        },
        (error: unknown) => {
          this.handling = false;
          throw error;
        },
      );
    }
    this.expect(contextId, hasData, target);
    return undefined;
  }

  private expect(contextId: number, hasData: boolean, target: DataTarget | undefined): void {
    if (!hasData) return;
    this.target = target ?? DRAIN;
    this.dataContext = contextId;
  }

  /** The association is over: a data set in reception is aborted, once. */
  close(error: Error): void {
    const target = this.target;
    this.target = undefined;
    this.parts = [];
    target?.abort(error);
  }
}

/** Gathers a bounded data set (an identifier); beyond the bound the rest is drained and `done` gets undefined. */
export class GatherTarget implements DataTarget {
  private parts: Buffer[] = [];
  private bytes = 0;
  private over = false;

  constructor(
    private readonly maxBytes: number,
    private readonly done: (dataset: Buffer | undefined) => void | Promise<void>,
    private readonly failed: (error: Error) => void = () => undefined,
  ) {}

  write(chunk: Buffer): void {
    this.bytes += chunk.length;
    if (this.over || this.bytes > this.maxBytes) {
      this.over = true;
      this.parts = [];
      return;
    }
    this.parts.push(Buffer.from(chunk));
    if (this.parts.length > 256) this.parts = [Buffer.concat(this.parts)];
  }

  end(): void | Promise<void> {
    return this.done(this.over ? undefined : this.parts.length === 1 ? this.parts[0] : Buffer.concat(this.parts));
  }

  abort(error: Error): void {
    this.failed(error);
  }
}
