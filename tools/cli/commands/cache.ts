import { parseArgs } from 'node:util';
import { CacheCommand, type CacheCommandV1 } from '@archipelago/contracts';
import { Bus } from '@archipelago/platform-bus';
import { UsageError, type Command, type GroupCommand, type Output } from '../command';
import { withCoreServices } from './core-services';

async function ask(command: CacheCommandV1, json: boolean, out: Output): Promise<number> {
  return withCoreServices(async (app) => {
    const reply = await app.get(Bus).request(CacheCommand, command, { timeoutMs: 10_000 });
    if (json) out.line(JSON.stringify(reply));
    else {
      const { bytes, keptBytes, studies, pinned, leaving, budgetBytes } = reply;
      if (command.action !== 'status') out.line(reply.known ? 'done' : 'no cached copies of this study are here');
      out.line(
        `${bytes} of ${budgetBytes ?? 'unlimited'} bytes, ${studies} studies, ${pinned} pinned, ${leaving} leaving`,
      );
      if (keptBytes > 0) out.line(`${keptBytes} bytes could not be evicted`);
    }
    return 0;
  });
}

async function status(args: string[], out: Output): Promise<number> {
  const { values } = parseArgs({ args, options: { json: { type: 'boolean', default: false } } });
  return ask({ action: 'status' }, values.json, out);
}

function onStudy(action: 'evict' | 'pin' | 'unpin', summary: string): Command {
  const run = async (args: string[], out: Output): Promise<number> => {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { json: { type: 'boolean', default: false } },
    });
    const [studyInstanceUid] = positionals;
    if (studyInstanceUid === undefined || positionals.length > 1) throw new UsageError('name one Study Instance UID');
    return ask({ action, studyInstanceUid }, values.json, out);
  };
  return { name: action, summary, help: 'STUDYUID [--json]', run };
}

export const cache: GroupCommand = {
  name: 'cache',
  summary: 'fetched studies that are kept',
  commands: [
    { name: 'status', summary: 'bytes, budget, studies', help: '[--json]', run: status },
    onStudy('evict', 'let the cached copies of a study go'),
    onStudy('pin', 'keep a study whatever comes'),
    onStudy('unpin', 'let the policy decide again'),
  ],
};
