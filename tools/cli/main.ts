import { runCommandLine, type Output } from './command';
import { commands } from './commands';
import { quietWhenClosed } from './closed-pipe';

const out: Output = {
  line: (text) => process.stdout.write(`${text}\n`),
  note: (text) => process.stderr.write(`${text}\n`),
};

quietWhenClosed(process.stdout);
quietWhenClosed(process.stderr);

void runCommandLine(commands, process.argv.slice(2), out).then((status) => {
  process.exitCode = status;
});
