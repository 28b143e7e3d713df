/**
 * Pack digest: SHA-256 over a label and the pack's bytes up to the digest's own place in the footer, with each dataset
 * replaced by its wire digest. The index, which says where the datasets lie, is among the bytes covered, so two packs
 * with one digest have the same layout, the same datasets and the same everything else. It costs one pass over the
 * bytes at most; the writer, which has the datasets' digests already, pays for the few bytes between them only.
 */
import { createHash, type Hash } from 'node:crypto';
import { datasetHash, type DatasetHash } from './dataset-hash';
import { PackFormatError } from './errors';
import { FOOTER_BYTES, FOOTER_DIGESTED } from './format';
import type { PackIndex } from './api';

const LABEL = 'archipelago pack digest 2\n';

/** A fresh hash with the label in it: feed record, (meta, dataset digest, trailer) per entry, tail, footer start. */
export function packHash(): Hash {
  return createHash('sha256').update(LABEL);
}

/** Where datasets lie in a pack: what must be known to compute its digest from a stream. */
export interface PackLayout {
  size: number;
  datasets: readonly { offset: number; length: number }[];
}

export function layoutOf(index: PackIndex, size: number): PackLayout {
  return { size, datasets: index.entries.map((e) => ({ offset: e.datasetOffset, length: e.datasetLength })) };
}

/** Takes the pack's bytes in order and gives its digest, hex. */
export class PackDigester {
  private readonly outer = packHash();
  private inner: DatasetHash | null = null;
  private next = 0;
  private position = 0;
  /** Hex wire digest of each dataset that has gone by. */
  readonly datasetDigests: string[] = [];

  constructor(private readonly layout: PackLayout) {
    this.enterDatasets();
  }

  update(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0) {
      const boundary = this.boundary();
      if (boundary <= this.position) throw new PackFormatError('more bytes than the pack has');
      const piece = rest.subarray(0, Math.min(rest.length, boundary - this.position));
      this.consume(piece);
      rest = rest.subarray(piece.length);
    }
  }

  /** @throws PackFormatError when bytes are missing */
  digest(): string {
    if (this.position !== this.layout.size) throw new PackFormatError('fewer bytes than the pack has');
    return this.outer.digest('hex');
  }

  private get covered(): number {
    return this.layout.size - FOOTER_BYTES + FOOTER_DIGESTED;
  }

  private boundary(): number {
    const dataset = this.layout.datasets[this.next];
    if (this.inner) return dataset!.offset + dataset!.length;
    if (dataset) return dataset.offset;
    return this.position < this.covered ? this.covered : this.layout.size;
  }

  private consume(piece: Buffer): void {
    if (this.inner) this.inner.update(piece);
    else if (this.position < this.covered) this.outer.update(piece);
    this.position += piece.length;
    this.enterDatasets();
  }

  /** Opens and closes datasets at the present position; empty ones too. */
  private enterDatasets(): void {
    for (;;) {
      const dataset = this.layout.datasets[this.next];
      if (!dataset) return;
      if (!this.inner) {
        if (dataset.offset !== this.position) return;
        this.inner = datasetHash();
      }
      if (dataset.offset + dataset.length !== this.position) return;
      const digest = this.inner.digest();
      this.outer.update(digest);
      this.datasetDigests.push(digest.toString('hex'));
      this.inner = null;
      this.next += 1;
    }
  }
}

/** For a store's read-back comparison: computes the pack digest from a stream of bytes that should be this pack. */
export function packDigester(layout: PackLayout): (stream: AsyncIterable<Buffer>) => Promise<string> {
  return async (stream) => {
    const digester = new PackDigester(layout);
    for await (const chunk of stream) digester.update(chunk);
    return digester.digest();
  };
}
