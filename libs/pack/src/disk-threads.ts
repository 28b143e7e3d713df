import { extname, join } from 'node:path';
import { MessageChannel, Worker, type MessagePort } from 'node:worker_threads';
import { addressIn, addressesAreKnown } from './block-pool';
import { libraryWith } from './c-library';

/** What a thread is started with. */
export interface DiskThreadData {
  port: MessagePort;
  /** Two numbers: raised by one and notified with every request; 1 when the thread is to end. */
  signal: SharedArrayBuffer;
  /** Name of the C library. */
  library: string;
}

export interface DiskRequest {
  id: number;
  fd: number;
  position: number;
  /** Address and length in turn: memory of this process, which DiskThreads holds until the reply. */
  pieces: number[];
}

export interface DiskReply {
  id: number;
  /** What failed; absent when all is on disk. */
  step?: 'write' | 'sync';
  message?: string;
  code?: string;
}

/** The bytes are in the file, but not known to be on disk: a later sync that succeeds would prove nothing. */
export class SyncFailedError extends Error {
  constructor(
    message: string,
    readonly code: string | undefined,
  ) {
    super(message);
    this.name = 'SyncFailedError';
  }
}

interface Waiter {
  /** Held, so that their memory is not given back while a thread reads it. */
  buffers: readonly Buffer[];
  resolve(): void;
  reject(error: Error): void;
}

interface Thread {
  worker: Worker;
  port: MessagePort;
  bell: Int32Array;
  waiting: Map<number, Waiter>;
  ended: Promise<void>;
}

/** A disk that takes long to sync keeps as many objects on their way as there are threads. */
const MOST_THREADS = 4;

/** A thread that does not end by itself: its disk hangs. */
const END_MS = 5_000;

/**
 * Writes and syncs what ends an object, in threads that do nothing else. On libuv's thread pool a write and the sync after
 * it are two errands; each wakes a thread and the event loop again, which costs more than writing the bytes of an image.
 * Here they are one. A second thread and more are started when all are busy.
 *
 * The bytes must lie in blocks (BlockPool); they may not be changed until the promise settles. The threads are told
 * addresses and call pwritev(2) of the C library: memory that is shared the JavaScript way (SharedArrayBuffer) is copied
 * to at less than half the speed.
 */
export class DiskThreads {
  private readonly threads: Thread[] = [];
  private nextId = 1;
  private closed = false;
  /** Syncs asked for, for metrics. */
  calls = 0;

  /** Starts the first thread, so that the first object need not wait for it. */
  private constructor(
    private readonly library: string,
    private readonly most: number,
  ) {
    this.start();
  }

  /** Null where memory cannot be named to a thread: not on Linux, or koffi cannot be loaded. */
  static open(most = MOST_THREADS): DiskThreads | null {
    const library = process.platform === 'linux' && addressesAreKnown() ? libraryWith('pwritev') : null;
    return library === null ? null : new DiskThreads(library, most);
  }

  /**
   * Resolves when the bytes, and all that was written to the file before, are on disk (fdatasync).
   * @throws (rejects) SyncFailedError; for a write the system's error
   */
  writeAndSync(fd: number, buffers: readonly Buffer[], position: number): Promise<void> {
    if (this.closed) return Promise.reject(new Error('the threads are closed'));
    const pieces: number[] = [];
    for (const buffer of buffers) pieces.push(addressIn(buffer), buffer.length);
    const thread = this.choose();
    const id = this.nextId++;
    this.calls += 1;
    return new Promise((resolve, reject) => {
      thread.waiting.set(id, { buffers, resolve, reject });
      // A reply is awaited: the process must not end before it.
      if (thread.waiting.size === 1) thread.port.ref();
      thread.port.postMessage({ id, fd, position, pieces } satisfies DiskRequest);
      Atomics.add(thread.bell, 0, 1);
      Atomics.notify(thread.bell, 0);
    });
  }

  /** What is under way fails; call it when nothing is. */
  async close(): Promise<void> {
    this.closed = true;
    for (const thread of [...this.threads]) this.fail(thread, new Error('the threads are closed'));
    await Promise.all(this.threads.splice(0).map(end));
  }

  private choose(): Thread {
    let best: Thread | undefined;
    for (const thread of this.threads) if (!best || thread.waiting.size < best.waiting.size) best = thread;
    return best && (best.waiting.size === 0 || this.threads.length >= this.most) ? best : this.start();
  }

  private start(): Thread {
    const { port1, port2 } = new MessageChannel();
    const signal = new SharedArrayBuffer(8);
    const workerData: DiskThreadData = { port: port2, signal, library: this.library };
    const worker = spawn(workerData);
    const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    const thread: Thread = { worker, port: port1, bell: new Int32Array(signal), waiting: new Map(), ended };
    port1.on('message', (reply: DiskReply) => this.settle(thread, reply));
    port1.unref();
    worker.unref();
    const lost = (error: Error): void => {
      const at = this.threads.indexOf(thread);
      if (at >= 0) this.threads.splice(at, 1);
      this.fail(thread, error);
    };
    worker.on('error', lost);
    worker.on('exit', () => lost(new Error('the disk thread has ended')));
    this.threads.push(thread);
    return thread;
  }

  private settle(thread: Thread, { id, step, message = '', code }: DiskReply): void {
    const waiter = thread.waiting.get(id);
    thread.waiting.delete(id);
    if (thread.waiting.size === 0) thread.port.unref();
    if (!step) waiter?.resolve();
    else if (step === 'sync') waiter?.reject(new SyncFailedError(message, code));
    else waiter?.reject(Object.assign(new Error(message), { code }));
  }

  /** Nobody knows how far it came: as after a sync that failed. */
  private fail(thread: Thread, error: Error): void {
    for (const waiter of thread.waiting.values()) waiter.reject(new SyncFailedError(error.message, undefined));
    thread.waiting.clear();
    thread.port.close();
  }
}

/**
 * It ends by itself, at the end of its errand: a thread that is terminated while it loads the native library takes the whole
 * process with it.
 */
async function end({ worker, bell, ended }: Thread): Promise<void> {
  worker.ref();
  Atomics.store(bell, 1, 1);
  Atomics.add(bell, 0, 1);
  Atomics.notify(bell, 0);
  const late = setTimeout(() => void worker.terminate(), END_MS);
  await ended;
  clearTimeout(late);
}

/** From dist the compiled file; under tests, which run from src, one that compiles TypeScript as it loads. */
function spawn(workerData: DiskThreadData): Worker {
  const extension = extname(__filename);
  const entry = join(__dirname, `disk-thread-worker${extension}`);
  const options = { workerData, transferList: [workerData.port], resourceLimits: { maxOldGenerationSizeMb: 32 } };
  if (extension !== '.ts') return new Worker(entry, options);
  const compile = {
    jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
    module: { type: 'commonjs' },
  };
  const bootstrap = `
    require.extensions['.ts'] = (module, file) =>
      module._compile(require('@swc/core').transformFileSync(file, ${JSON.stringify(compile)}).code, file);
    require(${JSON.stringify(entry)});`;
  return new Worker(bootstrap, { ...options, eval: true, execArgv: ['--conditions=development'] });
}
