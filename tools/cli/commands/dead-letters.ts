import { parseArgs } from 'node:util';
import { DeadLetters, type DeadLetter } from '@archipelago/platform-bus';
import { UsageError, type GroupCommand, type LeafCommand, type Output } from '../command';
import { withCoreServices } from './core-services';

const STATES = ['open', 'replayed', 'discarded'] as const;

function describe(letter: DeadLetter): string {
  return `${letter.id}  ${letter.lastAt.toISOString()}  ${letter.consumer}  ${letter.code}  ${letter.times}x  ${letter.reason}`;
}

async function list(args: string[], out: Output): Promise<number> {
  const { values } = parseArgs({
    args,
    options: { state: { type: 'string', default: 'open' }, json: { type: 'boolean', default: false } },
  });
  const state = STATES.find((one) => one === values.state);
  if (state === undefined) throw new UsageError(`--state is one of ${STATES.join(', ')}`);
  return withCoreServices(async (app) => {
    const letters = app.get(DeadLetters);
    let after = '0';
    for (;;) {
      const page = await letters.list({ state, after, limit: 100 });
      for (const letter of page) out.line(values.json ? JSON.stringify(letter) : describe(letter));
      const last = page.at(-1);
      if (last === undefined || page.length < 100) return 0;
      after = last.id;
    }
  });
}

function idsOf(args: string[]): { ids: string[]; json: boolean } {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { json: { type: 'boolean', default: false } },
  });
  if (positionals.length === 0 || !positionals.every((id) => /^\d{1,18}$/.test(id)))
    throw new UsageError('give the ids of dead letters');
  return { ids: positionals, json: values.json };
}

async function show(args: string[], out: Output): Promise<number> {
  const { ids, json } = idsOf(args);
  return withCoreServices(async (app) => {
    for (const id of ids) {
      const { data, ...letter } = await app.get(DeadLetters).show(id);
      const message = data.toString('utf8');
      out.line(json ? JSON.stringify({ ...letter, message }) : `${describe(letter)}\n${letter.subject}\n${message}`);
    }
    return 0;
  });
}

function decide(action: 'replay' | 'discard') {
  return async (args: string[], out: Output): Promise<number> => {
    const { ids, json } = idsOf(args);
    return withCoreServices(async (app) => {
      const letters = app.get(DeadLetters);
      for (const id of ids) {
        await letters[action](id);
        out.line(json ? JSON.stringify({ id, action }) : `${id} ${action === 'replay' ? 'replayed' : 'discarded'}`);
      }
      return 0;
    });
  };
}

const leaf = (name: string, summary: string, help: string, run: LeafCommand['run']): LeafCommand => ({
  name,
  summary,
  help,
  run,
});

export const deadLetters: GroupCommand = {
  name: 'dead-letters',
  summary: 'messages that could not be handled',
  commands: [
    leaf('list', 'list them', '[--state open|replayed|discarded] [--json]', list),
    leaf('show', 'show them with their messages', '<id>... [--json]', show),
    leaf('replay', 'publish them again', '<id>... [--json]', decide('replay')),
    leaf('discard', 'decide that they are not needed', '<id>... [--json]', decide('discard')),
  ],
};
