import { userInfo } from 'node:os';
import { parseArgs } from 'node:util';
import { DifferenceDecide, DifferenceList, type DifferenceV1 } from '@archipelago/contracts';
import { Bus } from '@archipelago/platform-bus';
import { UsageError, type GroupCommand, type Output } from '../command';
import { withCoreServices } from './core-services';

const TIMEOUT_MS = 20_000;

function describe({ id, createdAt, kind, subject, state, decidedBy, decision }: DifferenceV1): string {
  const decided = state === 'decided' ? `  ${String(decision?.['decision'])} by ${decidedBy ?? ''}` : '';
  return `${id}  ${createdAt}  ${kind}  ${subject}${decided}`;
}

async function list(args: string[], out: Output): Promise<number> {
  const { values } = parseArgs({
    args,
    options: { state: { type: 'string', default: 'open' }, json: { type: 'boolean', default: false } },
  });
  const { state } = values;
  if (state !== 'open' && state !== 'decided') throw new UsageError('--state is open or decided');
  return withCoreServices(async (app) => {
    for (let after = '0'; ;) {
      const question = { state, after, limit: 100 } as const;
      const { differences } = await app.get(Bus).request(DifferenceList, question, { timeoutMs: TIMEOUT_MS });
      for (const one of differences) out.line(values.json ? JSON.stringify(one) : describe(one));
      const last = differences.at(-1);
      if (last === undefined || differences.length < 100) return 0;
      after = last.id;
    }
  });
}

function checkIds(ids: string[]): void {
  if (ids.length === 0 || ids.length > 100 || !ids.every((id) => /^\d{1,18}$/.test(id)))
    throw new UsageError('give the ids of differences, at most 100');
}

async function show(args: string[], out: Output): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { json: { type: 'boolean', default: false } },
  });
  checkIds(positionals);
  return withCoreServices(async (app) => {
    const { differences } = await app.get(Bus).request(DifferenceList, { ids: positionals }, { timeoutMs: TIMEOUT_MS });
    for (const one of differences)
      out.line(
        values.json
          ? JSON.stringify(one)
          : `${describe(one)}\n${JSON.stringify({ evidence: one.evidence, decision: one.decision }, null, 2)}`,
      );
    const missing = positionals.filter((id) => !differences.some((one) => one.id === id));
    for (const id of missing) out.note(`${id}: there is no such difference`);
    return missing.length === 0 ? 0 : 1;
  });
}

async function decide(args: string[], out: Output): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      keep: { type: 'boolean', default: false },
      take: { type: 'boolean', default: false },
      by: { type: 'string', default: userInfo().username },
      note: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  checkIds(positionals);
  if (values.keep === values.take) throw new UsageError('give either --keep or --take');
  return withCoreServices(async (app) => {
    for (const id of positionals) {
      const decision = { id, decision: values.take ? 'take' : 'keep', by: values.by, note: values.note } as const;
      const done = await app.get(Bus).request(DifferenceDecide, decision, { timeoutMs: TIMEOUT_MS });
      out.line(values.json ? JSON.stringify(done) : describe(done.difference));
    }
    return 0;
  });
}

export const difference: GroupCommand = {
  name: 'difference',
  summary: 'same identity, other content: what waits for a decision',
  commands: [
    { name: 'list', summary: 'list them', help: '[--state open|decided] [--json]', run: list },
    { name: 'show', summary: 'show them with their evidence', help: '<id>... [--json]', run: show },
    {
      name: 'decide',
      summary: 'keep what is shown, or take the content that came later',
      help: '<id>... --keep|--take [--by NAME] [--note TEXT] [--json]',
      run: decide,
    },
  ],
};
