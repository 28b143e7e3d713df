import { Inject, Injectable } from '@nestjs/common';
import { configuredAttributes, DEFAULT_IDENTITY_RULES, type IdentityRules } from '@archipelago/catalog-model';
import { archiveRegistry, type RegisteredArchive } from '@archipelago/catalog-store';
import { ARCHIPELAGO_CONFIG, type ArchipelagoConfig } from '@archipelago/platform-service';
import type { SqlClient } from '@archipelago/platform-storage';

/**
 * How rows come about, the same for packs, commands and the rebuild: from the site file, and of archives from the registry
 * (tag-replication's table `archive`), which commands change while we run. Where that is not there, the site file's archives.
 */
@Injectable()
export class CatalogRules {
  readonly identity: IdentityRules;
  readonly attributes;
  private registry: readonly RegisteredArchive[];

  constructor(@Inject(ARCHIPELAGO_CONFIG) private readonly config: ArchipelagoConfig) {
    this.identity = { sharedPatientIds: [...DEFAULT_IDENTITY_RULES.sharedPatientIds, ...config.sharedPatientIds] };
    this.attributes = configuredAttributes(config.queryAttributes);
    this.registry = config.archives.map(({ name, issuer }) => ({ name, issuer: issuer ?? null }));
  }

  /**
   * Reads the archives again, in the transaction that will use them: under another issuer than the archive's, an answer of it
   * would be taken for another patient's.
   */
  async refresh(client: SqlClient): Promise<void> {
    const registered = await archiveRegistry(client);
    const known = new Set(registered.map((one) => one.name));
    const configured = this.config.archives.filter(({ name }) => !known.has(name));
    this.registry = [...registered, ...configured.map(({ name, issuer }) => ({ name, issuer: issuer ?? null }))];
  }

  /** Names of the archives, the first one's answers win. */
  get archives(): readonly string[] {
    return this.registry.map((archive) => archive.name);
  }

  /** Assigning authority of ids that the object does not qualify: of the archive it came from, else of its sender. */
  issuerOf(source: string, callingAeTitle: string): string {
    const archive = this.registry.find((one) => one.name === source);
    const peer = this.config.peers.find((one) => one.aeTitle === callingAeTitle);
    return archive?.issuer ?? peer?.issuer ?? this.config.issuer ?? '';
  }
}
