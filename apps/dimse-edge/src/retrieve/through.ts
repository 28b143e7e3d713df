/**
 * Pages of a retrieval with what must be fetched from archives: first what is here, then what arrives, as it arrives,
 * then what no archive could give (without copies: failed sub-operations, by name).
 */
import type { LocatedInstanceV1, LocateReplyV1, LocateV1 } from '@archipelago/contracts';
import { StudyFetch, type StudyFetchDeps } from './study-fetch';

/** Studies of one retrieval that are fetched side by side; the archives' budgets bound all retrievals together. */
const AT_ONCE = 4;
/** Small, so that the first instances are on their way while others arrive. */
const MOST_OF_A_PAGE = 32;
const MOST_HELD_PAGES = 200;

type Frame = Pick<LocateReplyV1, 'total' | 'patients'>;

export type ThroughDeps = Pick<StudyFetchDeps, 'ensure' | 'follow' | 'failed' | 'signal'> & {
  /** A fetch has ended, with or without all that was wanted. */
  fetched(study: string, milliseconds: number): void;
};

export class Through {
  private readonly fetches = new Map<string, StudyFetch>();
  private readonly queue: StudyFetch[] = [];
  private readonly started = new Set<StudyFetch>();
  private running = 0;
  private wake: (() => void) | undefined;

  constructor(
    private readonly locate: LocateV1,
    private readonly deps: ThroughDeps,
  ) {
    deps.signal.addEventListener('abort', () => this.wake?.(), { once: true });
  }

  /** Why something could not be had, for the final response. */
  get trouble(): string | undefined {
    for (const fetch of this.fetches.values()) if (fetch.trouble !== undefined) return fetch.trouble;
    return undefined;
  }

  async *pages(pages: AsyncIterable<LocateReplyV1>): AsyncGenerator<LocateReplyV1> {
    let frame: Frame | undefined;
    const held: LocateReplyV1[] = [];
    for await (const page of pages) {
      frame ??= await this.frameOf(page);
      const here = { ...frame, instances: page.instances.filter((instance) => this.isHere(instance)) };
      // what is asked of an archive names all classes of the study: the catalog is read to its end before
      if (this.fetches.size === 0) yield here;
      else held.push(here);
      if (held.length > MOST_HELD_PAGES) this.pump();
    }
    this.pump();
    yield* held;
    if (frame && this.fetches.size > 0) yield* this.arriving(frame);
  }

  private async *arriving(frame: Frame): AsyncGenerator<LocateReplyV1> {
    while (!this.deps.signal.aborted) {
      const ready = this.takeReady();
      if (ready.length > 0) {
        yield { ...frame, instances: ready };
        continue;
      }
      if ([...this.fetches.values()].every((fetch) => fetch.over)) break;
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
    const rest = [...this.fetches.values()].flatMap((fetch) => fetch.takeRest());
    if (rest.length > 0) yield { ...frame, instances: rest };
  }

  /** The total counts what archives say of studies that are known by themselves only: they are asked first. */
  private async frameOf(page: LocateReplyV1): Promise<Frame> {
    const shallow = new Map<string, StudyFetch>();
    const overlays = new Map<string, Pick<LocatedInstanceV1, 'overlay'>>();
    for (const { archive, studyInstanceUid, overlay } of page.shallow ?? []) {
      const fetch = this.fetchOf(studyInstanceUid);
      fetch.offer([archive]);
      shallow.set(studyInstanceUid, fetch);
      overlays.set(studyInstanceUid, overlay === undefined ? {} : { overlay });
    }
    for (const fetch of shallow.values()) this.start(fetch);
    if (shallow.size > 0) this.pump();
    const known = new Set(page.instances.map((instance) => instance.sopInstanceUid));
    let more = 0;
    for (const [study, fetch] of shallow) {
      for (const one of await fetch.expected) {
        if (known.has(one.sopInstanceUid) || !this.isMeant(one)) continue;
        more++;
        fetch.want({ ...one, ...overlays.get(study), studyInstanceUid: study, wireDigest: '', copies: [] });
      }
    }
    const { total, patients } = page;
    return { total: total + more, ...(patients === undefined ? {} : { patients }) };
  }

  /** Of a study that is not known deeper: whether the request means this instance. */
  private isMeant(one: { seriesInstanceUid: string; sopInstanceUid: string }): boolean {
    const { seriesInstanceUids, sopInstanceUids } = this.locate;
    if (seriesInstanceUids && !seriesInstanceUids.includes(one.seriesInstanceUid)) return false;
    return !sopInstanceUids || sopInstanceUids.includes(one.sopInstanceUid);
  }

  private isHere(instance: LocatedInstanceV1): boolean {
    const elsewhere = instance.copies.length === 0 && (instance.archives?.length ?? 0) > 0;
    if (!elsewhere || instance.studyInstanceUid === undefined) return true;
    const fetch = this.fetchOf(instance.studyInstanceUid);
    fetch.want(instance);
    this.start(fetch);
    return false;
  }

  private fetchOf(study: string): StudyFetch {
    let fetch = this.fetches.get(study);
    if (!fetch) {
      const below = this.locate.level === 'SERIES' || this.locate.level === 'IMAGE';
      fetch = new StudyFetch(study, below ? this.locate.seriesInstanceUids : undefined, {
        ...this.deps,
        changed: () => this.wake?.(),
      });
      this.fetches.set(study, fetch);
    }
    return fetch;
  }

  private start(fetch: StudyFetch): void {
    if (this.started.has(fetch)) return;
    this.started.add(fetch);
    this.queue.push(fetch);
  }

  private pump(): void {
    while (this.running < AT_ONCE && this.queue.length > 0) {
      const fetch = this.queue.shift()!;
      this.running++;
      void fetch.run().finally(() => {
        this.running--;
        this.deps.fetched(fetch.study, performance.now() - fetch.startedAt);
        this.pump();
        this.wake?.();
      });
    }
  }

  private takeReady(): LocatedInstanceV1[] {
    const ready: LocatedInstanceV1[] = [];
    for (const fetch of this.fetches.values()) {
      ready.push(...fetch.take(MOST_OF_A_PAGE - ready.length));
      if (ready.length >= MOST_OF_A_PAGE) break;
    }
    return ready;
  }
}
