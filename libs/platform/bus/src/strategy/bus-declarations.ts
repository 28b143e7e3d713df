import { subjectStem, type Contract } from '@archipelago/contracts';
import { BugError } from '@archipelago/platform-service';

export interface BusFeature {
  /** Events and commands that the module's controllers handle. */
  handles?: readonly Contract[];
  /** Queries that they answer. */
  answers?: readonly Contract[];
  /** What the module publishes to JetStream: the streams exist before it does. */
  publishes?: readonly Contract[];
}

/** What the process's modules said they do on the bus; the strategy compares it with the handlers that are really there. */
export class BusDeclarations {
  readonly publishes: Contract[];
  private readonly expected: Set<string>;

  constructor(declared: readonly BusFeature[]) {
    this.expected = new Set(declared.flatMap((f) => [...(f.handles ?? []), ...(f.answers ?? [])]).map(subjectStem));
    const byStem = new Map(declared.flatMap((f) => f.publishes ?? []).map((c) => [subjectStem(c), c]));
    this.publishes = [...byStem.values()];
  }

  /**
   * @param handlers one per implementation: the subject's stem, and the name of its consumer or queue group
   * @throws BugError listing every handler that is missing, there twice, or not declared
   */
  check(handlers: readonly { stem: string; name: string }[]): void {
    const mistakes: string[] = [];
    for (const stem of this.expected) {
      if (!handlers.some((handler) => handler.stem === stem)) mistakes.push(`no handler for ${stem}`);
    }
    const counts = new Map<string, number>();
    for (const { stem, name } of handlers) {
      const key = `${stem} as ${name}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
      if (!this.expected.has(stem)) mistakes.push(`a handler for ${stem} that no module declares`);
    }
    for (const [key, count] of counts) if (count > 1) mistakes.push(`${count} handlers for ${key}`);
    if (mistakes.length > 0) throw new BugError('bus-handlers', mistakes.join('; '));
  }
}
