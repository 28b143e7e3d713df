import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { ArchiveChanged, type ArchiveCommandV1, type ArchiveV1 } from '@archipelago/contracts';
import { Bus } from '@archipelago/platform-bus';
import {
  ARCHIPELAGO_CONFIG,
  type ArchipelagoConfig,
  type ArchiveConfig,
  isAeTitle,
  Logger,
  PermanentError,
  SITE,
} from '@archipelago/platform-service';
import { archiveOf, type ArchiveSettings, RegistryRepository } from './registry.repository';

type Change = Extract<ArchiveCommandV1, { action: 'change' }>['settings'];

/** The archives: from the site file, and from commands at run time. */
@Injectable()
export class RegistryService implements OnModuleInit {
  private readonly listeners = new Set<(name: string) => void>();

  constructor(
    private readonly repository: RegistryRepository,
    private readonly bus: Bus,
    private readonly logger: Logger,
    @Inject(ARCHIPELAGO_CONFIG) private readonly file: ArchipelagoConfig,
    @Inject(SITE) private readonly site: string,
  ) {}

  async onModuleInit(): Promise<void> {
    const changed = await this.repository.transaction(async (client) => {
      // replicas start together
      await client.query('LOCK TABLE archive IN SHARE ROW EXCLUSIVE MODE');
      const names: string[] = [];
      for (const [i, entry] of this.file.archives.entries()) {
        const settings = settingsOf(entry, this.site);
        const row = await this.repository.lock(client, entry.name);
        if (row && sameSettings(row.file_settings, settings)) continue;
        // what a command decided stays until the file says something new
        const state = row?.state === 'paused' ? 'paused' : 'active';
        await this.repository.put(client, entry.name, settings, { state, origin: 'file', position: i, forget: true });
        await this.repository.noteFile(client, entry.name, settings);
        names.push(entry.name);
      }
      for (const name of await this.repository.namesOfFile(client)) {
        if (this.file.archives.some((entry) => entry.name === name)) continue;
        // a file that was not found must not empty the catalog: removing is a command
        const row = await this.repository.lock(client, name);
        if (!row) continue;
        await this.repository.put(client, name, archiveOf(row), { state: 'paused' });
        this.logger.warn('archive is no longer in the site file: paused', { archive: name });
        names.push(name);
      }
      return names;
    });
    for (const name of changed) this.logger.info('archive taken from the site file', { archive: name });
  }

  onChange(listener: (name: string) => void): void {
    this.listeners.add(listener);
  }

  list(name?: string): Promise<ArchiveV1[]> {
    return this.repository.list(name);
  }

  /** Everything but a probe, which asks the archive. @throws PermanentError `archive-unknown`, `archive-exists`, ... */
  async command(command: Exclude<ArchiveCommandV1, { action: 'probe' }>): Promise<ArchiveV1> {
    const { name } = command;
    const archive = await this.repository.transaction(async (client) => {
      const row = await this.repository.lock(client, name);
      if (command.action === 'add') {
        if (row && row.state !== 'removed')
          throw new PermanentError('archive-exists', 'there is an archive of this name');
        checkAeTitles(command.settings);
        const state = { state: 'active', origin: 'command', forget: true } as const;
        return this.repository.put(client, name, command.settings, state);
      }
      if (!row || row.state === 'removed')
        throw new PermanentError('archive-unknown', 'there is no archive of this name');
      const now = archiveOf(row);
      if (command.action === 'harvest') {
        const { again, studies } = command;
        if (studies) await this.repository.wantStudies(client, name, studies);
        else await this.repository.want(client, name, again ? { again: true } : { harvest: true });
      }
      if (command.action === 'audit')
        await this.repository.want(client, name, { audit: command.full ? 'full' : 'sample' });
      if (command.action === 'harvest' || command.action === 'audit') {
        if (now.state !== 'active')
          throw new PermanentError('archive-paused', 'the archive is paused: resume it first');
        return now;
      }
      if (command.action === 'change') {
        const settings = changed(now, command.settings);
        checkAeTitles(settings);
        return this.repository.put(client, name, settings, { state: now.state, forget: elsewhere(now, settings) });
      }
      const state = { pause: 'paused', resume: 'active', remove: 'removed' } as const;
      return this.repository.put(client, name, now, { state: state[command.action] });
    });
    this.tell(archive);
    return archive;
  }

  async probed(
    name: string,
    capabilities: NonNullable<ArchiveV1['capabilities']>,
    error: string | undefined,
  ): Promise<ArchiveV1> {
    const archive = await this.repository.capabilities(name, capabilities, error);
    this.tell(archive);
    return archive;
  }

  private tell({ name, revision }: ArchiveV1): void {
    // who misses it asks again by itself
    this.bus.emit(ArchiveChanged, { name, revision }).catch(() => undefined);
    for (const listener of this.listeners) listener(name);
  }
}

export function settingsOf(entry: ArchiveConfig, site: string): ArchiveSettings {
  return {
    site: entry.site ?? site,
    aeTitle: entry.aeTitle,
    host: entry.host,
    port: entry.port,
    tls: entry.tls,
    issuer: entry.issuer,
    dicomWebUrl: entry.dicomWebUrl,
    depth: entry.harvest?.depth ?? 'full',
    fetchAeTitle: entry.fetchAeTitle,
    budget: entry.budget,
  };
}

function sameSettings(a: ArchiveSettings | null, b: ArchiveSettings): boolean {
  const canonical = (value: object): string =>
    JSON.stringify(
      Object.entries(value)
        .filter(([, each]) => each !== undefined)
        .map(([key, each]) => [key, typeof each === 'object' ? canonical(each as object) : (each as unknown)])
        .sort(([x], [y]) => (String(x) < String(y) ? -1 : 1)),
    );
  return a !== null && canonical(a) === canonical(b);
}

function changed(now: ArchiveV1, change: Change): ArchiveSettings {
  const { issuer, dicomWebUrl, budget, ...plain } = change;
  return {
    ...now,
    ...Object.fromEntries(Object.entries(plain).filter(([, value]) => value !== undefined)),
    issuer: issuer === undefined ? now.issuer : (issuer ?? undefined),
    dicomWebUrl: dicomWebUrl === undefined ? now.dicomWebUrl : (dicomWebUrl ?? undefined),
    budget: { ...now.budget, ...budget },
  };
}

/** Another place may be another archive: what it offers is found anew. */
function elsewhere(a: ArchiveSettings, b: ArchiveSettings): boolean {
  return a.host !== b.host || a.port !== b.port || a.aeTitle !== b.aeTitle || a.dicomWebUrl !== b.dicomWebUrl;
}

function checkAeTitles({ aeTitle, fetchAeTitle }: ArchiveSettings): void {
  if (!isAeTitle(aeTitle) || !isAeTitle(fetchAeTitle)) throw new PermanentError('archive-ae-title', 'not an AE title');
}
