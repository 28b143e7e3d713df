import { Inject, Injectable } from '@nestjs/common';
import { configuredAttributes, DEFAULT_IDENTITY_RULES, type IdentityRules } from '@archipelago/catalog-model';
import { ARCHIPELAGO_CONFIG, type ArchipelagoConfig } from '@archipelago/platform-service';

/** What the site file says of how rows come about: the same for packs, commands and the rebuild. */
@Injectable()
export class CatalogRules {
  readonly identity: IdentityRules;
  readonly attributes;
  /** Names of the archives, the first one's answers win. */
  readonly archives: readonly string[];

  constructor(@Inject(ARCHIPELAGO_CONFIG) private readonly config: ArchipelagoConfig) {
    this.identity = { sharedPatientIds: [...DEFAULT_IDENTITY_RULES.sharedPatientIds, ...config.sharedPatientIds] };
    this.attributes = configuredAttributes(config.queryAttributes);
    this.archives = config.archives.map((archive) => archive.name);
  }

  /** Assigning authority of ids that the object does not qualify: of the archive it came from, else of its sender. */
  issuerOf(source: string, callingAeTitle: string): string {
    const archive = this.config.archives.find((one) => one.name === source);
    const peer = this.config.peers.find((one) => one.aeTitle === callingAeTitle);
    return archive?.issuer ?? peer?.issuer ?? this.config.issuer ?? '';
  }
}
