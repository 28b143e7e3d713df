import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { StoredCopy } from '@archipelago/catalog-store';
import { pixelDigest, PixelError, PixelPool, type PixelDigest } from '@archipelago/dicom-pixel';
import { Logger } from '@archipelago/platform-service';
import { ObjectNotFoundError, type ObjectStore } from '@archipelago/platform-storage';
import { OBJECT_STORE } from './ingest.tokens';

/** Verdicts kept in memory: a transaction that is tried again does not decode again. */
const MOST_VERDICTS = 4_096;

/** Decides whether two stored datasets have the same pixel values, reading both by range. */
@Injectable()
export class PixelComparison implements OnApplicationShutdown {
  private readonly pool = new PixelPool();
  private readonly verdicts = new Map<string, boolean>();

  constructor(
    @Inject(OBJECT_STORE) private readonly store: ObjectStore,
    private readonly logger: Logger,
  ) {}

  /** False also where pixels cannot be decoded: what is not known to be the same is kept as different. */
  async equal(a: StoredCopy, b: StoredCopy): Promise<boolean> {
    const key = [a.wireDigest, b.wireDigest].sort().join(' ');
    const known = this.verdicts.get(key);
    if (known !== undefined) return known;
    const verdict = await this.compare(a, b);
    if (this.verdicts.size >= MOST_VERDICTS) this.verdicts.clear();
    this.verdicts.set(key, verdict);
    return verdict;
  }

  async onApplicationShutdown(): Promise<void> {
    await this.pool.close();
  }

  private async compare(a: StoredCopy, b: StoredCopy): Promise<boolean> {
    try {
      const first = await this.digest(a);
      const second = await this.digest(b);
      return first.basis === second.basis && first.sha256 === second.sha256;
    } catch (error) {
      if (!(error instanceof PixelError) && !(error instanceof ObjectNotFoundError)) throw error;
      this.logger.warn('pixels could not be compared: both are kept', { packId: a.packId, code: error.code });
      return false;
    }
  }

  private async digest(copy: StoredCopy): Promise<PixelDigest> {
    // a key of another store must never be looked up in this one
    if (copy.store !== this.store.name) throw new ObjectNotFoundError(copy.key);
    return pixelDigest(
      {
        transferSyntaxUid: copy.transferSyntaxUid,
        datasetLength: copy.datasetLength,
        read: (start, end) =>
          this.store.readRange(
            copy.key,
            copy.datasetOffset + start,
            copy.datasetOffset + Math.min(end, copy.datasetLength),
          ),
      },
      this.pool,
    );
  }
}
