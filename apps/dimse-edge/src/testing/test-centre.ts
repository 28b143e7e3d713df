/**
 * Stands where ingest and catalog stand, for tests of the edge alone: on a real NATS, it reads announced packs from the
 * object store with the real reader, and answers announcements and Locate from what it read.
 */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { connect, type Msg, type NatsConnection } from '@nats-io/transport-node';
import {
  ArchiveList,
  type ArchiveV1,
  FetchEnsure,
  type FetchEnsureV1,
  FetchStart,
  Locate,
  type LocatedInstanceV1,
  type LocateV1,
  PackAnswered,
  type PackAnsweredV1,
  PackSealed,
  type PackSealedV1,
  Search,
  subjectFilter,
  subjectFor,
} from '@archipelago/contracts';
import { FileSource, PackReader } from '@archipelago/pack';

export class TestCentre {
  readonly announced: PackSealedV1[] = [];
  readonly instances: LocatedInstanceV1[] = [];
  outcome: PackAnsweredV1['outcome'] | null = 'indexed';
  archives: ArchiveV1[] = [];
  shallow: { archive: string; studyInstanceUid: string }[] = [];
  /** Fetches begun, as the broker would: one for a study while the edge knows it. */
  readonly fetches: { study: string; archive: string }[] = [];
  private readonly legs = new Map<string, Promise<unknown>>();
  private known = new Set<string>();

  private constructor(
    private readonly nats: NatsConnection,
    private readonly objectsDir: string,
  ) {}

  static async start(url: string, objectsDir: string): Promise<TestCentre> {
    const centre = new TestCentre(await connect({ servers: url }), objectsDir);
    centre.on(subjectFilter(PackSealed), (message) => centre.sealed(payloadOf(message) as PackSealedV1));
    centre.on(subjectFilter(Locate), (message) => centre.locate(message));
    centre.on(subjectFilter(ArchiveList), (message) => reply(message, { archives: centre.archives }));
    centre.on(subjectFilter(FetchEnsure), (message) => centre.ensure(message));
    return centre;
  }

  /** Answers Search with these many matches, in pages. */
  serveSearch(matches: number, perPage = 100): void {
    this.on(subjectFilter(Search), (message) => {
      const { cursor } = payloadOf(message) as { cursor?: string };
      const from = Number(cursor ?? 0);
      const to = Math.min(matches, from + perPage);
      const page = Array.from({ length: to - from }, (_, i) => ({
        '0020000D': { vr: 'UI', Value: [`1.2.${from + i}`] },
      }));
      reply(message, { matches: page, cursor: to < matches ? String(to) : undefined, unsupported: [], notices: [] });
    });
  }

  async answer(packId: string, edgeId: string, outcome: PackAnsweredV1['outcome']): Promise<void> {
    const payload: PackAnsweredV1 = { packId, edgeId, outcome };
    const envelope = { id: randomUUID(), time: new Date().toISOString(), site: 'main', payload };
    this.nats.publish(subjectFor(PackAnswered, '0', 'main'), JSON.stringify(envelope));
    await this.nats.flush();
  }

  async stop(): Promise<void> {
    await this.nats.close();
  }

  private on(subject: string, handle: (message: Msg) => unknown): void {
    this.nats.subscribe(subject, { callback: (error, message) => void (error ?? handle(message)) });
  }

  private async sealed(pack: PackSealedV1): Promise<void> {
    this.announced.push(pack);
    const source = await FileSource.open(join(this.objectsDir, pack.key));
    const { index } = await PackReader.open(source, pack.tailOffset);
    await source.close();
    const { packId, store, key, edgeId } = pack;
    for (const e of this.known.has(packId) ? [] : index.entries) {
      const copy = { packId, store, key, edgeId, datasetOffset: e.datasetOffset, datasetLength: e.datasetLength };
      const { sopInstanceUid, sopClassUid, wireDigest, transferSyntaxUid } = e;
      this.instances.push({ sopInstanceUid, sopClassUid, wireDigest, copies: [{ ...copy, transferSyntaxUid }] });
    }
    this.known.add(packId);
    // the test may be over by now
    if (this.outcome && !this.nats.isClosed()) await this.answer(packId, edgeId, this.outcome);
  }

  private async ensure(message: Msg): Promise<void> {
    const { target, archives, lost } = payloadOf(message) as FetchEnsureV1;
    const refused: { archive: string; code: string }[] = [];
    for (const name of archives) {
      const key = `${name} ${JSON.stringify(target.seriesInstanceUids ?? target.studyInstanceUid)}`;
      if (lost !== undefined) this.legs.delete(key);
      if (!this.legs.has(key)) this.legs.set(key, this.startLeg(name, target));
      const leg = await this.legs.get(key);
      if (leg !== undefined) return reply(message, { leg, refused });
      this.legs.delete(key);
      refused.push({ archive: name, code: 'refused' });
    }
    reply(message, { refused });
  }

  private async startLeg(name: string, target: FetchEnsureV1['target']): Promise<unknown> {
    const archive = this.archives.find((one) => one.name === name);
    const legId = randomUUID();
    this.fetches.push({ study: target.studyInstanceUid, archive: name });
    const payload = { legId, archive, target: { sopClasses: [], ...target } };
    const envelope = { id: randomUUID(), time: new Date().toISOString(), site: 'main', payload };
    const answer = await this.nats.request(subjectFor(FetchStart, '0', 'main'), JSON.stringify(envelope), {
      timeout: 5_000,
    });
    const { ok, payload: started } = answer.json<{ ok: boolean; payload: object }>();
    return ok ? { legId, archive: name, ...started } : undefined;
  }

  private locate(message: Msg): void {
    const { sopInstanceUids } = payloadOf(message) as LocateV1;
    const instances = this.instances.filter((i) => sopInstanceUids?.includes(i.sopInstanceUid) ?? true);
    const { shallow } = this;
    reply(message, { total: instances.length, instances, ...(shallow.length > 0 ? { shallow } : {}) });
  }
}

function payloadOf(message: Msg): unknown {
  return (message.json() as { payload: unknown }).payload;
}

function reply(message: Msg, payload: unknown): void {
  message.respond(JSON.stringify({ ok: true, payload }));
}
