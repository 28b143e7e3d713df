import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  CHARACTER_SETS,
  KINDS,
  TRANSFER_SYNTAXES,
  generateArchive,
  prepareGenerator,
  writeInstance,
} from '@archipelago/testing';

const HELP = `Usage: npm run generate -- --out DIR [options]

  --kind NAME        ${Object.keys(KINDS).join(' ')}  (default ct)
  --count N          objects per study (default 1)
  --series N         series per study (default 1)
  --studies N        studies (default 1)
  --seed S           same seed, same bytes (default 1)
  --syntax NAME      ${TRANSFER_SYNTAXES.map((each) => each.name).join(' ')}  (default explicit-le; a UID serves too)
  --charset NAME     ${Object.keys(CHARACTER_SETS).join(' ')}  (default default)
  --rows N --columns N --frames N
  --json             one line of JSON per file
`;

function number(value: string | undefined, fallback: number | undefined): number | undefined {
  if (value === undefined) return fallback;
  const parsed = Number(value);
  if (!Number.isSafeInteger(parsed) || parsed < 1) throw new Error(`not a positive whole number: ${value}`);
  return parsed;
}

async function main(): Promise<void> {
  const names = [
    'out',
    'kind',
    'count',
    'series',
    'studies',
    'seed',
    'syntax',
    'charset',
    'rows',
    'columns',
    'frames',
  ] as const;
  const options = Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]));
  const { values } = parseArgs({ options: { ...options, json: { type: 'boolean' }, help: { type: 'boolean' } } });
  const text = values as Partial<Record<(typeof names)[number], string>> & { json?: boolean; help?: boolean };
  if (text.help || !text.out) {
    process.stdout.write(HELP);
    process.exitCode = text.help ? 0 : 2;
    return;
  }
  mkdirSync(text.out, { recursive: true });
  await prepareGenerator();
  const started = process.hrtime.bigint();
  let files = 0;
  let bytes = 0;
  for (const instance of generateArchive({
    kind: text.kind,
    count: number(text.count, 1),
    seriesCount: number(text.series, 1),
    studies: number(text.studies, 1) ?? 1,
    seed: text.seed ?? '1',
    transferSyntax: text.syntax,
    charset: text.charset,
    rows: number(text.rows, undefined),
    columns: number(text.columns, undefined),
    frames: number(text.frames, undefined),
  })) {
    const path = join(text.out, `${instance.kind}-${String(files).padStart(6, '0')}.dcm`);
    const length = writeInstance(path, instance);
    bytes += length;
    files++;
    if (text.json) {
      const { sopInstanceUid, seriesInstanceUid, studyInstanceUid, transferSyntaxUid, sopClassUid } = instance;
      process.stdout.write(
        JSON.stringify({
          path,
          length,
          sopInstanceUid,
          seriesInstanceUid,
          studyInstanceUid,
          sopClassUid,
          transferSyntaxUid,
        }) + '\n',
      );
    }
  }
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  if (!text.json) process.stdout.write(`${files} files, ${bytes} bytes, ${seconds.toFixed(2)} s in ${text.out}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`generate: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
