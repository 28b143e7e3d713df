/** Outgoing DIMSE messages: a command and its data set cut into P-DATA-TF, pulled from the source as the peer takes it. */
import { UsageError } from '../errors';
import { writePDataHeader } from '../pdu/encode';
import type { UpperLayer } from '../transport/upper-layer';
import { encodeCommandSet, type CommandSet } from './command-set';

/** Beyond this a larger PDU gains nothing on any network. */
export const MAX_SEND_PDU = 256 * 1024;
/** What is at hand goes to the socket in one call up to this: a CT slice to a peer of 16 KiB PDUs, instead of three. */
const MAX_WRITE = 1024 * 1024;
const HEADER = 12;

/** Data bytes per P-DATA-TF for a peer's maximum length (PS3.8 annex D.1; 0: no limit). */
export function fragmentSize(peerMaxPduLength: number): number {
  const max = peerMaxPduLength === 0 ? MAX_SEND_PDU : Math.min(peerMaxPduLength, MAX_SEND_PDU);
  // PS3.8 D.1: the length counts the PDV's own 6 bytes; fragments stay even.
  return (max - 6) & ~1;
}

export type Body = AsyncIterable<Buffer> | Iterable<Buffer>;

export class MessageSender {
  private tail: Promise<void> | undefined;
  readonly fragment: number;
  /** A data set is being pulled from its source and sent. */
  streaming = false;

  constructor(
    private readonly layer: UpperLayer,
    peerMaxPduLength: number,
  ) {
    this.fragment = fragmentSize(peerMaxPduLength);
  }

  /** Sends a command with an optional small data set, all in one write. Resolves when the peer may be sent more. */
  message(contextId: number, command: CommandSet, dataset?: Buffer): void | Promise<void> {
    if (this.tail) return this.locked(() => this.messageNow(contextId, command, dataset));
    return this.messageNow(contextId, command, dataset);
  }

  private messageNow(contextId: number, command: CommandSet, dataset?: Buffer): void | Promise<void> {
    const parts = this.commandParts(contextId, command);
    if (dataset) {
      let at = 0;
      do {
        const take = Math.min(this.fragment, dataset.length - at);
        parts.push(this.header(contextId, at + take === dataset.length, take));
        parts.push(dataset.subarray(at, at + take));
        at += take;
      } while (at < dataset.length);
    }
    // Many small parts cost more than one small copy.
    const small = dataset !== undefined && dataset.length <= 4096;
    this.layer.send(small ? [Buffer.concat(parts)] : parts);
    return this.layer.drained();
  }

  /**
   * Sends a command with a streamed data set. The first piece of the body is awaited before anything is sent: a source
   * that fails at once costs nothing. A source that fails later, or gives another length than promised, cannot be
   * taken back: `broken` is called, which aborts the association, and the error is thrown.
   */
  stream(
    contextId: number,
    command: CommandSet,
    body: Body,
    length: number | undefined,
    broken: (e: Error) => void,
  ): Promise<void> {
    return this.locked(() => this.streamNow(contextId, command, body, length, broken));
  }

  private async streamNow(
    contextId: number,
    command: CommandSet,
    body: Body,
    length: number | undefined,
    broken: (error: Error) => void,
  ): Promise<void> {
    const source = new Lookahead(body);
    let sent = 0;
    let left = false;
    this.streaming = true;
    try {
      await source.start();
      if (source.done) throw new UsageError('data set without a byte');
      let parts = this.commandParts(contextId, command);
      for (let batch = 0; ;) {
        const gathered = source.take(this.fragment) ?? (await source.gather(this.fragment));
        const last = source.done;
        sent += gathered.bytes;
        if (length !== undefined && (sent > length || (last && sent !== length))) {
          throw new UsageError(`data set of another length than given (${length} bytes)`);
        }
        parts.push(this.header(contextId, last, gathered.bytes), ...gathered.parts);
        batch += gathered.bytes;
        if (!last && batch < MAX_WRITE && source.atHand(this.fragment)) continue;
        left = true;
        this.layer.send(parts);
        parts = [];
        batch = 0;
        const wait = this.layer.drained();
        if (wait) await wait;
        if (last) return;
      }
    } catch (error) {
      source.close();
      if (left) broken(error as Error);
      throw error;
    } finally {
      this.streaming = false;
    }
  }

  private commandParts(contextId: number, command: CommandSet): Buffer[] {
    const bytes = encodeCommandSet(command, HEADER);
    const size = bytes.length - HEADER;
    if (size <= this.fragment) {
      writePDataHeader(bytes, contextId, true, true, size);
      return [bytes];
    }
    const parts: Buffer[] = [];
    for (let at = 0; at < size; at += this.fragment) {
      const take = Math.min(this.fragment, size - at);
      const header = Buffer.allocUnsafe(HEADER);
      writePDataHeader(header, contextId, true, at + take === size, take);
      parts.push(header, bytes.subarray(HEADER + at, HEADER + at + take));
    }
    return parts;
  }

  private header(contextId: number, last: boolean, length: number): Buffer {
    const header = Buffer.allocUnsafe(HEADER);
    writePDataHeader(header, contextId, false, last, length);
    return header;
  }

  /** Messages do not interleave: one after the other. */
  private locked(work: () => void | Promise<void>): Promise<void> {
    const before = this.tail ?? Promise.resolve();
    const run = before.then(work);
    const tail = run.catch(() => undefined);
    this.tail = tail;
    void tail.then(() => {
      if (this.tail === tail) this.tail = undefined;
    });
    return run;
  }
}

interface Gathered {
  parts: Buffer[];
  bytes: number;
}

/** Reads a source one piece ahead, so that the last fragment is known as such and reading overlaps with sending. */
class Lookahead {
  private readonly iterator: AsyncIterator<Buffer> | Iterator<Buffer>;
  private current: Buffer | undefined;
  private next: IteratorResult<Buffer> | Promise<IteratorResult<Buffer>> | undefined;
  private closed = false;
  /** All pieces are in memory already. */
  private readonly immediate: boolean;

  constructor(body: Body) {
    this.immediate = !(Symbol.asyncIterator in body);
    this.iterator =
      Symbol.asyncIterator in body
        ? (body as AsyncIterable<Buffer>)[Symbol.asyncIterator]()
        : (body as Iterable<Buffer>)[Symbol.iterator]();
  }

  get done(): boolean {
    return this.current === undefined;
  }

  start(): Promise<void> {
    this.pull();
    return this.advance();
  }

  private pull(): void {
    const next = this.iterator.next();
    // The error is met by advance(); until then it must not count as unhandled.
    if (next instanceof Promise) next.catch(() => undefined);
    this.next = next;
  }

  /** Makes the next non-empty piece the current one, and asks for the one behind it. */
  private async advance(): Promise<void> {
    for (;;) {
      const result = await this.next!;
      if (result.done) {
        this.current = undefined;
        this.closed = true;
        return;
      }
      this.pull();
      if (result.value.length > 0) {
        this.current = result.value;
        return;
      }
    }
  }

  /** A whole fragment out of the current piece, when more of that piece remains. */
  take(size: number): Gathered | undefined {
    const current = this.current!;
    if (current.length <= size) return undefined;
    this.current = current.subarray(size);
    return { parts: [current.subarray(0, size)], bytes: size };
  }

  /** The next fragment needs no waiting: no more than the present piece is asked of a source that may take its time. */
  atHand(size: number): boolean {
    return this.current !== undefined && (this.immediate || this.current.length > size);
  }

  /** Up to `size` bytes from as many pieces as that takes; what is gathered are views, nothing is copied. */
  async gather(size: number): Promise<Gathered> {
    const parts: Buffer[] = [];
    let bytes = 0;
    while (this.current && bytes < size) {
      const take = Math.min(size - bytes, this.current.length);
      parts.push(take === this.current.length ? this.current : this.current.subarray(0, take));
      bytes += take;
      if (take < this.current.length) this.current = this.current.subarray(take);
      else await this.advance();
    }
    return { parts, bytes };
  }

  /** Tells the source that no more is wanted. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    void Promise.resolve(this.iterator.return?.()).catch(() => undefined);
  }
}
