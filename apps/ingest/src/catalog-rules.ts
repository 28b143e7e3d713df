import { Inject, Injectable } from '@nestjs/common';
import { configuredAttributes, DEFAULT_IDENTITY_RULES, type IdentityRules } from '@archipelago/catalog-model';
import {
  archiveRegistry,
  currentVersion,
  holdRules,
  OWN_SOURCE,
  readRuleSet,
  type ActiveRules,
  type RegisteredArchive,
  type SampleOptions,
} from '@archipelago/catalog-store';
import { ARCHIPELAGO_CONFIG, type ArchipelagoConfig, Logger } from '@archipelago/platform-service';
import { compile, parseRules, type Destination, type RuleFailure } from '@archipelago/rules';
import type { SqlClient } from '@archipelago/platform-storage';
import { IngestMetrics } from './ingest.metrics';
import { canSendTo } from './routing/destinations';
import { unacted } from './rules/rule-text';

const asRegistered = ({ name, issuer, site, aeTitle }: ArchipelagoConfig['archives'][number]): RegisteredArchive => ({
  name,
  issuer: issuer ?? null,
  site: site ?? null,
  aeTitle,
});

/**
 * How rows come about, the same for packs, commands and the rebuild: from the site file, and of archives from the registry
 * (tag-replication's table `archive`), which commands change while we run. Where that is not there, the site file's archives.
 */
@Injectable()
export class CatalogRules {
  readonly identity: IdentityRules;
  readonly attributes;
  readonly site: string;
  /** The rule set in force; undefined: none was ever given, or it is of a language that this version does not read. */
  rules: ActiveRules | undefined;
  private registry: readonly RegisteredArchive[];
  private version = 0;
  /** Rules of this version that failed on a row, told of in the log once each. */
  private readonly failed = new Set<string>();

  constructor(
    @Inject(ARCHIPELAGO_CONFIG) private readonly config: ArchipelagoConfig,
    private readonly metrics: IngestMetrics,
    private readonly logger: Logger,
  ) {
    this.site = config.site;
    this.identity = { sharedPatientIds: [...DEFAULT_IDENTITY_RULES.sharedPatientIds, ...config.sharedPatientIds] };
    this.attributes = configuredAttributes(config.queryAttributes);
    this.registry = config.archives.map(asRegistered);
  }

  /**
   * Reads the archives again, in the transaction that will use them: under another issuer than the archive's, an answer of it
   * would be taken for another patient's.
   */
  async refresh(client: SqlClient): Promise<void> {
    const registered = await archiveRegistry(client);
    const known = new Set(registered.map((one) => one.name));
    const configured = this.config.archives.filter(({ name }) => !known.has(name));
    this.registry = [...registered, ...configured.map(asRegistered)];
    await holdRules(client);
    const version = await currentVersion(client);
    if (version !== this.version) await this.take(client, version);
  }

  private async take(client: SqlClient, version: number): Promise<void> {
    const stored = await readRuleSet(client, version);
    const idle: string[] = [];
    const { ruleSet } = parseRules(stored?.source ?? '', {
      acting: {
        unacted: (rule, looksAt) => {
          const why = unacted(rule, looksAt, this);
          if (why !== undefined) idle.push(rule.id);
          return why;
        },
        severity: 'warning',
      },
    });
    this.version = version;
    this.failed.clear();
    this.rules = undefined;
    if (!ruleSet) {
      // shown values stay as they are until a set comes that this version reads
      if (stored) this.logger.error('the rule set in force cannot be read', { version });
      return;
    }
    if (idle.length > 0)
      this.logger.warn('rules in force that nothing carries out', { version, count: idle.length, rule: idle[0] });
    const siteOf = (source: string): string => this.siteOf(source);
    const onFailure = (failure: RuleFailure): void => this.onFailure(failure);
    this.rules = { version, compiled: compile(ruleSet), attributes: this.attributes, siteOf, onFailure };
  }

  private onFailure({ rule }: RuleFailure): void {
    this.metrics.ruleFailures.inc({ rule });
    if (this.failed.has(rule)) return;
    this.failed.add(rule);
    this.logger.warn('a rule failed on a row and did not act there', { rule, version: this.version });
  }

  /** For evaluating rules on what is stored. */
  get sampleOptions(): SampleOptions {
    return { attributes: this.attributes, archives: this.archives, siteOf: (source) => this.siteOf(source) };
  }

  /** Site whose edges reach a source; our own sources are called by their site. */
  siteOf(source: string): string {
    const archive = this.registry.find((one) => one.name === source);
    return archive ? (archive.site ?? this.site) : source === OWN_SOURCE ? this.site : source;
  }

  aeTitleOf(archive: string): string | undefined {
    return this.registry.find((one) => one.name === archive)?.aeTitle ?? undefined;
  }

  /** Why routes cannot go there; undefined: they can. */
  cannotReach(to: Destination): string | undefined {
    if ('archive' in to)
      return this.registry.some((one) => one.name === to.archive) ? undefined : `there is no archive ${to.archive}`;
    if (canSendTo(this.config, to.workstation)) return undefined;
    return `no peer ${to.workstation} with host and port is configured`;
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
