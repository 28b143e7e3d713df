import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRunning, recordOf, type ProcessRecord } from './processes';

interface RunState {
  supervisor: ProcessRecord;
  children: Record<string, ProcessRecord>;
}

/** Another supervisor runs on the same data folder. */
export class AlreadyRunningError extends Error {
  constructor(pid: number, home: string) {
    super(`Archipelago already runs on ${home} (pid ${pid}): stop it, or set ARCHIPELAGO_HOME to another folder`);
    this.name = 'AlreadyRunningError';
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * `<home>/run/standalone.json`: which supervisor has this data folder and which children it started. After a kill -9
 * of the supervisor its children end by themselves; the next start waits for those recorded here and ends what stays.
 */
export class RunFolder {
  private readonly file: string;
  private readonly children: Record<string, ProcessRecord> = {};

  private constructor(private readonly folder: string) {
    this.file = join(folder, 'standalone.json');
  }

  static async acquire(home: string, waitMs = 12_000): Promise<RunFolder> {
    const folder = join(home, 'run');
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const run = new RunFolder(folder);
    for (let attempt = 0; !run.claim(); attempt++) {
      const state = run.read();
      if (state && isRunning(state.supervisor)) throw new AlreadyRunningError(state.supervisor.pid, home);
      if (attempt > 20) throw new Error(`cannot take ${run.file}`);
      if (state) await endLeftovers(Object.values(state.children), waitMs);
      // Moved away under a name of our own: of two starts at once only one moves it.
      const stale = join(folder, `stale-${process.pid}`);
      try {
        renameSync(run.file, stale);
        rmSync(stale, { force: true });
      } catch {
        await pause(50);
      }
    }
    return run;
  }

  /** Creates the file whole or not at all: a link fails when it exists. */
  private claim(): boolean {
    const temporary = this.write(join(this.folder, `new-${process.pid}`));
    try {
      linkSync(temporary, this.file);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    } finally {
      rmSync(temporary, { force: true });
    }
  }

  private write(path: string): string {
    const state: RunState = { supervisor: recordOf(process.pid), children: this.children };
    writeFileSync(path, `${JSON.stringify(state)}\n`, { mode: 0o600 });
    return path;
  }

  private read(): RunState | undefined {
    try {
      return JSON.parse(readFileSync(this.file, 'utf8')) as RunState;
    } catch {
      return undefined;
    }
  }

  /** Notes a started child; written whole and moved into place. */
  note(name: string, pid: number): void {
    this.children[name] = recordOf(pid);
    renameSync(this.write(join(this.folder, `new-${process.pid}`)), this.file);
  }

  release(): void {
    if (this.read()?.supervisor.pid === process.pid) rmSync(this.file, { force: true });
  }
}

async function endLeftovers(children: ProcessRecord[], waitMs: number): Promise<void> {
  const left = (): ProcessRecord[] => children.filter(isRunning);
  for (const end = Date.now() + waitMs; left().length > 0 && Date.now() < end;) await pause(100);
  for (const child of left()) process.kill(child.pid, 'SIGKILL');
  for (const end = Date.now() + 3000; left().length > 0 && Date.now() < end;) await pause(50);
}
