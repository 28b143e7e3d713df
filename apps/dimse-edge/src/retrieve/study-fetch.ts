/** What one retrieval wants of one study that has to be fetched: leg after leg, archive after archive, until all is there. */
import type {
  ArrivedCopyV1,
  FetchEnsureReplyV1,
  FetchLegV1,
  FetchTargetV1,
  LocatedInstanceV1,
} from '@archipelago/contracts';
import type { ExpectedInstance, LegEvent } from '../fetch/fetch-leg';

/** A copy on another edge's disk, read with its grant. */
export interface FetchedCopy {
  url: string;
  grant: string;
}
export type LocatedCopy = LocatedInstanceV1['copies'][number] & { remote?: FetchedCopy };

export interface StudyFetchDeps {
  ensure(target: FetchTargetV1, archives: readonly string[], lost?: string): Promise<FetchEnsureReplyV1>;
  follow(leg: FetchLegV1, signal: AbortSignal): AsyncIterable<LegEvent>;
  /** Told whenever there is something new to take. */
  changed(): void;
  failed(archive: string, code: string): void;
  signal: AbortSignal;
}

export class StudyFetch {
  readonly startedAt = performance.now();
  private readonly wanted = new Map<string, LocatedInstanceV1>();
  private readonly arrived = new Map<string, { copy: LocatedCopy; sopClassUid: string }>();
  /** Arrived, and not looked at since it did or was wanted. */
  private fresh: string[] = [];
  private readonly classes = new Set<string>();
  /** An archive has not said of which class some are: only the archive itself can tell, or C-MOVE brings them. */
  private unknownClass = false;
  private readonly archives: string[] = [];
  private readonly tried = new Set<string>();
  private settle!: (instances: readonly ExpectedInstance[]) => void;
  /** What the archive says there is, for a study of which only the study is known; [] when no archive could be asked. */
  readonly expected = new Promise<readonly ExpectedInstance[]>((resolve) => (this.settle = resolve));
  private exhausted = false;
  /** A leg that could not be followed: asked for once more, as another edge may take it. */
  private lost: string | undefined;
  /** Why the last archive failed, for the final response's comment. */
  trouble: string | undefined;

  constructor(
    readonly study: string,
    /** Series that are meant; all when left out. */
    private readonly series: readonly string[] | undefined,
    private readonly deps: StudyFetchDeps,
  ) {}

  get over(): boolean {
    return this.exhausted && this.fresh.length === 0;
  }

  offer(archives: readonly string[]): void {
    for (const archive of archives) if (!this.archives.includes(archive)) this.archives.push(archive);
  }

  want(instance: LocatedInstanceV1): void {
    this.wanted.set(instance.sopInstanceUid, instance);
    if (instance.sopClassUid === '') this.unknownClass = true;
    else this.classes.add(instance.sopClassUid);
    this.offer(instance.archives ?? []);
    if (this.arrived.has(instance.sopInstanceUid)) this.fresh.push(instance.sopInstanceUid);
  }

  /** Runs until everything wanted has arrived or no archive is left; call once, when the first is wanted. */
  async run(): Promise<void> {
    try {
      for (let next = this.next(); next.length > 0 && !this.deps.signal.aborted; next = this.next()) {
        if (!(await this.leg(next))) break;
        if (!this.isMissing()) break;
      }
    } catch (error) {
      this.trouble ??= codeOf(error);
    } finally {
      this.exhausted = true;
      this.settle([]);
      this.deps.changed();
    }
  }

  /** Instances whose bytes can be read now; each is given once. */
  take(most: number): LocatedInstanceV1[] {
    const ready: LocatedInstanceV1[] = [];
    while (this.fresh.length > 0 && ready.length < most) {
      const uid = this.fresh.shift()!;
      const came = this.arrived.get(uid);
      const instance = this.wanted.get(uid);
      if (!came || !instance) continue;
      const { copy, sopClassUid } = came;
      ready.push({ ...instance, sopClassUid, wireDigest: copy.wireDigest ?? instance.wireDigest, copies: [copy] });
      this.wanted.delete(uid);
      this.arrived.delete(uid);
    }
    return ready;
  }

  /** What no archive could give. */
  takeRest(): LocatedInstanceV1[] {
    const rest = [...this.wanted.values()];
    this.wanted.clear();
    return rest;
  }

  private isMissing(): boolean {
    for (const uid of this.wanted.keys()) if (!this.arrived.has(uid)) return true;
    return false;
  }

  private next(): string[] {
    return this.archives.filter((archive) => !this.tried.has(archive));
  }

  private target(): FetchTargetV1 {
    return {
      studyInstanceUid: this.study,
      ...(this.series === undefined ? {} : { seriesInstanceUids: [...this.series].sort() }),
      sopClasses: this.unknownClass ? [] : [...this.classes].sort(),
    };
  }

  /** @returns false when nobody can be asked */
  private async leg(archives: string[]): Promise<boolean> {
    const { leg, refused } = await this.deps.ensure(this.target(), archives, this.lost);
    for (const { archive, code } of refused) this.fail(archive, code);
    if (!leg) return false;
    try {
      for await (const event of this.deps.follow(leg, this.deps.signal)) this.happened(leg, event);
    } catch (error) {
      if (codeOf(error) === 'leg-lost' && this.lost === undefined) {
        this.lost = leg.legId;
        return true;
      }
      this.fail(leg.archive, codeOf(error));
    }
    this.lost = undefined;
    this.tried.add(leg.archive);
    return true;
  }

  private happened(leg: FetchLegV1, event: LegEvent): void {
    if (event.kind === 'expected') this.settle(event.instances);
    else if (event.kind === 'copy') {
      const { sopInstanceUid, sopClassUid } = event.copy;
      this.arrived.set(sopInstanceUid, { copy: locatedCopy(event.copy, leg.grant), sopClassUid });
      this.fresh.push(sopInstanceUid);
      this.deps.changed();
    } else if (event.outcome !== 'complete') this.fail(leg.archive, event.code ?? event.outcome);
  }

  private fail(archive: string, code: string): void {
    this.tried.add(archive);
    this.trouble = code;
    this.deps.failed(archive, code);
  }
}

function locatedCopy(copy: ArrivedCopyV1, grant: string): LocatedCopy {
  const { packId, edgeId, url, datasetOffset, datasetLength, transferSyntaxUid, wireDigest } = copy;
  // of no store yet: only the edge that received it has it
  return {
    packId,
    edgeId,
    store: '',
    key: packId,
    datasetOffset,
    datasetLength,
    transferSyntaxUid,
    wireDigest,
    remote: { url, grant },
  };
}

function codeOf(error: unknown): string {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? code : 'failed';
}
