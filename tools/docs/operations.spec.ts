import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { withGenerated } from './operations';
import { metrics, ROOT } from './sources';

it('docs/operations.md has the settings and metrics of the code (else: npm run docs)', () => {
  const text = readFileSync(join(ROOT, 'docs', 'operations.md'), 'utf8');
  expect(text).toBe(withGenerated(text));
});

it('finds the metrics with their labels', () => {
  const found = new Map(metrics().map((metric) => [metric.name, metric]));
  expect(found.size).toBeGreaterThan(40);
  expect(found.get('archipelago_edge_stores_total')).toMatchObject({ type: 'counter', labels: ['outcome'] });
  expect(found.get('archipelago_child_up')).toMatchObject({ type: 'gauge', labels: ['child'] });
});
