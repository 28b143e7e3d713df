import { readFile } from 'node:fs/promises';
import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import {
  appendRuleSet,
  currentVersion,
  labelsOf,
  lastOfFile,
  listRuleSets,
  newestSamples,
  readDerivation,
  readRuleSet,
  restrictiveRules,
  samplesOf,
  startDerivation,
  type StoredRuleSet,
} from '@archipelago/catalog-store';
import type { RuleSetV1, RulesAction, RulesReplyV1 } from '@archipelago/contracts';
import { dryRun, evaluate, explain, type RuleSet } from '@archipelago/rules';
import { Logger, PermanentError } from '@archipelago/platform-service';
import { Database, type SqlClient } from '@archipelago/platform-storage';
import { CatalogRules } from '../catalog-rules';
import { ingestConfig, type IngestConfig } from '../ingest.config';
import { DerivationService } from './derivation.service';
import { readRules, type ReadRules } from './rule-text';

type Of<A extends RulesAction['action']> = Extract<RulesAction, { action: A }>;
type Author = Pick<StoredRuleSet, 'origin' | 'madeBy' | 'reason'>;

/** Rule sets: from the file and from people, one in force, all of them kept. */
@Injectable()
export class RulesService implements OnApplicationBootstrap {
  constructor(
    @Inject(ingestConfig.KEY) private readonly config: IngestConfig,
    private readonly database: Database,
    private readonly rules: CatalogRules,
    private readonly derivation: DerivationService,
    private readonly logger: Logger,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    if (this.config.rules !== undefined) await this.takeFile(this.config.rules);
  }

  /** A change of the file takes effect; what was given by command in between stays until the file changes again. */
  private async takeFile(path: string): Promise<void> {
    let source: string;
    try {
      source = await readFile(path, 'utf8');
    } catch (error) {
      return this.logger.error('the file of rules cannot be read; those in force stay', { path, err: error });
    }
    const { set, problems = [] } = await this.put(source, { origin: 'file', madeBy: 'file', reason: path });
    if (set || problems.every((one) => one.severity !== 'error')) return;
    // without the messages: a rule may name a patient
    const places = problems.map(({ line, column, code }) => `${line}:${column} ${code}`).join(', ');
    this.logger.error('the file of rules has errors; those in force stay', { path, reason: places });
  }

  async run(request: RulesAction): Promise<RulesReplyV1> {
    switch (request.action) {
      case 'check':
        return { problems: (await this.read(request.source)).problems };
      case 'apply': {
        const { source, by, reason } = request;
        return this.put(source, { origin: 'command', madeBy: by, reason });
      }
      case 'restore': {
        const { version, by, reason } = request;
        const { source } = await this.database.withClient((client) => this.stored(client, version));
        const why = `restores version ${version}${reason === '' ? '' : `: ${reason}`}`;
        return this.put(source, { origin: 'command', madeBy: by, reason: why.slice(0, 500) });
      }
      case 'show':
        return this.database.withClient((client) => this.show(client, request.version));
      case 'history': {
        const before = request.before ?? 2_147_483_647;
        const sets = await this.database.withClient((client) => listRuleSets(client, before, request.limit));
        return { sets: sets.map(wire) };
      }
      case 'dry-run':
        return this.dryRun(request);
      case 'explain':
        return this.database.withTransaction((client) => this.explain(client, request));
      case 'derive':
        return this.deriveAgain();
    }
  }

  private async read(source: string, trial = false): Promise<ReadRules> {
    await this.database.withTransaction((client) => this.rules.refresh(client));
    const archives = [...new Set([...this.rules.archives, this.rules.site])];
    return readRules(source, this.rules, archives, trial);
  }

  /** Refused with an error; without effect when it is the one in force, or the file's as it was. */
  private async put(source: string, author: Author): Promise<RulesReplyV1> {
    const { ruleSet, problems } = await this.read(source);
    if (!ruleSet) return { problems };
    const set = await this.database.withTransaction(async (client) => {
      const current = await readRuleSet(client, await currentVersion(client));
      const last = author.origin === 'file' ? await lastOfFile(client) : current;
      if (last?.source === source) return author.origin === 'file' ? undefined : last;
      const { digest, version, rules } = ruleSet;
      const labels = labelsOf(ruleSet);
      return appendRuleSet(client, { source, digest, authorVersion: version, rules: rules.length, labels, ...author });
    });
    if (!set) return { problems };
    this.logger.info('rule set in force', { version: set.version, count: set.rules });
    this.derivation.nudge();
    return { problems, set: wire(set) };
  }

  private async stored(client: SqlClient, version: number): Promise<StoredRuleSet> {
    const set = await readRuleSet(client, version);
    if (!set) throw new PermanentError('rules-unknown', 'there is no such rule set');
    return set;
  }

  private async show(client: SqlClient, version: number | undefined): Promise<RulesReplyV1> {
    const set = await this.stored(client, version ?? (await currentVersion(client)));
    const derivation = await readDerivation(client);
    return {
      set: wire(set),
      source: set.source,
      ...(derivation
        ? {
            derivation: {
              ...{ version: derivation.version, changed: derivation.changed, waiting: derivation.waiting },
              startedAt: derivation.startedAt.toISOString(),
              ...(derivation.doneAt ? { doneAt: derivation.doneAt.toISOString() } : {}),
            },
          }
        : {}),
    };
  }

  private async dryRun({ source, studies: most, examples }: Of<'dry-run'>): Promise<RulesReplyV1> {
    const { compiled, problems } = await this.read(source, true);
    if (!compiled) return { problems };
    let studies = 0;
    const samples = newestSamples((use) => this.database.withClient(use), most, {
      ...this.rules.sampleOptions,
      study: () => studies++,
    });
    const run = await dryRun(compiled, this.rules.rules?.compiled ?? null, samples, { examples });
    const differences = [...run.differences].map(([name, count]) => ({ name, count }));
    return {
      problems,
      dryRun: {
        ...{ studies, samples: run.samples, changed: run.changed },
        rules: [...run.rules].map(([rule, counts]) => ({ rule, ...counts })),
        differences: differences.sort((a, b) => b.count - a.count),
        examples: [...run.examples],
      },
    };
  }

  private async explain(client: SqlClient, { studyInstanceUid, values }: Of<'explain'>): Promise<RulesReplyV1> {
    await this.rules.refresh(client);
    const { rules } = this.rules;
    if (!rules) throw new PermanentError('rules-unknown', 'no rule set was ever given');
    const set = await this.stored(client, rules.version);
    const { rows } = await client.query<{ id: string; labels: string[] }>(
      'SELECT id::text, labels FROM study WHERE study_instance_uid = $1 AND NOT is_group ORDER BY id',
      [studyInstanceUid],
    );
    if (rows.length === 0) throw new PermanentError('study-unknown', 'no such study');
    const samples = await samplesOf(
      client,
      rows.map((row) => row.id),
      this.rules.sampleOptions,
    );
    const lines = samples.flatMap((sample) => [
      `${sample.what}, of ${sample.ctx.archive ?? 'nobody known'}:`,
      ...explain(evaluate(rules.compiled, sample), { values })
        .split('\n')
        .slice(1)
        .map((line) => `  ${line}`),
    ]);
    const { madeBy, madeAt, reason, version } = set;
    const head = `rule set ${version}, in force since ${madeAt.toISOString()} by ${madeBy}${reason === '' ? '' : `: ${reason}`}`;
    const kept = keptFrom(rules.compiled.ruleSet, new Set(rows.flatMap((row) => row.labels)));
    return { set: wire(set), explanation: [head, ...lines, ...kept] };
  }

  private async deriveAgain(): Promise<RulesReplyV1> {
    const reply = await this.database.withTransaction(async (client) => {
      const version = await currentVersion(client);
      await this.stored(client, version);
      await startDerivation(client, version);
      return this.show(client, version);
    });
    this.derivation.nudge();
    return reply;
  }
}

/** From whom rules keep something of a study with these labels: nobody asks when it is explained. */
function keptFrom(ruleSet: RuleSet, labels: ReadonlySet<string>): string[] {
  return restrictiveRules(ruleSet)
    .filter(({ label }) => label === null || labels.has(label))
    .map(({ rule }) => {
      const whom = rule.scope.workstation?.join(', ') ?? 'all';
      return `kept from ${whom} by ${rule.id} (${rule.actions.map(({ kind }) => kind).join(', ')})`;
    });
}

function wire({ madeAt, source: _source, ...set }: StoredRuleSet): RuleSetV1 {
  return { ...set, madeAt: madeAt.toISOString() };
}
