import { parseArgs } from 'node:util';
import { QuarantineList, QuarantineRelease } from '@archipelago/contracts';
import { Bus } from '@archipelago/platform-bus';
import { UsageError, type GroupCommand, type Output } from '../command';
import { withCoreServices } from './core-services';

const TIMEOUT_MS = 20_000;

async function list(args: string[], out: Output): Promise<number> {
  const { values } = parseArgs({
    args,
    options: { all: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } },
  });
  return withCoreServices(async (app) => {
    for (let before: string | undefined; ;) {
      const question = { all: values.all, before, limit: 100 };
      const { packs } = await app.get(Bus).request(QuarantineList, question, { timeoutMs: TIMEOUT_MS });
      for (const pack of packs) {
        const { packId, lastAt, state, code, edgeId, key, reason } = pack;
        out.line(
          values.json
            ? JSON.stringify(pack)
            : `${packId}  ${lastAt}  ${state}  ${code}  edge ${edgeId}  ${key}  ${reason}`,
        );
      }
      const last = packs.at(-1);
      if (last === undefined || packs.length < 100) return 0;
      before = last.lastAt;
    }
  });
}

async function release(args: string[], out: Output): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { json: { type: 'boolean', default: false } },
  });
  if (positionals.length === 0) throw new UsageError('give the ids of packs');
  return withCoreServices(async (app) => {
    for (const packId of positionals) {
      const done = await app.get(Bus).request(QuarantineRelease, { packId }, { timeoutMs: TIMEOUT_MS });
      out.line(values.json ? JSON.stringify(done) : `${packId} asked for again of edge ${done.edgeId}`);
    }
    return 0;
  });
}

export const quarantine: GroupCommand = {
  name: 'quarantine',
  summary: 'packs that ingest could not read or index',
  commands: [
    { name: 'list', summary: 'list them', help: '[--all (also suspects and healed)] [--json]', run: list },
    {
      name: 'release',
      summary: 'one more try: their edges send them again',
      help: '<packId>... [--json]',
      run: release,
    },
  ],
};
