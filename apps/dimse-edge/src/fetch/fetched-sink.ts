/** Receives one object that an archive sends because we asked for it: into the fetch's own segment, checked as it comes. */
import type { ArchiveV1, ArrivedCopyV1 } from '@archipelago/contracts';
import { HeaderReader, type HeaderResult } from '@archipelago/dicom-encoding';
import type { DimseStatus, StoreRequest, StoreSink } from '@archipelago/dimse';
import type { AssociationSegments, EntryWriter, HeldDataset, PackEntry } from '@archipelago/pack';
import { checkDataset, trimUid } from '../store/store-checks';

/** PS3.4 table B.2-1: cannot understand; PS3.7 annex C: processing failure. */
const NOT_ASKED_FOR: DimseStatus = { status: 0xc000, errorComment: 'object of another study than was asked for' };
const UNREADABLE: DimseStatus = { status: 0xc000, errorComment: 'data set cannot be read' };

export interface FetchedSinkOptions {
  segments: AssociationSegments;
  archive: ArchiveV1;
  /** The study asked for: an archive that sends objects of another one is not believed. */
  study: string;
  site: string;
  calledAeTitle: string;
  /** It is whole in memory and can be handed on; `held` is the receiver's to release. */
  onArrived(entry: ArrivedEntry, header: HeaderResult, packId: string, held: HeldDataset | null): void;
  /** It is on its way to the file until this settles; told before it is told to have arrived. */
  onWriting(packId: string, written: Promise<unknown>): void;
  /** It could not be written after it had arrived: who reads it from the segment will not find it. */
  onLost(error: Error): void;
  onRefused(code: string): void;
}

/** What is known of an entry when it has arrived. */
export type ArrivedEntry = Pick<
  PackEntry,
  'sopInstanceUid' | 'sopClassUid' | 'transferSyntaxUid' | 'datasetOffset' | 'datasetLength' | 'wireDigest'
>;

export async function fetchedSink(request: StoreRequest, options: FetchedSinkOptions): Promise<StoreSink> {
  const { archive, site, calledAeTitle, segments } = options;
  const entry = await segments.begin({
    origin: 'fetched',
    source: archive.name,
    callingAeTitle: archive.aeTitle,
    calledAeTitle,
    remoteAddress: archive.host,
    site,
    receivedAt: new Date().toISOString(),
    sopClassUid: trimUid(request.sopClassUid),
    sopInstanceUid: trimUid(request.sopInstanceUid),
    transferSyntaxUid: request.context.transferSyntax,
    warnings: [],
  });
  return new FetchedSink(entry, request, options);
}

class FetchedSink implements StoreSink {
  private readonly reader: HeaderReader;
  private failure: DimseStatus | undefined;

  constructor(
    private readonly entry: EntryWriter,
    private readonly request: StoreRequest,
    private readonly options: FetchedSinkOptions,
  ) {
    this.reader = new HeaderReader(request.context.transferSyntax);
  }

  write(chunk: Buffer): void | Promise<void> {
    if (this.failure) return;
    try {
      this.reader.push(chunk);
    } catch {
      this.failure = UNREADABLE;
      return;
    }
    return this.entry.write(chunk);
  }

  async end(): Promise<DimseStatus> {
    const header = this.failure ? undefined : this.header();
    if (!header) {
      await this.entry.rollback();
      this.options.onRefused(this.failure === NOT_ASKED_FOR ? 'other-study' : 'unreadable');
      return this.failure ?? UNREADABLE;
    }
    await this.hand(header);
    return { status: 0 };
  }

  /** The archive keeps what it sends: it is answered, and goes on, while we write. */
  private async hand(header: HeaderResult): Promise<void> {
    const { entry, request, options } = this;
    try {
      const { held, written, ...place } = entry.hand(header);
      options.onWriting(entry.packId, written);
      written.catch((error: Error) => options.onLost(error));
      const arrived = {
        ...place,
        sopInstanceUid: trimUid(request.sopInstanceUid),
        sopClassUid: trimUid(request.sopClassUid),
        transferSyntaxUid: request.context.transferSyntax,
      };
      options.onArrived(arrived, header, entry.packId, held);
    } catch (error) {
      await entry.rollback();
      throw error;
    }
  }

  abort(): void {
    void this.entry.rollback().catch(() => undefined);
  }

  private header(): HeaderResult | undefined {
    try {
      const header = this.reader.end();
      const { sopClassUid, sopInstanceUid, context } = this.request;
      const wrong = checkDataset({ sopClassUid, sopInstanceUid, abstractSyntax: context.abstractSyntax }, header);
      if (wrong) this.failure = UNREADABLE;
      else if (trimUid(header.studyInstanceUid) !== this.options.study) this.failure = NOT_ASKED_FOR;
      return this.failure ? undefined : header;
    } catch {
      this.failure = UNREADABLE;
      return undefined;
    }
  }
}

/** Where an entry lies, for whoever follows. */
export function arrivedCopy(
  entry: ArrivedEntry,
  header: HeaderResult,
  at: { packId: string; edgeId: string; url: string },
): ArrivedCopyV1 {
  return {
    sopInstanceUid: entry.sopInstanceUid,
    sopClassUid: entry.sopClassUid,
    studyInstanceUid: trimUid(header.studyInstanceUid),
    seriesInstanceUid: trimUid(header.seriesInstanceUid),
    packId: at.packId,
    edgeId: at.edgeId,
    url: at.url,
    datasetOffset: entry.datasetOffset,
    datasetLength: entry.datasetLength,
    transferSyntaxUid: entry.transferSyntaxUid,
    wireDigest: entry.wireDigest,
  };
}
