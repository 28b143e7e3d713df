import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { filesBelow, logMessages, metrics, productSource, ROOT } from './sources';

const folder = join(ROOT, 'docs', 'runbooks');
const index = readFileSync(join(folder, 'README.md'), 'utf8');
const rows = [...index.matchAll(/^\| (.+) \| \[.+\]\((.+\.md)\) \|$/gm)].map(([, seen = '', page = '']) => ({
  seen,
  page,
}));
const quoted = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map((match) => match[1] as string);
const source = productSource();
const names = new Set(metrics(source).map((metric) => metric.name));

it('leads to every page, and each page says what to do and when it is over', () => {
  const pages = readdirSync(folder).filter((name) => name.endsWith('.md') && name !== 'README.md');
  expect([...new Set(rows.map((row) => row.page))].sort()).toEqual(pages.sort());
  for (const page of pages) {
    const text = readFileSync(join(folder, page), 'utf8');
    const sections = [...text.matchAll(/^## (.+)$/gm)].map((match) => match[1]);
    expect({ page, sections }).toEqual({
      page,
      sections: ['What you see', 'What it means', 'What to do', 'It is over when'],
    });
  }
});

it('names only messages, codes and metrics that the code has', () => {
  const unknown = rows.flatMap((row) => quoted(row.seen)).filter((text) => !source.includes(text));
  expect(unknown).toEqual([]);
});

it('names what leads to a page on the page itself', () => {
  const missing = rows.flatMap(({ seen, page }) => {
    const text = readFileSync(join(folder, page), 'utf8');
    return quoted(seen)
      .filter((each) => !text.includes(each))
      .map((each) => `${page}: ${each}`);
  });
  expect(missing).toEqual([]);
});

it('lists every warning and error that the services log', () => {
  const messages = logMessages(source);
  expect(messages.length).toBeGreaterThan(40);
  const listed = new Set(rows.flatMap((row) => quoted(row.seen)));
  expect(messages.filter((message) => !listed.has(message))).toEqual([]);
});

it('knows every metric that any page names', () => {
  const wrong = filesBelow(join(ROOT, 'docs'), '.md').flatMap((page) =>
    [...readFileSync(page, 'utf8').matchAll(/\barchipelago_[a-z_]+/g)]
      .map((match) => match[0])
      .filter((name) => !names.has(name.replace(/_(bucket|sum|count)$/, '')) && !names.has(name)),
  );
  expect([...new Set(wrong)]).toEqual([]);
});

it('knows every setting that any page names', () => {
  const wrong = filesBelow(join(ROOT, 'docs'), '.md').flatMap((page) =>
    [...readFileSync(page, 'utf8').matchAll(/\bARCHIPELAGO_[A-Z0-9_]+[A-Z0-9]/g)]
      .map((match) => match[0])
      .filter((name) => !source.includes(name) && !settingsOfTools.includes(name)),
  );
  expect([...new Set(wrong)]).toEqual([]);
});

const settingsOfTools = filesBelow(join(ROOT, 'tools'), '')
  .filter((file) => /\.(ts|mjs|sh)$/.test(file))
  .map((file) => readFileSync(file, 'utf8'))
  .join('\n');
