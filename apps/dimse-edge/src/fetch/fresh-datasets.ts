import { Injectable } from '@nestjs/common';
import type { HeldDataset } from '@archipelago/pack';

/** Bytes in all, beside what readers hold of it: a study of some hundred CT slices. */
const MOST_BYTES = 64 * 1024 * 1024;

type Place = { packId: string; datasetOffset: number };

const keyOf = ({ packId, datasetOffset }: Place): string => `${packId}:${datasetOffset}`;

/**
 * Datasets that have just arrived from an archive, still in memory: whoever waits for them need not read them back and
 * compare digests again. The oldest goes first; then, as for a slow reader, they are in the segment.
 */
@Injectable()
export class FreshDatasets {
  private readonly held = new Map<string, HeldDataset>();
  private bytes = 0;
  /** Packs to which an object that has arrived is still being written; one at a time each. */
  private readonly writing = new Map<string, Promise<unknown>>();

  add(place: Place, dataset: HeldDataset): void {
    this.held.set(keyOf(place), dataset);
    this.bytes += dataset.bytes;
    for (const [key, oldest] of this.held) {
      if (this.bytes <= MOST_BYTES) return;
      this.remove(key, oldest);
    }
  }

  /** For one reader, who releases it. */
  take(place: Place): HeldDataset | undefined {
    return this.held.get(keyOf(place))?.use();
  }

  drop(place: Place): void {
    const key = keyOf(place);
    const dataset = this.held.get(key);
    if (dataset) this.remove(key, dataset);
  }

  /** An object of the pack has arrived, and will be in the file when this settles. */
  beingWritten(packId: string, written: Promise<unknown>): void {
    const settled = written.then(
      () => undefined,
      () => undefined,
    );
    this.writing.set(packId, settled);
    void settled.then(() => {
      if (this.writing.get(packId) === settled) this.writing.delete(packId);
    });
  }

  /** To be awaited before the file is read: all that has arrived is in it then. */
  written(packId: string): Promise<unknown> | undefined {
    return this.writing.get(packId);
  }

  private remove(key: string, dataset: HeldDataset): void {
    this.held.delete(key);
    this.bytes -= dataset.bytes;
    dataset.release();
  }
}
