import { parseArgs } from 'node:util';
import { RouteDrop, RouteList, RouteRetry, type RouteV1 } from '@archipelago/contracts';
import { Bus } from '@archipelago/platform-bus';
import { UsageError, type GroupCommand, type Output } from '../command';
import { withCoreServices } from './core-services';

const TIMEOUT_MS = 20_000;
const PAGE = 100;

function text({ id, kind, destination, studyInstanceUid, instances, rule, state, code, dueAt }: RouteV1): string {
  const next = state === 'failed' ? 'given up' : `next try ${dueAt}`;
  return `${id}  ${kind} ${destination}  ${instances} of study ${studyInstanceUid}  rule ${rule}  ${next}${code ? `  ${code}` : ''}`;
}

async function list(args: string[], out: Output): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      failed: { type: 'boolean', default: false },
      destination: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  const { failed, destination, json } = values;
  return withCoreServices(async (app) => {
    for (let after = '0'; ;) {
      const question = { failed, after, limit: PAGE, ...(destination === undefined ? {} : { destination }) };
      const { routes } = await app.get(Bus).request(RouteList, question, { timeoutMs: TIMEOUT_MS });
      for (const route of routes) out.line(json ? JSON.stringify(route) : text(route));
      const last = routes.at(-1);
      if (last === undefined || routes.length < PAGE) return 0;
      after = last.id;
    }
  });
}

async function retry(args: string[], out: Output): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { destination: { type: 'string' }, json: { type: 'boolean', default: false } },
  });
  const { destination, json } = values;
  if ((positionals.length === 0) === (destination === undefined))
    throw new UsageError('give the ids of routes, or a --destination');
  const which = destination === undefined ? { ids: ids(positionals) } : { destination };
  return withCoreServices(async (app) => {
    const done = await app.get(Bus).request(RouteRetry, which, { timeoutMs: TIMEOUT_MS });
    out.line(json ? JSON.stringify(done) : `${done.count} will be tried now`);
    return 0;
  });
}

async function drop(args: string[], out: Output): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { json: { type: 'boolean', default: false } },
  });
  if (positionals.length === 0) throw new UsageError('give the ids of routes');
  return withCoreServices(async (app) => {
    const done = await app.get(Bus).request(RouteDrop, { ids: ids(positionals) }, { timeoutMs: TIMEOUT_MS });
    out.line(values.json ? JSON.stringify(done) : `${done.count} forgotten`);
    return 0;
  });
}

function ids(positionals: string[]): string[] {
  const bad = positionals.find((one) => !/^\d+$/.test(one));
  if (bad !== undefined) throw new UsageError(`not the id of a route: ${bad}`);
  return positionals;
}

export const route: GroupCommand = {
  name: 'route',
  summary: 'what rules send elsewhere and has not arrived',
  commands: [
    {
      name: 'list',
      summary: 'list it',
      help: '[--failed (only what was given up)] [--destination NAME] [--json]',
      run: list,
    },
    {
      name: 'retry',
      summary: 'try now, also what was given up',
      help: '<id>... | --destination NAME [--json]',
      run: retry,
    },
    { name: 'drop', summary: 'forget what was given up', help: '<id>... [--json]', run: drop },
  ],
};
