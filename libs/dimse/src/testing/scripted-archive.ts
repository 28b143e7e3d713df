/**
 * An archive in this process, on our own upper layer: holds what it is given, answers C-FIND at every level, C-GET with and
 * without bulk data and C-MOVE not at all; and misbehaves as told. What it was asked is counted.
 */
import { EXPLICIT_VR_LE, IMPLICIT_VR_LE, matchWildcard, parseDateRange, parseTimeRange } from '@archipelago/dicom-core';
import type { DicomJson } from '@archipelago/dicom-core';
import { parseDataset, writeDataset, type Dataset } from '@archipelago/dicom-encoding';
import type {
  AssociateDecision,
  AssociateRequest,
  FindResponse,
  GetRequest,
  QueryRequest,
  RetrieveResponse,
} from '../api';
import { DimseServer } from '../server';
import type { ScriptedImage, ScriptedSeries, ScriptedStudy } from './archive-content';

const FIND = new Set(['1.2.840.10008.5.1.4.1.2.1.1', '1.2.840.10008.5.1.4.1.2.2.1']);
const STUDY_GET = '1.2.840.10008.5.1.4.1.2.2.3';
const GET_WITHOUT_BULK = '1.2.840.10008.5.1.4.1.2.5.3';
const VERIFICATION = '1.2.840.10008.1.1';

/** How it misbehaves; all may be changed while it runs. */
export interface ArchiveBehaviour {
  /** Most answers to one query, silently, or with a final status. */
  cap?: number;
  capStatus?: number;
  /** Milliseconds before each answer. */
  delayMs?: number;
  /** Takes associations and queries or retrievals, and never answers. */
  hang?: boolean;
  /** Rejects every association. */
  refuse?: boolean;
  /** Aborts the association after so many answers of a query. */
  dieAfter?: number;
  /** Final status of every query, without answers. */
  status?: number;
  /** Leaves StudyInstanceUID and SeriesInstanceUID out of answers of lower levels. */
  omitParents?: boolean;
  /** Takes no notice of StudyDate. */
  ignoreDate?: boolean;
  relational?: boolean;
  get?: boolean;
  getWithoutBulk?: boolean;
  /** Last word on each object that C-GET sends: what is sent instead, one after the other. */
  object?: (object: DicomJson) => DicomJson[];
  /** Last word on each answer; undefined leaves it out, several are sent one after the other. */
  answer?: (answer: DicomJson, level: string, n: number) => DicomJson | DicomJson[] | undefined;
}

interface Found {
  study: ScriptedStudy;
  series?: ScriptedSeries;
  image?: ScriptedImage;
}

export class ScriptedArchive {
  readonly aeTitle = 'SCRIPTED';
  port = 0;
  /** C-FIND requests, and answers sent, by level. */
  readonly queries: Record<string, number> = {};
  readonly answers: Record<string, number> = {};
  /** How often each UID was answered at its level. */
  readonly answered = new Map<string, number>();
  /** Objects sent by C-GET, bytes of them, and most associations at once. */
  readonly sent = { objects: 0, bytes: 0 };
  mostAssociations = 0;
  private server: DimseServer | undefined;

  constructor(
    public studies: ScriptedStudy[],
    public behaviour: ArchiveBehaviour = {},
  ) {}

  async start(port?: number): Promise<this> {
    this.server = new DimseServer({
      host: '127.0.0.1',
      port: port ?? this.port,
      handlers: {
        associate: (request) => this.associate(request),
        echo: () => ({ status: 0 }),
        find: (request) => this.find(request),
        get: (request) => this.get(request),
      },
    });
    ({ port: this.port } = await this.server.listen());
    return this;
  }

  async stop(): Promise<void> {
    await this.server?.close(100);
    this.server = undefined;
  }

  /** Every answer that it has to give, as Explicit VR LE: what a whole harvest has read. */
  *everything(): Generator<{ level: 'STUDY' | 'SERIES' | 'IMAGE'; uid: string; dataset: Buffer }> {
    const query = parseDataset(Buffer.alloc(0), EXPLICIT_VR_LE);
    for (const level of ['STUDY', 'SERIES', 'IMAGE'] as const) {
      for (const found of this.matching(query, level)) {
        const { uid } = found.image ?? found.series ?? found.study;
        yield { level, uid, dataset: writeDataset(answerOf(found, level, false), EXPLICIT_VR_LE) };
      }
    }
  }

  /** Forgets what it counted. */
  reset(): void {
    for (const key of Object.keys(this.queries)) delete this.queries[key];
    for (const key of Object.keys(this.answers)) delete this.answers[key];
    this.answered.clear();
    Object.assign(this.sent, { objects: 0, bytes: 0 });
    this.mostAssociations = 0;
  }

  private associate(request: AssociateRequest): AssociateDecision {
    if (this.behaviour.refuse) return { accept: false, result: 1, source: 1, reason: 3 };
    this.mostAssociations = Math.max(this.mostAssociations, (this.server?.associations().length ?? 0) + 1);
    const takes = (uid: string): boolean =>
      uid === VERIFICATION ||
      FIND.has(uid) ||
      (uid === STUDY_GET && this.behaviour.get === true) ||
      (uid === GET_WITHOUT_BULK && this.behaviour.getWithoutBulk === true) ||
      uid.startsWith('1.2.840.10008.5.1.4.1.1.');
    const extended = request.extended
      .filter((e) => FIND.has(e.sopClassUid))
      .map((e) => ({ sopClassUid: e.sopClassUid, info: Buffer.from([this.behaviour.relational ? 1 : 0]) }));
    return {
      accept: true,
      contexts: request.contexts.map(({ id, abstractSyntax, transferSyntaxes }) => ({
        id,
        result: takes(abstractSyntax) ? 0 : 3,
        transferSyntax: transferSyntaxes.includes(EXPLICIT_VR_LE) ? EXPLICIT_VR_LE : IMPLICIT_VR_LE,
      })),
      roles: request.roles,
      extended,
    };
  }

  private async *find(request: QueryRequest): AsyncGenerator<FindResponse> {
    const { behaviour } = this;
    await this.hangs(request);
    const identifier = parseDataset(request.identifier, request.context.transferSyntax);
    const level = identifier.string('QueryRetrieveLevel') ?? 'STUDY';
    this.queries[level] = (this.queries[level] ?? 0) + 1;
    if (behaviour.status !== undefined) return void (yield { status: behaviour.status });
    let n = 0;
    for (const found of this.matching(identifier, level)) {
      if (request.signal.aborted) return void (yield { status: 0xfe00 });
      if (behaviour.cap !== undefined && n >= behaviour.cap) {
        yield { status: behaviour.capStatus ?? 0 };
        return;
      }
      if (behaviour.delayMs) await new Promise((resolve) => setTimeout(resolve, behaviour.delayMs));
      if (behaviour.dieAfter !== undefined && n >= behaviour.dieAfter) {
        request.association.abort();
        return;
      }
      n++;
      const answer = answerOf(found, level, behaviour.omitParents === true);
      const given = behaviour.answer ? behaviour.answer(answer, level, n) : answer;
      for (const each of given === undefined ? [] : [given].flat()) {
        this.answers[level] = (this.answers[level] ?? 0) + 1;
        const uid = (found.image ?? found.series ?? found.study).uid;
        this.answered.set(uid, (this.answered.get(uid) ?? 0) + 1);
        yield { status: 0xff00, identifier: writeDataset(each, request.context.transferSyntax) };
      }
    }
    yield { status: 0 };
  }

  private async hangs({ signal }: QueryRequest): Promise<void> {
    if (this.behaviour.hang) await new Promise((resolve) => signal.addEventListener('abort', resolve));
  }

  private *matching(query: Dataset, level: string): Generator<Found> {
    const studyUids = new Set(query.strings('StudyInstanceUID'));
    const seriesUids = new Set(query.strings('SeriesInstanceUID'));
    const dates = this.behaviour.ignoreDate ? undefined : parseDateRange(query.string('StudyDate') ?? '');
    const times = parseTimeRange(query.string('StudyTime') ?? '');
    const text = (keyword: string, value: string): boolean => {
      const wanted = query.string(keyword);
      return wanted === undefined || matchWildcard(wanted, value);
    };
    for (const study of this.studies) {
      if (studyUids.size > 0 && !studyUids.has(study.uid)) continue;
      if (dates && !within(dates, iso(study.date))) continue;
      if (times && !within(times, clock(study.time))) continue;
      if (!text('PatientID', study.patientId) || !text('PatientName', study.patientName)) continue;
      const modality = query.string('ModalitiesInStudy');
      if (modality !== undefined && !study.series.some((s) => s.modality === modality)) continue;
      if (level === 'STUDY') yield { study };
      for (const series of level === 'STUDY' ? [] : study.series) {
        if (seriesUids.size > 0 && !seriesUids.has(series.uid)) continue;
        if (level === 'SERIES') yield { study, series };
        else for (const image of series.images) yield { study, series, image };
      }
    }
  }

  private async *get(request: GetRequest): AsyncGenerator<RetrieveResponse> {
    await this.hangs(request);
    const identifier = parseDataset(request.identifier, request.context.transferSyntax);
    const found = [...this.matching(identifier, 'IMAGE')];
    const counts = { remaining: found.length, completed: 0, failed: 0, warning: 0 };
    const bulk = request.sopClassUid !== GET_WITHOUT_BULK;
    for (const { study, series, image } of found) {
      const context = request.storeContexts.find((c) => c.abstractSyntax === image!.sopClass);
      counts.remaining--;
      if (!context) {
        counts.failed++;
        continue;
      }
      const object = objectOf(study, series!, image!, bulk);
      let failed = false;
      for (const each of this.behaviour.object?.(object) ?? [object]) {
        const body = writeDataset(each, context.transferSyntax);
        const { status } = await request.store({
          contextId: context.id,
          sopClassUid: image!.sopClass,
          sopInstanceUid: String(each['00080018']?.Value?.[0] ?? image!.uid),
          body: [body],
          length: body.length,
        });
        this.sent.objects++;
        this.sent.bytes += body.length;
        if (status !== 0) failed = true;
      }
      counts[failed ? 'failed' : 'completed']++;
      if (request.signal.aborted) return void (yield { status: 0xfe00, counts });
    }
    yield { status: counts.failed > 0 ? 0xb000 : 0, counts };
  }
}

function within(range: { from?: string; to?: string }, value: string | undefined): boolean {
  if (value === undefined) return false;
  return (range.from === undefined || value >= range.from) && (range.to === undefined || value <= range.to);
}

function iso(date: string): string | undefined {
  return date === '' ? undefined : parseDateRange(date)?.from;
}

function clock(time: string): string | undefined {
  return time === '' ? undefined : parseTimeRange(time)?.from;
}

function text(vr: string, value: string): { vr: string; Value?: string[] } {
  return value === '' ? { vr } : { vr, Value: [value] };
}

function person(value: string): DicomJson[string] {
  return { vr: 'PN', Value: [{ Alphabetic: value }] };
}

function studyElements(study: ScriptedStudy): DicomJson {
  return {
    '00080020': text('DA', study.date),
    '00080030': text('TM', study.time),
    '00080050': text('SH', study.accession),
    '00081030': text('LO', study.description),
    '00100010': person(study.patientName),
    '00100020': text('LO', study.patientId),
    '00100030': text('DA', study.birthDate),
    '00100040': text('CS', study.sex),
    '0020000D': text('UI', study.uid),
  };
}

function answerOf({ study, series, image }: Found, level: string, omitParents: boolean): DicomJson {
  const base: DicomJson = { '00080052': text('CS', level) };
  if (level === 'STUDY') {
    return {
      ...base,
      ...studyElements(study),
      '00080061': { vr: 'CS', Value: [...new Set(study.series.map((s) => s.modality))] },
      '00201206': { vr: 'IS', Value: [study.series.length] },
      '00201208': { vr: 'IS', Value: [study.series.reduce((n, s) => n + s.images.length, 0)] },
    };
  }
  const parents: DicomJson = omitParents ? {} : { '0020000D': text('UI', study.uid) };
  if (level === 'SERIES') {
    return {
      ...base,
      ...parents,
      '00080060': text('CS', series!.modality),
      '0008103E': text('LO', series!.description),
      '0020000E': text('UI', series!.uid),
      '00200011': { vr: 'IS', Value: [series!.number] },
      '00201209': { vr: 'IS', Value: [series!.images.length] },
    };
  }
  return {
    ...base,
    ...parents,
    ...(omitParents ? {} : { '0020000E': text('UI', series!.uid) }),
    '00080016': text('UI', image!.sopClass),
    '00080018': text('UI', image!.uid),
    '00200013': { vr: 'IS', Value: [image!.number] },
  };
}

function objectOf(study: ScriptedStudy, series: ScriptedSeries, image: ScriptedImage, bulk: boolean): DicomJson {
  return {
    ...studyElements(study),
    '00080016': text('UI', image.sopClass),
    '00080018': text('UI', image.uid),
    '00080060': text('CS', series.modality),
    '0008103E': text('LO', series.description),
    '00080070': text('LO', 'SCRIPTED WORKS'),
    '0020000E': text('UI', series.uid),
    '00200011': { vr: 'IS', Value: [series.number] },
    '00200013': { vr: 'IS', Value: [image.number] },
    '00280010': { vr: 'US', Value: [64] },
    '00280011': { vr: 'US', Value: [64] },
    '00280100': { vr: 'US', Value: [16] },
    ...(bulk ? { '7FE00010': { vr: 'OW', InlineBinary: Buffer.alloc(8192).toString('base64') } } : {}),
  };
}
