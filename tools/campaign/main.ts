import type { Campaign } from './campaign';
import { fuzz } from './fuzz';
import { SPINE } from './spine';

const CAMPAIGNS: Campaign[] = [...SPINE, fuzz];

const note = (line: string): void => void process.stdout.write(`${line}\n`);

function usage(): string {
  return CAMPAIGNS.map(({ name, summary, help }) => `npm run campaign -- ${name} ${help}\n    ${summary}`).join('\n');
}

async function main(argv: string[]): Promise<number> {
  const [name, ...args] = argv;
  const campaign = CAMPAIGNS.find((each) => each.name === name);
  if (!campaign || args.includes('--help')) {
    note(usage());
    return name === '--help' || args.includes('--help') ? 0 : 2;
  }
  const started = Date.now();
  const { passed, failures } = await campaign.run(args, note);
  for (const failure of failures) note(`FAILED ${failure}`);
  note(`campaign ${campaign.name}: ${((Date.now() - started) / 1000).toFixed(0)} s`);
  note(`${passed} passed, ${failures.length} failed`);
  return failures.length > 0 ? 1 : 0;
}

main(process.argv.slice(2)).then(
  (status) => process.exit(status),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exit(1);
  },
);
