import { Inject, Injectable } from '@nestjs/common';
import { QueryRunner, readArchives, type ArchiveState } from '@archipelago/catalog-store';
import { ARCHIPELAGO_CONFIG, type ArchipelagoConfig } from '@archipelago/platform-service';

/** So long a state is taken for the present one, in milliseconds: every page of every answer needs it. */
const FRESH_MS = 1_000;

/** What is known of the archives, read at most once a second. */
@Injectable()
export class ArchiveStates {
  private readonly configured: readonly string[];
  private read: { at: number; states: Promise<ArchiveState[]> } | undefined;

  constructor(
    private readonly runner: QueryRunner,
    @Inject(ARCHIPELAGO_CONFIG) config: ArchipelagoConfig,
  ) {
    this.configured = config.archives.map((archive) => archive.name);
  }

  /** @throws as `readArchives`; a failure is not kept */
  async now(): Promise<ArchiveState[]> {
    const known = this.read;
    if (known && performance.now() - known.at < FRESH_MS) return known.states;
    const states = readArchives(this.runner, this.configured);
    const read = { at: performance.now(), states };
    this.read = read;
    try {
      return await states;
    } catch (error) {
      if (this.read === read) this.read = undefined;
      throw error;
    }
  }
}
