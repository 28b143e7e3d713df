import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { conformance } from './conformance';
import { renderConformance } from './render';

it('the committed conformance statement is what the code says', () => {
  const committed = readFileSync(join(__dirname, '..', '..', '..', '..', 'docs', 'conformance-statement.md'), 'utf8');
  expect(committed).toBe(renderConformance(conformance()));
});
