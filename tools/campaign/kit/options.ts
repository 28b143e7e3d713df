import { parseArgs } from 'node:util';

/** Options that every campaign of this folder understands. */
export interface CampaignOptions {
  long: boolean;
  seed: string;
  instances?: number;
  store: 'fs' | 's3';
  /** Leaves the data folder of the system for a look. */
  keep: boolean;
}

export const OPTIONS_HELP = '[--long] [--seed S] [--instances N] [--store fs|s3] [--keep]';

export function parseOptions(args: string[], defaults: { store: 'fs' | 's3' }): CampaignOptions {
  const { values } = parseArgs({
    args,
    options: {
      long: { type: 'boolean', default: false },
      seed: { type: 'string', default: '1' },
      instances: { type: 'string' },
      store: { type: 'string', default: defaults.store },
      keep: { type: 'boolean', default: false },
    },
  });
  const instances = values.instances === undefined ? undefined : Number(values.instances);
  if (instances !== undefined && !(Number.isSafeInteger(instances) && instances > 0)) {
    throw new Error(`--instances ${values.instances}: not a positive whole number`);
  }
  if (values.store !== 'fs' && values.store !== 's3') throw new Error(`--store ${values.store}: fs or s3`);
  return { long: values.long, seed: values.seed, instances, store: values.store, keep: values.keep };
}
