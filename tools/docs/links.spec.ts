import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { filesBelow, ROOT } from './sources';

/** Anchor that a heading gets: lower case, spaces to hyphens, everything else but letters, digits, hyphens dropped. */
function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .trim()
    .replaceAll(' ', '-');
}

function anchorsOf(text: string): Set<string> {
  return new Set([...text.matchAll(/^#+ (.*)$/gm)].map((match) => anchor(match[1] as string)));
}

function withoutCode(text: string): string {
  return text.replace(/```[\s\S]*?```/g, '').replace(/`[^`\n]*`/g, '');
}

const pages = filesBelow(ROOT, '.md');

it('looks at all pages', () => {
  expect(pages.length).toBeGreaterThan(40);
});

it('has no dead relative link in any page', () => {
  const dead: string[] = [];
  for (const page of pages) {
    for (const [, target = ''] of withoutCode(readFileSync(page, 'utf8')).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [path = '', fragment] = target.split('#');
      const file = path === '' ? page : join(dirname(page), path);
      const lost = !existsSync(file) || (fragment && !anchorsOf(readFileSync(file, 'utf8')).has(fragment));
      if (lost) dead.push(`${relative(ROOT, page)}: ${target}`);
    }
  }
  expect(dead).toEqual([]);
});
