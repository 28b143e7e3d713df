/**
 * Writes docs/conformance-statement.md from the tables that the edge works by; with --check it fails when the file
 * differs from them (a changed table needs a new statement).
 *
 *   node apps/dimse-edge/dist/conformance/main.js [--check]
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { conformance } from './conformance';
import { renderConformance } from './render';

const file = join(__dirname, '..', '..', '..', '..', 'docs', 'conformance-statement.md');
const text = renderConformance(conformance());

if (process.argv.includes('--check')) {
  if (readFileSync(file, 'utf8') !== text) {
    process.stderr.write(
      'docs/conformance-statement.md is not what the code says: run node apps/dimse-edge/dist/conformance/main.js\n',
    );
    process.exit(1);
  }
} else {
  writeFileSync(file, text);
}
