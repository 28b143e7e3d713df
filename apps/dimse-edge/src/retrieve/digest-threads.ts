/**
 * Wire digests of ranges of shared memory, on threads of our own. On the event loop it would hold up every other association;
 * WebCrypto, which has threads, copies the bytes first, into memory that the garbage collector must see to.
 */
import { availableParallelism } from 'node:os';
import { extname, join } from 'node:path';
import { Worker } from 'node:worker_threads';

export interface DigestTask {
  id: number;
  memory: SharedArrayBuffer;
  /** [start, end) */
  ranges: readonly (readonly [number, number])[];
}

export interface DigestReply {
  id: number;
  digests: string[];
}

interface Waiting {
  resolve(digests: string[]): void;
  reject(error: Error): void;
}

interface Thread {
  worker: Worker;
  waiting: Map<number, Waiting>;
}

export class DigestThreads {
  private readonly threads: Thread[] = [];
  private nextId = 1;
  private closed = false;

  /** Started when first needed. */
  constructor(private readonly size = Math.max(1, Math.min(4, availableParallelism() - 1))) {}

  /** In lower-case hex, in the order of the ranges. Rejects when the thread ends meanwhile. */
  digest(memory: SharedArrayBuffer, ranges: DigestTask['ranges']): Promise<string[]> {
    if (this.closed) return Promise.reject(new Error('the digest threads are closed'));
    const thread = this.pick();
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      if (thread.waiting.size === 0) thread.worker.ref();
      thread.waiting.set(id, { resolve, reject });
      thread.worker.postMessage({ id, memory, ranges } satisfies DigestTask);
    });
  }

  private pick(): Thread {
    let least: Thread | undefined;
    for (const thread of this.threads) if (!least || thread.waiting.size < least.waiting.size) least = thread;
    if (!least || (least.waiting.size > 0 && this.threads.length < this.size)) return this.start();
    return least;
  }

  private start(): Thread {
    const worker = spawn();
    const thread: Thread = { worker, waiting: new Map() };
    worker.on('message', ({ id, digests }: DigestReply) => {
      const waiting = thread.waiting.get(id);
      thread.waiting.delete(id);
      if (thread.waiting.size === 0) worker.unref();
      waiting?.resolve(digests);
    });
    worker.on('error', (error) => this.drop(thread, error));
    worker.on('exit', () => this.drop(thread, new Error('the digest thread ended')));
    worker.unref();
    this.threads.push(thread);
    return thread;
  }

  private drop(thread: Thread, error: Error): void {
    const at = this.threads.indexOf(thread);
    if (at >= 0) this.threads.splice(at, 1);
    for (const waiting of thread.waiting.values()) waiting.reject(error);
    thread.waiting.clear();
  }

  /** Ends the threads; what is queued or running is rejected. */
  async close(): Promise<void> {
    this.closed = true;
    await Promise.all([...this.threads].map((thread) => thread.worker.terminate()));
  }
}

/** From dist the compiled thread; under tests, which run from src, one that compiles TypeScript as it loads. */
function spawn(): Worker {
  const extension = extname(__filename);
  const entry = join(__dirname, `digest-thread${extension}`);
  if (extension !== '.ts') return new Worker(entry);
  const options = { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'commonjs' } };
  const bootstrap = `
    require.extensions['.ts'] = (module, file) =>
      module._compile(require('@swc/core').transformFileSync(file, ${JSON.stringify(options)}).code, file);
    require(${JSON.stringify(entry)});`;
  return new Worker(bootstrap, { eval: true, execArgv: ['--conditions=development'] });
}
