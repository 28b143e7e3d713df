/** The generated parts of docs/operations.md, between `<!-- generated: name -->` and `<!-- end -->`. */
import { table } from '../conformance/markdown';
import { environmentTable, siteFileTable } from './settings';
import { metrics } from './sources';

function metricsTable(): string {
  return table(
    ['Metric', 'Type', 'Labels', 'Meaning'],
    metrics().map(({ name, type, labels, help }) => [`\`${name}\``, type, labels.join(', '), help]),
  );
}

const PARTS: Record<string, () => string> = {
  environment: environmentTable,
  'site file': siteFileTable,
  metrics: metricsTable,
};

/** @throws Error when a part has no place in the text */
export function withGenerated(text: string): string {
  return Object.entries(PARTS).reduce((page, [name, part]) => {
    const place = new RegExp(`(<!-- generated: ${name} -->)[\\s\\S]*?(<!-- end -->)`);
    if (!place.test(page)) throw new Error(`docs/operations.md has no place for ${name}`);
    return page.replace(place, (_, begin: string, end: string) => `${begin}\n\n${part()}\n\n${end}`);
  }, text);
}
