/**
 * Received bytes in buffers of ours that are used again. Node makes a new 64 KiB buffer outside of the JavaScript heap
 * for every read; the garbage collector, which must see to them, then walks the whole heap several times a second: more
 * processor time than all the rest of receiving. Sockets that one opens may name their buffers (`onread`, documented
 * in node:net); for accepted ones the same is reached by handing their handle to a new socket. Where that is not
 * possible (TLS, another runtime) chunks come as `data` events as ever.
 */
import { connect, Socket, type TcpNetConnectOpts } from 'node:net';
import type { AnySocket } from '../api';

const SMALL = 64 * 1024;
/** Used after reads that filled a small one: fewer and larger reads of who sends fast. */
const LARGE = 256 * 1024;
/** Free buffers that are kept for the next read of anyone. */
const KEEP = 16;

const free = new Map<number, Buffer[]>([
  [SMALL, []],
  [LARGE, []],
]);

function take(bytes: number): Buffer {
  return free.get(bytes)!.pop() ?? Buffer.allocUnsafeSlow(bytes);
}

function give(buffer: Buffer): void {
  const list = free.get(buffer.length)!;
  if (list.length < KEEP) list.push(buffer);
}

/** What the upper layer does with chunks. */
export interface ChunkListener {
  /** @returns whether the chunk is still needed; then release() must follow */
  chunk(chunk: Buffer): boolean;
}

/** The buffers of one socket. */
export class ReadBuffers {
  private current = take(SMALL);
  private readonly held: Buffer[] = [];
  private listener?: ChunkListener;
  private early: Buffer[] = [];
  private closed = false;

  listen(listener: ChunkListener): void {
    this.listener = listener;
    for (const chunk of this.early.splice(0)) listener.chunk(chunk);
  }

  /** No chunk that was held is needed any more. */
  release(): void {
    for (const buffer of this.held.splice(0)) give(buffer);
  }

  /** `buffer` and `callback` of the socket's `onread`. */
  readonly buffer = (): Buffer => this.current;

  readonly callback = (bytes: number, buffer: Uint8Array): boolean => {
    const filled = buffer as Buffer;
    const chunk = filled.subarray(0, bytes);
    if (!this.listener) this.early.push(Buffer.from(chunk));
    else if (this.listener.chunk(chunk)) {
      this.held.push(filled);
      this.current = take(bytes === filled.length ? LARGE : SMALL);
    } else if (bytes === SMALL && filled.length === SMALL) {
      give(filled);
      this.current = take(LARGE);
    }
    return true;
  };

  /** The socket is gone: nothing is read into the present buffer any more. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    give(this.current);
  }
}

const buffersOf = new WeakMap<AnySocket, ReadBuffers>();

/** The buffers that a socket reads into; undefined when it emits `data`. */
export function readBuffers(socket: AnySocket): ReadBuffers | undefined {
  return buffersOf.get(socket);
}

interface Inner {
  _handle?: { useUserBuffer?: unknown; reading?: boolean } | null;
  _server?: unknown;
  server?: unknown;
}

/** A connection to a peer that is read into our buffers. */
export function connectWithReadBuffers(options: TcpNetConnectOpts): Socket {
  const buffers = new ReadBuffers();
  const socket = connect({ ...options, onread: { buffer: buffers.buffer, callback: buffers.callback } });
  buffersOf.set(socket, buffers);
  socket.once('close', () => buffers.close());
  return socket;
}

/**
 * A socket that reads into our buffers, in place of one that was just accepted by a server with `pauseOnConnect`. The
 * given one must not be used afterwards, unless it is the one that is returned.
 */
export function withReadBuffers(accepted: Socket): Socket {
  const from = accepted as unknown as Inner;
  const handle = from._handle;
  if (!handle || typeof handle.useUserBuffer !== 'function' || !('_server' in from)) {
    accepted.resume();
    return accepted;
  }
  const buffers = new ReadBuffers();
  const { _server, server } = from;
  from._handle = null;
  // The server counts connections by this: it goes along with the handle.
  from._server = null;
  accepted.destroy();
  const onread = { buffer: buffers.buffer, callback: buffers.callback };
  const socket = new Socket({ handle, readable: true, writable: true, onread } as ConstructorParameters<
    typeof Socket
  >[0]);
  const to = socket as unknown as Inner;
  to._server = _server;
  to.server = server;
  buffersOf.set(socket, buffers);
  socket.once('close', () => buffers.close());
  return socket;
}
