/** `full`: whole headers without pixels, by the way that the archive offers. */
import type { AnswerPart, ArchiveTaskOrder } from '@archipelago/contracts';
import { EXPLICIT_VR_LE, type DicomJson } from '@archipelago/dicom-core';
import { HeaderReader, readHeader, writeDataset } from '@archipelago/dicom-encoding';
import { type StoreRequest, type StoreSink, statusKind } from '@archipelago/dimse';
import { TransientError } from '@archipelago/platform-service';
import { ArchiveUnavailableError } from '../archives/archive-errors';
import { judgeUid } from '../store/store-checks';
import type { LeftOutReason } from './answer-check';
import { type Answer, digestOf, explicit, type HarvestWriter } from './harvest-writer';
import { GET_WITHOUT_BULK, STUDY_ROOT_GET } from './query-keys';
import { abortable, failedPart, NATIVE, newPart, type PartsOf, type TaskContext } from './task-context';

type FullOrder = Extract<ArchiveTaskOrder, { kind: 'full' }>;

/** Syntaxes that archives keep images in: one context for each, so that nothing has to be transcoded for us. */
const SYNTAXES = [
  ...NATIVE,
  '1.2.840.10008.1.2.4.50',
  '1.2.840.10008.1.2.4.51',
  '1.2.840.10008.1.2.4.57',
  '1.2.840.10008.1.2.4.70',
  '1.2.840.10008.1.2.4.80',
  '1.2.840.10008.1.2.4.81',
  '1.2.840.10008.1.2.4.90',
  '1.2.840.10008.1.2.4.91',
  '1.2.840.10008.1.2.5',
  '1.2.840.10008.1.2.4.102',
];
const CLASSES_AT_ONCE = Math.floor(127 / SYNTAXES.length);
/** A study's metadata as JSON: more than any study of headers has. */
const MAX_JSON_BYTES = 256 * 1024 * 1024;

export function fullTask(order: FullOrder): PartsOf {
  return async (context) => {
    const parts: AnswerPart[] = [];
    const writer = context.writer();
    const end = Date.now() + order.deadlineMs;
    for (const { study, sopClasses } of order.studies) {
      if (Date.now() > end) break;
      const part = newPart(study);
      parts.push(part);
      const { signal, abort } = abortable(context.signal);
      const timer = setTimeout(abort, end - Date.now());
      try {
        const run: FullRun = { context, writer, study, part, signal };
        if (order.method === 'wado') await byMetadata(run);
        else await byGet(run, order.method === 'get-without-bulk', sopClasses);
      } catch (error) {
        context.signal.throwIfAborted();
        if (signal.aborted) part.end = 'deadline';
        else failedPart(part, error);
      } finally {
        clearTimeout(timer);
      }
      if (part.end === 'failed') break;
    }
    return { parts };
  };
}

interface FullRun {
  context: TaskContext;
  writer: HarvestWriter;
  study: string;
  part: AnswerPart;
  signal: AbortSignal;
}

/** A header that is what it says, of the study that was asked for, once. */
async function take(run: FullRun, answer: Answer, seen: Set<string>): Promise<void> {
  const { part, writer, study, context } = run;
  const { sopInstanceUid, sopClassUid, studyInstanceUid, seriesInstanceUid } = answer.header;
  const bad = [sopInstanceUid, sopClassUid, seriesInstanceUid].some((uid) =>
    ['empty', 'invalid'].includes(judgeUid(uid)),
  );
  part.answers++;
  const reason: LeftOutReason | undefined = bad
    ? 'bad-uid'
    : studyInstanceUid !== study
      ? 'foreign'
      : seen.has(sopInstanceUid)
        ? 'duplicate'
        : undefined;
  context.answered(reason ?? 'kept', 1);
  if (reason) {
    part.leftOut[reason] = (part.leftOut[reason] ?? 0) + 1;
    return;
  }
  seen.add(sopInstanceUid);
  await writer.write(answer, 'full', sopInstanceUid, sopClassUid);
  part.items.push({ uid: sopInstanceUid, digest: digestOf(answer), parent: seriesInstanceUid, sopClass: sopClassUid });
}

/** PS3.4 Z and C.4.3: C-GET of a study; what comes passes through the header reader and goes no further. */
async function byGet(run: FullRun, withoutBulk: boolean, sopClasses: readonly string[]): Promise<void> {
  const { part } = run;
  const seen = new Set<string>();
  const sopClass = withoutBulk ? GET_WITHOUT_BULK : STUDY_ROOT_GET;
  const batches = [];
  for (let at = 0; at < Math.max(1, sopClasses.length); at += CLASSES_AT_ONCE)
    batches.push(sopClasses.slice(at, at + CLASSES_AT_ONCE));
  let failed = 0;
  for (const batch of batches) failed += await getOnce(run, sopClass, batch, seen);
  part.status = failed > 0 ? 0xb000 : 0;
  // of several batches each fails what belongs to the others: whether all came is seen by the counts
  part.end = failed > 0 && batches.length === 1 ? 'status' : 'complete';
}

async function getOnce(run: FullRun, sopClass: string, classes: readonly string[], seen: Set<string>): Promise<number> {
  const { context, study, signal } = run;
  const syntaxes = sopClass === GET_WITHOUT_BULK ? NATIVE : SYNTAXES;
  const contexts = [
    { abstractSyntax: sopClass, transferSyntaxes: NATIVE },
    ...classes.flatMap((abstractSyntax) => syntaxes.map((ts) => ({ abstractSyntax, transferSyntaxes: [ts] }))),
  ];
  let trouble: unknown;
  const options = {
    contexts,
    roles: classes.map((sopClassUid) => ({ sopClassUid, scuRole: false, scpRole: true })),
    onStore: (request: StoreRequest) => new DroppingSink(run, request, seen, (error) => (trouble ??= error)),
    signal,
  };
  return context.connections.use(
    context.archive,
    'harvest',
    async (association) => {
      const accepted = association.contexts.find((c) => c.abstractSyntax === sopClass);
      if (!accepted) throw new ArchiveUnavailableError('archive-protocol', 'the archive offers no C-GET now');
      const request = writeDataset(
        {
          '00080052': { vr: 'CS', Value: ['STUDY'] },
          '0020000D': { vr: 'UI', Value: [study] },
        },
        accepted.transferSyntax,
      );
      let failed = 0;
      for await (const { status, counts } of association.get(sopClass, request, signal)) {
        if (statusKind(status) === 'pending') continue;
        failed = counts.failed;
        if (statusKind(status) === 'failure') Object.assign(run.part, { status, end: 'status' });
      }
      if (trouble) throw trouble;
      return failed;
    },
    options,
  );
}

/** Takes an object, keeps its header, lets its pixels go by: within the archive's byte budget. */
class DroppingSink implements StoreSink {
  private readonly reader: HeaderReader;
  private error: unknown;

  constructor(
    private readonly run: FullRun,
    request: StoreRequest,
    private readonly seen: Set<string>,
    private readonly report: (error: unknown) => void,
  ) {
    this.reader = new HeaderReader(request.context.transferSyntax);
  }

  write(chunk: Buffer): Promise<void> | void {
    const { context, signal } = this.run;
    context.read(chunk.length);
    if (this.error === undefined) {
      try {
        this.reader.push(chunk);
      } catch (error) {
        this.error = error;
      }
    }
    if (context.archive.budget.harvestBytesPerSecond > 0)
      return context.connections.harvestBytes(context.archive, chunk.length, signal);
  }

  async end(): Promise<{ status: number }> {
    const { run } = this;
    try {
      if (this.error !== undefined) throw this.error;
      await take(run, explicit(this.reader.end().header), this.seen);
      return { status: 0 };
    } catch (error) {
      if ((error as { name?: string }).name === 'DatasetError') {
        run.part.leftOut['unparsable'] = (run.part.leftOut['unparsable'] ?? 0) + 1;
        return { status: 0xc000 };
      }
      // our disk: the task fails, and says why
      this.report(error);
      return { status: 0xa700 };
    }
  }

  abort(): void {
    // the association's end is what the caller hears
  }
}

/** PS3.18 10.4.1.1.5: RetrieveStudyMetadata. */
async function byMetadata(run: FullRun): Promise<void> {
  const { context, study, part, signal } = run;
  const { archive, connections } = context;
  const seen = new Set<string>();
  const objects = await connections.guard(
    archive,
    'harvest',
    async () => {
      const url = `${archive.dicomWebUrl?.replace(/\/$/, '')}/studies/${encodeURIComponent(study)}/metadata`;
      return metadata(url, signal, async (bytes) => {
        context.read(bytes);
        await connections.harvestBytes(archive, bytes, signal);
      });
    },
    { signal },
  );
  for (const json of objects) {
    let answer: Answer;
    try {
      answer = explicit(asCanonical(writeDataset(withoutBulk(json), EXPLICIT_VR_LE)));
    } catch {
      part.leftOut['unparsable'] = (part.leftOut['unparsable'] ?? 0) + 1;
      continue;
    }
    await take(run, answer, seen);
  }
  part.status = 0;
  part.end = 'complete';
}

function asCanonical(dataset: Buffer): Buffer {
  const reader = new HeaderReader(EXPLICIT_VR_LE);
  reader.push(dataset);
  const { header } = reader.end();
  // looked at once: what cannot be read back is left out, not written
  readHeader(header).tags();
  return header;
}

async function metadata(
  url: string,
  signal: AbortSignal,
  passed: (bytes: number) => Promise<void>,
): Promise<DicomJson[]> {
  let response: Response;
  try {
    response = await fetch(url, { headers: { accept: 'application/dicom+json' }, signal, redirect: 'error' });
  } catch (error) {
    throw new ArchiveUnavailableError('archive-unreachable', 'the DICOMweb server cannot be reached', { cause: error });
  }
  if (!response.ok || !response.body) {
    await response.body?.cancel();
    if (response.status >= 500 || response.status === 429)
      throw new ArchiveUnavailableError('archive-refused', `DICOMweb answers ${response.status}`);
    throw new TransientError('dicomweb-status', `DICOMweb answers ${response.status}`);
  }
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      length += chunk.length;
      if (length > MAX_JSON_BYTES)
        throw new ArchiveUnavailableError('archive-protocol', 'metadata of a study too large');
      await passed(chunk.length);
      chunks.push(Buffer.from(chunk));
    }
    const json: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    if (!Array.isArray(json)) throw new Error('not a list');
    return json as DicomJson[];
  } catch (error) {
    if (error instanceof ArchiveUnavailableError) throw error;
    throw new ArchiveUnavailableError('archive-protocol', 'metadata cannot be read', { cause: error });
  }
}

/** References to bulk data go, their elements stay empty; binary values over 4 KiB too. */
function withoutBulk(json: DicomJson): DicomJson {
  const result: DicomJson = {};
  for (const [tag, element] of Object.entries(json)) {
    // group 2 is the file's, not the data set's
    if (tag.startsWith('0002')) continue;
    const { vr, BulkDataURI, InlineBinary, Value } = element;
    if (BulkDataURI !== undefined || (InlineBinary?.length ?? 0) > 5_500) result[tag] = { vr };
    else if (vr === 'SQ')
      result[tag] = { vr, Value: ((Value ?? []) as DicomJson[]).map((item) => withoutBulk(item ?? {})) };
    else result[tag] = element;
  }
  return result;
}
