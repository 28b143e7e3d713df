/** `npm run conformance` writes docs/conformance-statement.md; with `-- --check` it fails when the file differs from the code. */
import { join } from 'node:path';
import { writeOrCheck } from '../docs/write-or-check';
import { conformanceStatement } from './statement';

const root = join(__dirname, '..', '..', '..');
process.exitCode = writeOrCheck(
  [{ file: join(root, 'docs', 'conformance-statement.md'), text: conformanceStatement() }],
  process.argv.includes('--check'),
  'npm run conformance',
);
