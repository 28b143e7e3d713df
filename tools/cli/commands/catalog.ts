import { parseArgs } from 'node:util';
import { PresentationRebuild } from '@archipelago/contracts';
import { Bus } from '@archipelago/platform-bus';
import type { GroupCommand, Output } from '../command';
import { withCoreServices } from './core-services';

/** It goes on when nobody waits any more; its end is in the log of ingest. */
const TIMEOUT_MS = 6 * 60 * 60 * 1000;

async function rebuild(args: string[], out: Output): Promise<number> {
  const { values } = parseArgs({ args, options: { json: { type: 'boolean', default: false } } });
  return withCoreServices(async (app) => {
    const done = await app.get(Bus).request(PresentationRebuild, {}, { timeoutMs: TIMEOUT_MS });
    out.line(values.json ? JSON.stringify(done) : `derived anew from ${done.packs} packs in ${done.seconds} s`);
    return 0;
  });
}

export const catalog: GroupCommand = {
  name: 'catalog',
  summary: 'what is shown of the stored objects',
  commands: [
    { name: 'rebuild', summary: 'derive it anew from the packs and the decisions', help: '[--json]', run: rebuild },
  ],
};
