import { Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { ArchiveChanged, ArchiveList, type ArchiveV1 } from '@archipelago/contracts';
import { Bus, type BusSubscription } from '@archipelago/platform-bus';

const KEPT_MS = 30_000;
const ASK_MS = 3_000;

/** The archives as the registry knows them. */
@Injectable()
export class ArchivesService implements OnModuleInit, OnApplicationShutdown {
  private archives: Promise<ReadonlyMap<string, ArchiveV1>> | undefined;
  private last: ReadonlyMap<string, ArchiveV1> | undefined;
  private until = 0;
  private subscription: BusSubscription | undefined;

  constructor(private readonly bus: Bus) {}

  onModuleInit(): void {
    this.subscription = this.bus.subscribe(ArchiveChanged, {}, () => void (this.until = 0));
  }

  onApplicationShutdown(): void {
    this.subscription?.unsubscribe();
  }

  /** By name. While the registry is away, as it last was. @throws TransientError when it never answered */
  all(): Promise<ReadonlyMap<string, ArchiveV1>> {
    if (this.archives && Date.now() < this.until) return this.archives;
    this.until = Date.now() + KEPT_MS;
    this.archives = this.ask().catch((error: unknown) => {
      this.until = 0;
      if (this.last) return this.last;
      throw error;
    });
    return this.archives;
  }

  private async ask(): Promise<ReadonlyMap<string, ArchiveV1>> {
    const { archives } = await this.bus.request(ArchiveList, {}, { timeoutMs: ASK_MS });
    this.last = new Map(archives.map((archive) => [archive.name, archive]));
    return this.last;
  }
}
