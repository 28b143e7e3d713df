/** One C-STORE sub-operation: in the stored syntax where the receiver takes it, else re-encoded. */
import type { CopyV1 } from '@archipelago/contracts';
import { chooseTransferSyntax, type PixelPool, transcodeDataset } from '@archipelago/dicom-pixel';
import { type AcceptedContext, type DimseStatus, type StoreOperation, UsageError } from '@archipelago/dimse';
import type { InstanceLoader, LoadedInstance } from './instance-loader';
import { overlaid, OverlayError } from './overlaid';
import { judgeSubOperation } from './sub-operations';

export type SubOperationResult = 'completed' | 'warning' | 'failed';

/** Where sub-operations go: the association of a C-GET, or that to a C-MOVE destination. */
export interface StoreTarget {
  /** Contexts on which an instance of the class can be sent. */
  contextsFor(sopClassUid: string): readonly AcceptedContext[];
  store(operation: StoreOperation): Promise<DimseStatus>;
}

export interface SenderEvents {
  sent?(bytes: number): void;
  failed?(why: string, error?: unknown): void;
}

/** The association to the receiver is over: not a matter of one instance. */
export class TargetLostError extends Error {
  constructor(cause: unknown) {
    super('the association to the receiver is over', { cause });
    this.name = 'TargetLostError';
  }
}

/** Re-encoded data sets up to this size are made whole before they are sent, so that a damaged frame fails only them. */
const GATHERED = 32 * 1024 * 1024;

type Ready = { contextId: number; body: AsyncIterable<Buffer> | Iterable<Buffer>; length?: number; bytes: number };

export class InstanceSender {
  constructor(
    private readonly loader: InstanceLoader,
    private readonly pool: PixelPool,
    private readonly events: SenderEvents = {},
  ) {}

  /** @throws TargetLostError when the receiver is gone */
  async send(
    loaded: LoadedInstance,
    target: StoreTarget,
    originator: { aeTitle: string; messageId: number } | undefined,
  ): Promise<SubOperationResult> {
    const { sopClassUid, sopInstanceUid } = loaded.instance;
    if (loaded.how === 'unreadable') return this.failed(loaded.reason);
    let ready: Ready | undefined;
    try {
      ready = await this.prepare(loaded, target.contextsFor(sopClassUid));
    } catch (error) {
      const why = error instanceof OverlayError ? error.message : 'not readable in an accepted transfer syntax';
      return this.failed(why, error);
    }
    if (!ready) return this.failed('no accepted presentation context fits');
    const operation: StoreOperation = {
      contextId: ready.contextId,
      sopClassUid,
      sopInstanceUid,
      body: ready.body,
      length: ready.length,
      ...(originator
        ? { moveOriginatorAeTitle: originator.aeTitle, moveOriginatorMessageId: originator.messageId }
        : {}),
    };
    let status: DimseStatus;
    try {
      status = await target.store(operation);
    } catch (error) {
      if (error instanceof UsageError) return this.failed('cannot be sent', error);
      throw new TargetLostError(error);
    }
    // store() has settled with an answer: nothing of the bytes is needed any more
    if (loaded.how === 'held') loaded.release();
    const result = judgeSubOperation(status.status);
    if (result === 'failed') this.events.failed?.('refused by the receiver');
    else this.events.sent?.(ready.bytes);
    return result;
  }

  private failed(why: string, error?: unknown): SubOperationResult {
    this.events.failed?.(why, error);
    return 'failed';
  }

  private async prepare(
    loaded: Exclude<LoadedInstance, { how: 'unreadable' }>,
    contexts: readonly AcceptedContext[],
  ): Promise<Ready | undefined> {
    const { copy, instance } = loaded;
    const choice = chooseTransferSyntax(
      copy.transferSyntaxUid,
      contexts.map((c) => c.transferSyntax),
    );
    const context = contexts.find((c) => c.transferSyntax === choice?.ts);
    if (!choice || !context) return undefined;
    const bytes = copy.datasetLength;
    const { overlay } = instance;
    if (choice.how === 'as-is') {
      const body = loaded.how === 'held' ? loaded.pieces : this.loader.stream(instance, copy);
      if (overlay === undefined) return { contextId: context.id, body, length: bytes, bytes };
      return { contextId: context.id, body: await gathered(overlaid(stream(body), choice.ts, overlay)), bytes };
    }
    const transcoded = await transcodeDataset(this.source(loaded, copy), choice.ts, this.pool);
    if (overlay === undefined)
      return { contextId: context.id, body: await gathered(transcoded.body), length: transcoded.length, bytes };
    const body = await gathered(overlaid(transcoded.body, choice.ts, overlay));
    return { contextId: context.id, body, bytes };
  }

  private source(
    loaded: Exclude<LoadedInstance, { how: 'unreadable' }>,
    copy: CopyV1,
  ): Parameters<typeof transcodeDataset>[0] {
    const { transferSyntaxUid, datasetLength } = copy;
    if (loaded.how === 'streamed') return { transferSyntaxUid, datasetLength, ...this.loader.reader(copy) };
    const { pieces } = loaded;
    return { transferSyntaxUid, datasetLength, read: (start, end) => Promise.resolve(bytesOf(pieces, start, end)) };
  }
}

/** [start, end) of the pieces; a view where one piece has it. */
function bytesOf(pieces: readonly Buffer[], start: number, end: number): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  for (const piece of pieces) {
    if (at < end && at + piece.length > start) parts.push(piece.subarray(Math.max(0, start - at), end - at));
    at += piece.length;
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}

async function* stream(body: Iterable<Buffer> | AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield* body;
}

/** Takes the first bytes, or all; what is left comes as it is made. */
async function gathered(body: AsyncIterable<Buffer>): Promise<Iterable<Buffer> | AsyncIterable<Buffer>> {
  const chunks: Buffer[] = [];
  let size = 0;
  const iterator = body[Symbol.asyncIterator]();
  while (size <= GATHERED) {
    const { done, value } = await iterator.next();
    if (done) return chunks;
    chunks.push(value);
    size += value.length;
  }
  return chain(chunks, iterator);
}

async function* chain(head: Buffer[], rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* head;
    for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}
