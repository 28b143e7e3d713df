import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import {
  RulesCommand,
  type RuleProblemV1,
  type RuleSetV1,
  type RulesAction,
  type RulesReplyV1,
} from '@archipelago/contracts';
import { Bus } from '@archipelago/platform-bus';
import { UsageError, type GroupCommand, type LeafCommand, type Output } from '../command';
import { withCoreServices } from './core-services';
import { DECISION_OPTIONS, type DecisionValues, who } from './decision';

const WITHIN_MS = 300_000;

const setLine = ({ version, authorVersion, rules, origin, madeBy, reason, madeAt }: RuleSetV1): string =>
  `${version}  ${madeAt}  ${rules} rules (version ${authorVersion} of its author)  ${origin} ${madeBy}${reason === '' ? '' : `: ${reason}`}`;

const problemLine = (file: string, { severity, message, line, column, rule }: RuleProblemV1): string =>
  `${file}:${line}:${column}: ${severity}: ${rule === undefined ? '' : `rule ${rule}: `}${message}`;

function printDryRun(run: NonNullable<RulesReplyV1['dryRun']>, out: Output): void {
  out.line(`${run.studies} studies, ${run.samples} studies and series looked at, ${run.changed} would change`);
  for (const { rule, applied, overruled, failed } of run.rules)
    out.line(`${rule}: applied ${applied}, overruled ${overruled}, failed ${failed}`);
  for (const { name, count } of run.differences) out.line(`${name}: ${count} differ`);
  for (const { what, old, new: now } of run.examples) out.line(`  ${what}: ${old} -> ${now}`);
}

function print(file: string, reply: RulesReplyV1, out: Output): void {
  for (const problem of reply.problems ?? []) out.line(problemLine(file, problem));
  if (reply.explanation) return reply.explanation.forEach((line) => out.line(line));
  if (reply.set) out.line(setLine(reply.set));
  for (const set of reply.sets ?? []) out.line(setLine(set));
  const { derivation } = reply;
  if (derivation) {
    const { changed, waiting, doneAt } = derivation;
    out.line(
      doneAt === undefined ? `${waiting} studies wait for it, ${changed} rows changed` : `${changed} rows changed`,
    );
  }
  if (reply.source !== undefined) out.line(reply.source.trimEnd());
  if (reply.dryRun) printDryRun(reply.dryRun, out);
}

interface Values extends DecisionValues {
  studies?: string;
  examples?: string;
  values?: boolean;
}

function number(text: string | undefined, what: string): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`${what} is a number`);
  return Number(text);
}

function command(
  name: string,
  summary: string,
  help: string,
  request: (positional: string | undefined, values: Values) => RulesAction,
): LeafCommand {
  const run = async (args: string[], out: Output): Promise<number> => {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        ...DECISION_OPTIONS,
        studies: { type: 'string' },
        examples: { type: 'string' },
        values: { type: 'boolean' },
      },
    });
    const asked = request(positionals[0], values);
    const reply = await withCoreServices((app) =>
      app.get(Bus).request(RulesCommand, { request: asked }, { timeoutMs: WITHIN_MS }),
    );
    if (values.json) out.line(JSON.stringify(reply));
    else print(positionals[0] ?? '', reply, out);
    return (reply.problems ?? []).some((one) => one.severity === 'error') ? 1 : 0;
  };
  return { name, summary, help, run };
}

function textOf(file: string | undefined): string {
  if (file === undefined) throw new UsageError('give the file of rules');
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`cannot read ${file}: ${(error as Error).message}`);
  }
}

const version = (text: string | undefined): { version?: number } => {
  const given = number(text, 'a version');
  return given === undefined ? {} : { version: given };
};

export const rules: GroupCommand = {
  name: 'rules',
  summary: 'the rule set in force: check, apply, restore, try out, explain',
  commands: [
    command('check', 'what is wrong with a file of rules', 'FILE [--json]', (file) => ({
      action: 'check',
      source: textOf(file),
    })),
    command(
      'apply',
      'bring a file of rules into force, as a whole',
      'FILE [--reason TEXT] [--by NAME] [--json]',
      (file, values) => ({ action: 'apply', source: textOf(file), ...who(values) }),
    ),
    command(
      'restore',
      'bring an earlier rule set into force again',
      'VERSION [--reason TEXT] [--by NAME] [--json]',
      (text, values) => {
        const given = number(text, 'a version');
        if (given === undefined) throw new UsageError('give the version (rules history)');
        return { action: 'restore', version: given, ...who(values) };
      },
    ),
    command('show', 'the rule set in force, or an earlier one', '[VERSION] [--json]', (text) => ({
      action: 'show',
      ...version(text),
    })),
    command('history', 'rule sets, the newest first', '[--json]', () => ({ action: 'history', limit: 100 })),
    command(
      'dry-run',
      'what a file of rules would do to the newest studies, and change',
      'FILE [--studies N] [--examples N] [--json]',
      (file, { studies, examples }) => ({
        action: 'dry-run',
        source: textOf(file),
        studies: number(studies, '--studies') ?? 2_000,
        examples: number(examples, '--examples') ?? 20,
      }),
    ),
    command(
      'explain',
      'which rules act on a study, why, and since when',
      'STUDYUID [--values] [--json]',
      (study, { values = false }) => {
        if (study === undefined) throw new UsageError('give the StudyInstanceUID');
        return { action: 'explain', studyInstanceUid: study, values };
      },
    ),
    command('derive', 'look at all rows again, after devices were named anew', '[--json]', () => ({
      action: 'derive',
    })),
  ],
};
