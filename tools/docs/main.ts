/** `npm run docs` writes what is generated in docs/; with `-- --check` it fails when the pages differ from the code. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { conformanceStatement } from '../conformance/statement';
import { withGenerated } from './operations';
import { ROOT } from './sources';
import { writeOrCheck } from './write-or-check';

const operations = join(ROOT, 'docs', 'operations.md');
process.exitCode = writeOrCheck(
  [
    { file: operations, text: withGenerated(readFileSync(operations, 'utf8')) },
    { file: join(ROOT, 'docs', 'conformance-statement.md'), text: conformanceStatement() },
  ],
  process.argv.includes('--check'),
  'npm run docs',
);
