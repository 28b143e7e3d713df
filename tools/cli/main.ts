import { runCommandLine, type Output } from './command';
import { commands } from './commands';

const out: Output = {
  line: (text) => process.stdout.write(`${text}\n`),
  note: (text) => process.stderr.write(`${text}\n`),
};

void runCommandLine(commands, process.argv.slice(2), out).then((status) => {
  process.exitCode = status;
});
