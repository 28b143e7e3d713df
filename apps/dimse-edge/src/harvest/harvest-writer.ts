/** Entries of harvest packs: what an archive said, on the way that images take (ADR 0019). */
import { EXPLICIT_VR_LE } from '@archipelago/dicom-core';
import { HeaderReader, readHeader, writeDataset, type HeaderResult } from '@archipelago/dicom-encoding';
import type { AssociationSegments, EntryContext, HarvestLevel } from '@archipelago/pack';
import { TransientError } from '@archipelago/platform-service';

/** An answer as Explicit VR Little Endian with what its reader knows. */
export interface Answer {
  bytes: Buffer;
  header: HeaderResult;
}

export function readAnswer(bytes: Buffer, transferSyntaxUid: string): Answer {
  const header = read(bytes, transferSyntaxUid);
  if (transferSyntaxUid === EXPLICIT_VR_LE) return { bytes, header };
  // the canonical header is Explicit VR LE, and with values of any length it is the whole answer
  const whole = new HeaderReader(transferSyntaxUid, { leftOutOver: Infinity });
  whole.push(bytes);
  return explicit(whole.end().header);
}

/** A header without its bulk values as a data set of its own. */
export function explicit(canonical: Buffer): Answer {
  return { bytes: canonical, header: read(canonical, EXPLICIT_VR_LE) };
}

/** The answer with UIDs that the archive left out. */
export function withUids(
  answer: Answer,
  add: Record<'StudyInstanceUID' | 'SeriesInstanceUID' | string, string>,
): Answer {
  const json = readHeader(answer.header.header).toDicomJson();
  if (add['StudyInstanceUID']) json['0020000D'] = { vr: 'UI', Value: [add['StudyInstanceUID']] };
  if (add['SeriesInstanceUID']) json['0020000E'] = { vr: 'UI', Value: [add['SeriesInstanceUID']] };
  return explicit(writeDataset(json, EXPLICIT_VR_LE));
}

function read(bytes: Buffer, transferSyntaxUid: string): HeaderResult {
  const reader = new HeaderReader(transferSyntaxUid);
  reader.push(bytes);
  return reader.end();
}

export function digestOf({ header }: Answer): string {
  return header.headerDigest.subarray(0, 6).toString('hex');
}

export interface WriterOptions {
  archive: { name: string; aeTitle: string; host: string };
  site: string;
  /** Our own AE title: that asked. */
  aeTitle: string;
  segments(events: { onSealed(packId: string): void; onSealFailed(): void }): AssociationSegments;
}

export class HarvestWriter {
  readonly packs: string[] = [];
  bytes = 0;
  private readonly segments: AssociationSegments;
  private sealFailed = false;
  /** Entries follow each other: sub-operations of a C-GET may come close together. */
  private turn: Promise<unknown> = Promise.resolve();

  constructor(private readonly options: WriterOptions) {
    this.segments = options.segments({
      onSealed: (packId) => this.packs.push(packId),
      onSealFailed: () => (this.sealFailed = true),
    });
  }

  /** Resolves when it is on disk. @throws SpoolFullError, SegmentPoisonedError */
  write(answer: Answer, harvest: HarvestLevel, uid: string, sopClassUid: string): Promise<void> {
    const next = this.turn.then(() => this.append(answer, harvest, uid, sopClassUid));
    this.turn = next.catch(() => undefined);
    return next;
  }

  private async append(answer: Answer, harvest: HarvestLevel, uid: string, sopClassUid: string): Promise<void> {
    const { archive, site, aeTitle } = this.options;
    const context: EntryContext = {
      origin: 'fetched',
      source: archive.name,
      callingAeTitle: archive.aeTitle,
      calledAeTitle: aeTitle,
      remoteAddress: archive.host,
      site,
      receivedAt: new Date().toISOString(),
      sopClassUid,
      sopInstanceUid: uid,
      transferSyntaxUid: EXPLICIT_VR_LE,
      harvest,
      warnings: [],
    };
    const entry = await this.segments.begin(context);
    try {
      await entry.write(answer.bytes);
    } catch (error) {
      await entry.rollback();
      throw error;
    }
    await entry.commit(answer.header);
    this.bytes += answer.bytes.length;
  }

  /**
   * Seals what is open; then `packs` are all.
   * @throws TransientError when a segment could not be sealed: what was written comes later, under a pack unknown here
   */
  async close(): Promise<void> {
    await this.turn;
    await this.segments.close();
    if (this.sealFailed) throw new TransientError('harvest-not-sealed', 'a segment of the harvest could not be sealed');
  }
}
