/** A command of the tool: a leaf that runs, or a noun with further commands. */
export interface LeafCommand {
  name: string;
  summary: string;
  /** Shown by --help after the usage line. */
  help: string;
  /** Arguments after its name; resolves to the exit status. */
  run(args: string[], out: Output): Promise<number>;
}
export interface GroupCommand {
  name: string;
  summary: string;
  commands: Command[];
}
export type Command = LeafCommand | GroupCommand;

export interface Output {
  /** Results, for people or as one JSON document or line each with --json. */
  line(text: string): void;
  /** Progress and errors. */
  note(text: string): void;
}

/** The arguments are wrong: exit status 2, with a hint at --help. */
export class UsageError extends Error {}

export const EXIT_USAGE = 2;
const PROGRAM = 'npm run archipelago --';

function isGroup(command: Command): command is GroupCommand {
  return 'commands' in command;
}

function usage(path: string[], command: Command): string {
  if (!isGroup(command)) return `Usage: ${[PROGRAM, ...path].join(' ')} ${command.help}`;
  const width = Math.max(...command.commands.map((each) => each.name.length)) + 2;
  const list = command.commands.map((each) => `  ${each.name.padEnd(width)}${each.summary}`);
  return [`Usage: ${[PROGRAM, ...path].join(' ')} <command> [--help] [--json]`, '', ...list].join('\n');
}

/** Walks down the nouns, answers --help at each level. Resolves to the exit status. */
export async function runCommandLine(root: GroupCommand, argv: string[], out: Output): Promise<number> {
  let command: Command = root;
  const path: string[] = [];
  const rest = [...argv];
  while (isGroup(command)) {
    const name = rest[0];
    if (name === undefined || name === '--help' || name === '-h') {
      out.line(usage(path, command));
      return name === undefined ? EXIT_USAGE : 0;
    }
    const next: Command | undefined = command.commands.find((each) => each.name === name);
    if (!next) {
      out.note(`unknown command: ${[...path, name].join(' ')}\n${usage(path, command)}`);
      return EXIT_USAGE;
    }
    rest.shift();
    path.push(name);
    command = next;
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    out.line(usage(path, command));
    return 0;
  }
  try {
    return await command.run(rest, out);
  } catch (error) {
    const isUsage =
      error instanceof UsageError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS') === true;
    out.note(`${path.join(' ')}: ${error instanceof Error ? error.message : String(error)}`);
    if (isUsage) out.note(`See ${[PROGRAM, ...path].join(' ')} --help`);
    return isUsage ? EXIT_USAGE : 1;
  }
}
