import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { conformanceStatement } from './statement';

const file = join(__dirname, '..', '..', 'docs', 'conformance-statement.md');

it('the committed conformance statement is what the code says (else: npm run conformance)', () => {
  expect(readFileSync(file, 'utf8')).toBe(conformanceStatement());
});

it('has no hole in its tables', () => {
  const rows = conformanceStatement()
    .split('\n')
    .filter((line) => line.startsWith('|'));
  expect(rows.length).toBeGreaterThan(400);
  expect(rows.filter((row) => /\|\s*\|/.test(row) || row.includes('undefined'))).toEqual([]);
});
