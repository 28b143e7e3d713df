import { parseArgs } from 'node:util';
import {
  type AssertionV1,
  IdentityCommand,
  type IdentityAction,
  type IdentityRef,
  type IdentityReplyV1,
} from '@archipelago/contracts';
import { Bus } from '@archipelago/platform-bus';
import { UsageError, type GroupCommand, type LeafCommand, type Output } from '../command';
import { withCoreServices } from './core-services';
import { DECISION_OPTIONS, type DecisionValues, who } from './decision';

const WITHIN_MS = 60_000;

async function ask(request: IdentityAction): Promise<IdentityReplyV1> {
  return withCoreServices((app) => app.get(Bus).request(IdentityCommand, { request }, { timeoutMs: WITHIN_MS }));
}

/** `ISSUER:ID`; the id may have colons, the issuer may be empty. */
export function parseIdentity(text: string | undefined): IdentityRef {
  const at = text?.indexOf(':') ?? -1;
  if (text === undefined || at < 0) throw new UsageError('an identity is ISSUER:ID (":ID" for the one without issuer)');
  return { issuer: text.slice(0, at), patientId: text.slice(at + 1), scope: '' };
}

const named = ({ issuer, patientId, scope }: IdentityRef): string =>
  `${issuer}:${patientId}${scope === '' ? '' : ` (of study ${scope})`}`;

function assertionLine({
  id,
  kind,
  a,
  b,
  studyInstanceUid,
  retracts,
  madeAt,
  madeBy,
  reason,
  holds,
}: AssertionV1): string {
  const what = [named(a), ...(b ? [named(b)] : []), ...(studyInstanceUid ? [studyInstanceUid] : [])].join('  ');
  const back = retracts === undefined ? '' : `  takes back ${retracts}`;
  return `${id}  ${madeAt}  ${kind}${back}  ${what}  ${madeBy}: ${reason}${holds || kind === 'retract' ? '' : '  (taken back)'}`;
}

function print(reply: IdentityReplyV1, json: boolean, out: Output): void {
  if (json) return out.line(JSON.stringify(reply));
  if (reply.person !== undefined) out.line(`person ${reply.person}: ${(reply.identities ?? []).map(named).join(', ')}`);
  for (const one of reply.assertions ?? []) out.line(assertionLine(one));
  for (const { id, a, b, probability, why, state, evidence } of reply.reviews ?? []) {
    out.line(`${id}  ${state}  ${named(a)}  ${named(b)}  ${probability.toFixed(4)}  ${why}`);
    for (const { field, level, bits } of evidence) out.line(`    ${field}: ${level} (${bits > 0 ? '+' : ''}${bits})`);
  }
  if (reply.records !== undefined) out.line(`${reply.records} records`);
}

interface Values extends DecisionValues {
  state?: string;
  to?: string;
  same?: boolean;
  apart?: boolean;
}

function command(
  name: string,
  summary: string,
  help: string,
  request: (positionals: string[], values: Values) => IdentityAction,
): LeafCommand {
  const run = async (args: string[], out: Output): Promise<number> => {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        ...DECISION_OPTIONS,
        state: { type: 'string' },
        to: { type: 'string' },
        same: { type: 'boolean' },
        apart: { type: 'boolean' },
      },
    });
    print(await ask(request(positionals, values)), values.json, out);
    return 0;
  };
  return { name, summary, help, run };
}

function state(value: string | undefined): 'open' | 'linked' | 'apart' {
  if (value === undefined || value === 'open') return 'open';
  if (value === 'linked' || value === 'apart') return value;
  throw new UsageError('--state is open, linked or apart');
}

export const identity: GroupCommand = {
  name: 'identity',
  summary: 'who is who: persons, links, the review queue',
  commands: [
    command(
      'show',
      'the person behind an identity, now or on a past day',
      'ISSUER:ID [--at 2026-11-26T10:00:00Z] [--json]',
      ([id], { at }) => ({
        action: 'show',
        identity: parseIdentity(id),
        ...(at === undefined ? {} : { at }),
      }),
    ),
    command('history', 'every assertion about it', 'ISSUER:ID [--json]', ([id]) => ({
      action: 'history',
      identity: parseIdentity(id),
    })),
    command(
      'link',
      'two identities are one person',
      'ISSUER:ID ISSUER:ID [--reason TEXT] [--by NAME] [--json]',
      ([a, b], values) => ({
        action: 'link',
        a: parseIdentity(a),
        b: parseIdentity(b),
        ...who(values),
      }),
    ),
    command(
      'unlink',
      'they are two persons, from now on',
      'ISSUER:ID ISSUER:ID [--reason TEXT] [--by NAME] [--json]',
      ([a, b], values) => ({
        action: 'unlink',
        a: parseIdentity(a),
        b: parseIdentity(b),
        ...who(values),
      }),
    ),
    command(
      'assign-study',
      'a misfiled study belongs to another person; without --to that is taken back',
      'STUDYUID ISSUER:ID [--to ISSUER:ID] [--reason TEXT] [--by NAME] [--json]',
      ([study, from], values) => {
        if (study === undefined) throw new UsageError('give the StudyInstanceUID');
        return {
          action: 'assign-study',
          studyInstanceUid: study,
          from: parseIdentity(from),
          ...(values.to === undefined ? {} : { to: parseIdentity(values.to) }),
          ...who(values),
        };
      },
    ),
    command(
      'reviews',
      'pairs that wait for a decision, with the evidence',
      '[--state open|linked|apart] [--json]',
      (_, values) => ({
        action: 'reviews',
        state: state(values.state),
        after: '0',
        limit: 100,
      }),
    ),
    command('decide', 'decide a review', 'ID --same | --apart [--reason TEXT] [--by NAME] [--json]', ([id], values) => {
      if (id === undefined || !/^\d+$/.test(id)) throw new UsageError('give the id of a review');
      if ((values.same === true) === (values.apart === true)) throw new UsageError('either --same or --apart');
      return { action: 'decide', review: id, same: values.same === true, ...who(values) };
    }),
    command('learn', 'learn the weights anew from all records', '[--json]', () => ({ action: 'learn' })),
  ],
};
