import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { SweepStart } from '@archipelago/contracts';
import { Bus } from '@archipelago/platform-bus';
import type { GroupCommand, Output } from '../command';
import { withCoreServices } from './core-services';

async function run(args: string[], out: Output): Promise<number> {
  const { values } = parseArgs({
    args,
    options: { deep: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } },
  });
  const id = randomUUID();
  return withCoreServices(async (app) => {
    await app.get(Bus).publish(SweepStart, { deep: values.deep }, { id, timeoutMs: 10_000 });
    out.line(values.json ? JSON.stringify({ id, deep: values.deep }) : `sweep asked for (${id})`);
    return 0;
  });
}

export const sweep: GroupCommand = {
  name: 'sweep',
  summary: 'compare the stored packs with the catalog',
  commands: [{ name: 'run', summary: 'start one now', help: '[--deep] [--json]', run }],
};
