import { availableParallelism } from 'node:os';
import { extname, join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { type ResourceLimits, Worker } from 'node:worker_threads';
import { PixelError, type DecodedFrame, type PixelAttributes, type PixelLimits } from './api';
import { checkAttributes, decodedFrameBytes } from './attributes';
import { CODEC_MEMORY_BYTES } from './codec';
import type { PoolReply, PoolTask, WorkerData } from './pool-protocol';

export interface PixelPoolOptions {
  /** Threads (default: cores - 1, at least 1, at most 4). Started when first needed. */
  size?: number;
  /** A frame that takes longer fails with 'timeout' and its thread is replaced (default 60 s). */
  timeoutMs?: number;
  /** JavaScript heap of a thread, MiB (default 256), whatever `--max-old-space-size` grants to the process. */
  heapMb?: number;
  /** WebAssembly memory of a thread (default 320 MiB): a frame that needs more fails with 'codec-failed'. */
  codecMemoryBytes?: number;
  /**
   * Decoded frames of more bytes than this (default 24 MiB) are coded one at a time in the whole pool, and their thread is
   * replaced afterwards: WebAssembly memory only grows.
   */
  largeOverBytes?: number;
  limits?: PixelLimits;
}

interface Pending {
  task: PoolTask;
  large: boolean;
  resolve: (reply: Extract<PoolReply, { ok: true }>) => void;
  reject: (error: PixelError) => void;
}

interface Thread {
  worker: Worker;
  current?: Pending;
  timer?: NodeJS.Timeout;
  dead: boolean;
}

/**
 * Bounded pool of threads for coding frames. A crash, an endless loop or lack of memory in a thread rejects the one
 * task it had; the thread is replaced. Callers bound what they queue (transcode keeps `size + 1` frames in flight).
 */
export class PixelPool {
  readonly size: number;
  readonly limits: PixelLimits;
  private readonly threads: Thread[] = [];
  private readonly queue: Pending[] = [];
  private nextId = 1;
  private closed = false;

  constructor(private readonly options: PixelPoolOptions = {}) {
    this.size = options.size ?? Math.max(1, Math.min(4, availableParallelism() - 1));
    this.limits = options.limits ?? {};
  }

  /** @throws PixelError; `coded` is copied. */
  async decode(transferSyntaxUid: string, attributes: PixelAttributes, coded: Buffer): Promise<DecodedFrame> {
    const reply = await this.run('decode', transferSyntaxUid, attributes, coded);
    if (!reply.frame) throw new PixelError('codec-failed', 'no frame');
    return { ...reply.frame, data: asBuffer(reply.data) };
  }

  /** @throws PixelError; `frame` is copied. */
  async encode(transferSyntaxUid: string, attributes: PixelAttributes, frame: Buffer): Promise<Buffer> {
    return asBuffer((await this.run('encode', transferSyntaxUid, attributes, frame)).data);
  }

  private async run(op: PoolTask['op'], transferSyntaxUid: string, attributes: PixelAttributes, data: Buffer) {
    if (this.closed) throw new PixelError('closed', 'the pool is closed');
    checkAttributes(attributes, this.limits);
    return new Promise<Extract<PoolReply, { ok: true }>>((resolve, reject) => {
      const task = {
        id: this.nextId++,
        op,
        transferSyntaxUid,
        attributes,
        data: Uint8Array.from(data),
        limits: this.limits,
      };
      const large = decodedFrameBytes(attributes) > (this.options.largeOverBytes ?? 24 * 1024 * 1024);
      this.queue.push({ task, large, resolve, reject });
      this.dispatch();
    });
  }

  private dispatch(): void {
    while (!this.closed) {
      const at = this.nextInQueue();
      if (at < 0) return;
      let thread = this.threads.find((each) => !each.current && !each.dead);
      if (!thread && this.threads.length < this.size) thread = this.start();
      if (!thread) return;
      for (const pending of this.queue.splice(at, 1)) this.assign(thread, pending);
    }
  }

  /** The first; while a large frame is being coded, the first that is not large. -1: none. */
  private nextInQueue(): number {
    if (!this.threads.some((each) => each.current?.large)) return this.queue.length > 0 ? 0 : -1;
    return this.queue.findIndex((each) => !each.large);
  }

  private assign(thread: Thread, pending: Pending): void {
    thread.current = pending;
    thread.worker.ref();
    thread.timer = setTimeout(() => {
      this.fail(thread, new PixelError('timeout', 'coding a frame took too long'));
      void thread.worker.terminate();
    }, this.options.timeoutMs ?? 60_000);
    thread.worker.postMessage(pending.task, [pending.task.data.buffer as ArrayBuffer]);
  }

  private start(): Thread {
    const limits = { maxOldGenerationSizeMb: this.options.heapMb ?? 256, maxYoungGenerationSizeMb: 32, stackSizeMb: 4 };
    const worker = spawn(limits, { codecMemoryBytes: this.options.codecMemoryBytes ?? CODEC_MEMORY_BYTES });
    const thread: Thread = { worker, dead: false };
    worker.on('message', (reply: PoolReply) => this.settle(thread, reply));
    worker.on('error', (error) =>
      this.fail(thread, new PixelError('codec-failed', `thread: ${error.message}`.slice(0, 200))),
    );
    worker.on('exit', () => this.fail(thread, new PixelError('codec-failed', 'the thread ended')));
    worker.unref();
    this.threads.push(thread);
    return thread;
  }

  private settle(thread: Thread, reply: PoolReply): void {
    const pending = thread.current;
    if (!pending || pending.task.id !== reply.id) return;
    clearTimeout(thread.timer);
    thread.current = undefined;
    thread.worker.unref();
    // After a failure inside the codec its memory may be in any state.
    if (pending.large || (!reply.ok && reply.code === 'codec-failed')) {
      this.drop(thread);
      void thread.worker.terminate();
    }
    if (reply.ok) pending.resolve(reply);
    else pending.reject(new PixelError(reply.code, reply.message));
    this.dispatch();
  }

  private fail(thread: Thread, error: PixelError): void {
    this.drop(thread);
    clearTimeout(thread.timer);
    const pending = thread.current;
    thread.current = undefined;
    pending?.reject(error);
    this.dispatch();
  }

  private drop(thread: Thread): void {
    thread.dead = true;
    const at = this.threads.indexOf(thread);
    if (at >= 0) this.threads.splice(at, 1);
  }

  /** Ends the threads; what is queued or running fails with 'closed'. */
  async close(): Promise<void> {
    this.closed = true;
    const error = new PixelError('closed', 'the pool is closed');
    for (const pending of this.queue.splice(0)) pending.reject(error);
    const threads = [...this.threads];
    for (const thread of threads) this.fail(thread, error);
    await Promise.all(threads.map((thread) => thread.worker.terminate()));
  }
}

function asBuffer(data: Uint8Array): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.length);
}

/** From dist the compiled worker; under tests, which run from src, one that compiles TypeScript as it loads. */
function spawn(resourceLimits: ResourceLimits, workerData: WorkerData): Worker {
  // V8's flag is one for the whole process and outranks the limits of a thread: with `--max-old-space-size` on the command
  // line or in NODE_OPTIONS a thread had as much as the process. 0 is the flag's default; the heap of the main thread has
  // its size already and keeps it.
  setFlagsFromString('--max-old-space-size=0');
  const extension = extname(__filename);
  const entry = join(__dirname, `worker${extension}`);
  if (extension !== '.ts') return new Worker(entry, { resourceLimits, workerData });
  const options = {
    jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
    module: { type: 'commonjs', ignoreDynamic: true },
  };
  const bootstrap = `
    require.extensions['.ts'] = (module, file) =>
      module._compile(require('@swc/core').transformFileSync(file, ${JSON.stringify(options)}).code, file);
    require(${JSON.stringify(entry)});`;
  return new Worker(bootstrap, { eval: true, resourceLimits, workerData, execArgv: ['--conditions=development'] });
}
