import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { ArchiveChanged, ArchiveList, ArchiveV1Schema, type ArchiveV1 } from '@archipelago/contracts';
import { Bus, type BusSubscription } from '@archipelago/platform-bus';
import { Logger } from '@archipelago/platform-service';
import { z } from 'zod';
import { PeerAddresses } from '../association/peer-addresses';
import { plainAddress, sameAeTitle } from '../association/peers';
import { type EdgeConfig, edgeConfig, spoolDir } from '../edge.config';

const EVERY_MS = 60_000;
const ASK_MS = 3_000;

/**
 * The archives as the registry last said, kept in a file for when it cannot be asked: who sends to the fetch AE title
 * is known by it.
 */
@Injectable()
export class ArchiveDirectory implements OnModuleInit, OnApplicationShutdown {
  private archives: readonly ArchiveV1[] = [];
  private addresses = new PeerAddresses([]);
  private subscription: BusSubscription | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    @Inject(edgeConfig.KEY) private readonly config: EdgeConfig,
    private readonly bus: Bus,
    private readonly logger: Logger,
  ) {}

  async onModuleInit(): Promise<void> {
    await this.keep(await this.lastKnown());
    this.subscription = this.bus.subscribe(ArchiveChanged, {}, () => this.ask());
    this.bus.onConnect(() => void this.ask());
    this.timer = setInterval(() => void this.ask(), EVERY_MS);
    this.timer.unref();
  }

  onApplicationShutdown(): void {
    this.subscription?.unsubscribe();
    clearInterval(this.timer);
    this.addresses.stop();
  }

  /** AE titles that archives send to when we have them move something. */
  fetchAeTitles(): string[] {
    return this.archives.map((archive) => archive.fetchAeTitle);
  }

  /** The archive behind an association to a fetch AE title: its AE title, from its host. */
  caller(called: string, calling: string, remoteAddress: string): ArchiveV1 | undefined {
    const from = plainAddress(remoteAddress);
    return this.archives.find(
      (archive) =>
        sameAeTitle(archive.fetchAeTitle, called) &&
        sameAeTitle(archive.aeTitle, calling) &&
        this.addresses.of(archive.host).some((address) => plainAddress(address) === from),
    );
  }

  private async ask(): Promise<void> {
    try {
      const { archives } = await this.bus.request(ArchiveList, {}, { timeoutMs: ASK_MS });
      await this.keep(archives);
      const path = this.path();
      await writeFile(`${path}.new`, JSON.stringify(archives), { mode: 0o640 });
      await rename(`${path}.new`, path);
    } catch (error) {
      this.logger.debug('the list of archives could not be had, going on with the last one', { err: error });
    }
  }

  private async keep(archives: readonly ArchiveV1[]): Promise<void> {
    const before = this.addresses;
    const hosts = archives.map((archive) => archive.host);
    if (JSON.stringify(hosts) !== JSON.stringify(this.archives.map((archive) => archive.host))) {
      const next = new PeerAddresses(hosts);
      await next.start();
      this.addresses = next;
      before.stop();
    }
    this.archives = archives;
  }

  private async lastKnown(): Promise<ArchiveV1[]> {
    try {
      return z.array(ArchiveV1Schema).parse(JSON.parse(await readFile(this.path(), 'utf8')));
    } catch {
      return [];
    }
  }

  private path(): string {
    return join(spoolDir(this.config), 'archives.json');
  }
}
