import { inflateRawSync, constants } from 'node:zlib';
import { transferSyntax } from '@archipelago/dicom-core';
import { DatasetError, Tokenizer, type TokenSink } from '@archipelago/dicom-encoding';

export interface FileIdentity {
  sopClassUid: string;
  sopInstanceUid: string;
}

const SOP_CLASS_UID = 0x00080016;
const SOP_INSTANCE_UID = 0x00080018;
const MAX_UID_BYTES = 66;
const MAX_DEPTH = 64;
/** Of a deflated dataset only its beginning is looked at: so many bytes in, and at most so many out. */
const DEFLATED_BYTES = 64 * 1024;
const INFLATED_BYTES = 128 * 1024 * 1024;

/** Keeps the two UIDs of the dataset itself; those inside of sequences name other objects. */
class IdentitySink implements TokenSink {
  readonly found = new Map<number, string>();
  private depth = 0;
  private tag = 0;
  private text = '';

  element(tag: number): void {
    const wanted = this.depth === 0 && (tag === SOP_CLASS_UID || tag === SOP_INSTANCE_UID) && !this.found.has(tag);
    this.tag = wanted ? tag : 0;
    this.text = '';
  }
  value(bytes: Buffer, start: number, end: number): void {
    if (this.tag !== 0) this.text += bytes.toString('latin1', start, Math.min(end, start + MAX_UID_BYTES));
  }
  endElement(): void {
    if (this.tag !== 0) this.found.set(this.tag, this.text.replace(/[\0 ]+$/, '').trim());
    this.tag = 0;
  }
  startSequence(): void {
    this.depth++;
  }
  endSequence(): void {
    this.depth--;
  }
  startItem(): void {}
  endItem(): void {}
  startEncapsulated(): void {
    this.tag = 0;
  }
  startFragment(): void {}
  endFragment(): void {}
  endEncapsulated(): void {}
}

function inflated(bytes: Buffer): Buffer {
  const options = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: INFLATED_BYTES };
  return inflateRawSync(bytes.subarray(0, DEFLATED_BYTES), options);
}

/**
 * What the C-STORE command must name (PS3.4 B.2.1: the UIDs of the instance that is sent): the dataset's own, of its
 * first bytes; the meta information's where the dataset has none there or cannot be read.
 */
export function identityOf(datasetBytes: Buffer, transferSyntaxUid: string, meta: FileIdentity): FileIdentity {
  const sink = new IdentitySink();
  try {
    const { deflated } = transferSyntax(transferSyntaxUid);
    new Tokenizer(sink, transferSyntaxUid, MAX_DEPTH).push(deflated ? inflated(datasetBytes) : datasetBytes);
  } catch (error) {
    // the archive says what is wrong with the dataset; zlib's errors carry a code
    if (!(error instanceof DatasetError) && (error as { code?: string }).code === undefined) throw error;
  }
  return {
    sopClassUid: sink.found.get(SOP_CLASS_UID) || meta.sopClassUid,
    sopInstanceUid: sink.found.get(SOP_INSTANCE_UID) || meta.sopInstanceUid,
  };
}
