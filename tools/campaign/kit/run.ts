import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Random, startSystem, type SystemOptions, type TestSystem } from '@archipelago/testing';
import type { Campaign, CampaignResult } from '../campaign';
import { Centre } from './centre';
import { Checks } from './checks';
import { Ledger } from './ledger';
import { OPTIONS_HELP, parseOptions, type CampaignOptions } from './options';
import { Sender, type SenderOptions } from './sender';

/** What a campaign works with. */
export interface Stage {
  options: CampaignOptions;
  checks: Checks;
  system: TestSystem;
  ledger: Ledger;
  random: Random;
  senders(count: number, more?: Partial<SenderOptions>): Sender[];
  /** The record, for the time of `use`. */
  withCentre<T>(use: (centre: Centre) => Promise<T>): Promise<T>;
}

export interface Definition {
  name: string;
  summary: string;
  /** Default of --store */
  store: 'fs' | 's3';
  system?: (options: CampaignOptions) => SystemOptions | Promise<SystemOptions>;
  play(stage: Stage): Promise<void>;
  /** After the system has stopped. */
  after?: (options: CampaignOptions) => Promise<void>;
}

/** A campaign on a system of its own: started, played, stopped; an exception on the way is a failed check. */
export function defineCampaign(definition: Definition): Campaign {
  const { name, summary } = definition;
  return { name, summary, help: OPTIONS_HELP, run: (args, note) => run(definition, args, note) };
}

async function run(definition: Definition, args: string[], note: (line: string) => void): Promise<CampaignResult> {
  const options = parseOptions(args, { store: definition.store });
  const checks = new Checks(note, definition.name, options.seed);
  const home = options.keep ? mkdtempSync(join(tmpdir(), `archipelago-${definition.name}-`)) : undefined;
  if (home) note(`  data: ${home}`);
  try {
    const wanted = (await definition.system?.(options)) ?? {};
    const system = await startSystem({ ...wanted, home, store: options.store });
    try {
      checks.note('the system runs');
      await definition.play(makeStage(options, checks, system));
    } finally {
      await system.stop();
    }
  } catch (error) {
    checks.broken('the campaign ran to its end', error);
  } finally {
    await definition.after?.(options);
  }
  return checks.result();
}

function makeStage(options: CampaignOptions, checks: Checks, system: TestSystem): Stage {
  const ledger = new Ledger();
  const random = new Random(options.seed);
  return {
    options,
    checks,
    system,
    ledger,
    random,
    senders: (count, more = {}) =>
      Array.from(
        { length: count },
        (_, n) =>
          new Sender({
            target: system,
            ledger,
            callingAeTitle: `CT${n}`,
            random: random.fork(`sender/${n}`),
            ...more,
          }),
      ),
    async withCentre(use) {
      const centre = await Centre.open(system);
      try {
        return await use(centre);
      } finally {
        await centre.close();
      }
    },
  };
}
