import {
  type ActorAction,
  type ActorAssertionV1,
  ActorCommand,
  ActorKind,
  type ActorRef,
  type ActorReplyV1,
} from '@archipelago/contracts';
import { Bus } from '@archipelago/platform-bus';
import { UsageError, type GroupCommand, type LeafCommand, type Output } from '../command';
import { withCoreServices } from './core-services';
import { type DecisionValues, parseDecision, who } from './decision';

const WITHIN_MS = 60_000;
const PAGE = 500;

function parseKind(text: string | undefined): ActorKind {
  const kind = ActorKind.safeParse(text);
  if (!kind.success) throw new UsageError(`a kind is ${ActorKind.options.join(', ')}`);
  return kind.data;
}

/** `KIND:PLACE:NAME`, for example `modality:north:station:CT1`. */
export function parseActor(text: string | undefined): ActorRef {
  const [kind, place = '', ...name] = (text ?? '').split(':');
  if (place === '' || name.length < 2) throw new UsageError('an actor is KIND:PLACE:NAME (modality:north:station:CT1)');
  return { kind: parseKind(kind), place, name: name.join(':') };
}

const named = ({ kind, place, name }: ActorRef): string => `${kind}:${place}:${name}`;

function assertionLine({ id, what, a, b, label, retracts, madeAt, madeBy, reason, holds }: ActorAssertionV1): string {
  const whom = [named(a), ...(b ? [named(b)] : []), ...(label === undefined ? [] : [`"${label}"`])].join('  ');
  const back = retracts === undefined ? '' : `  takes back ${retracts}`;
  return `${id}  ${madeAt}  ${what}${back}  ${whom}  ${madeBy}: ${reason}${holds || what === 'retract' ? '' : '  (taken back)'}`;
}

function print(reply: ActorReplyV1, json: boolean, out: Output): void {
  if (json) return out.line(JSON.stringify(reply));
  if (reply.identity !== undefined) out.line(reply.identity);
  for (const actor of reply.actors ?? []) {
    const shown = actor.equipment.map(({ manufacturer, model, serial }) => `${manufacturer} ${model} ${serial}`.trim());
    out.line([actor.identity, named(actor), actor.lastSeen, ...shown].join('  '));
  }
  for (const one of reply.assertions ?? []) out.line(assertionLine(one));
}

function command(
  name: string,
  summary: string,
  help: string,
  answer: (
    ask: (request: ActorAction) => Promise<ActorReplyV1>,
    positionals: string[],
    values: DecisionValues,
  ) => Promise<ActorReplyV1>,
): LeafCommand {
  const run = async (args: string[], out: Output): Promise<number> => {
    const { values, positionals } = parseDecision(args);
    const reply = await withCoreServices((app) =>
      answer(
        (request) => app.get(Bus).request(ActorCommand, { request }, { timeoutMs: WITHIN_MS }),
        positionals,
        values,
      ),
    );
    print(reply, values.json, out);
    return 0;
  };
  return { name, summary, help, run };
}

export const actor: GroupCommand = {
  name: 'actor',
  summary: 'modalities, workstations, servers and users: which are one under several names',
  commands: [
    command('list', 'all that were seen', '[modality|workstation|server|user] [--json]', async (ask, [kind]) => {
      const wanted = kind === undefined ? {} : { kind: parseKind(kind) };
      const actors = [];
      for (;;) {
        const after = actors.at(-1);
        const page = await ask({ action: 'list', ...wanted, ...(after ? { after } : {}), limit: PAGE });
        actors.push(...(page.actors ?? []));
        if ((page.actors ?? []).length < PAGE) return { actors };
      }
    }),
    command(
      'show',
      'the super-identity of one, now or on a past day, and all that was said of it',
      'KIND:PLACE:NAME [--at 2026-11-26T10:00:00Z] [--json]',
      (ask, [one], { at }) => ask({ action: 'show', actor: parseActor(one), ...(at === undefined ? {} : { at }) }),
    ),
    command(
      'link',
      'two names of one',
      'KIND:PLACE:NAME KIND:PLACE:NAME [--reason TEXT] [--by NAME] [--json]',
      (ask, [a, b], values) => ask({ action: 'link', a: parseActor(a), b: parseActor(b), ...who(values) }),
    ),
    command(
      'unlink',
      'they are two, from now on',
      'KIND:PLACE:NAME KIND:PLACE:NAME [--reason TEXT] [--by NAME] [--json]',
      (ask, [a, b], values) => ask({ action: 'unlink', a: parseActor(a), b: parseActor(b), ...who(values) }),
    ),
    command(
      'name',
      'what rules know it by; without a name its super-id again',
      'KIND:PLACE:NAME [NAME] [--reason TEXT] [--by NAME] [--json]',
      (ask, [one, label], values) =>
        ask({
          action: 'name',
          actor: parseActor(one),
          ...(label === undefined ? {} : { label }),
          ...who(values),
        }),
    ),
  ],
};
