import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compile, parseRules, type ActionKind } from './index';

const folder = join(__dirname, '..', 'examples');
const page = join(__dirname, '..', '..', '..', 'docs', 'rules', 'README.md');

describe('the rules that are shipped as examples', () => {
  const files = readdirSync(folder).sort();

  it.each(files)('%s: parses without a problem and compiles', (file) => {
    const { ruleSet, problems } = parseRules(readFileSync(join(folder, file), 'utf8'));
    expect(problems).toEqual([]);
    expect(compile(ruleSet!).ruleSet.rules.length).toBeGreaterThan(1);
  });

  it('show every action', () => {
    const kinds = new Set<ActionKind>();
    for (const file of files) {
      const { ruleSet } = parseRules(readFileSync(join(folder, file), 'utf8'));
      ruleSet!.rules.forEach(({ actions }) => actions.forEach(({ kind }) => kinds.add(kind)));
    }
    const all: ActionKind[] = ['coerce', 'compress', 'deny', 'hide', 'map', 'obscure', 'prefetch', 'route', 'set'];
    expect([...kinds].sort()).toEqual(all);
  });

  it('parse on the page of the language too', () => {
    const blocks = [...readFileSync(page, 'utf8').matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]) => text);
    expect(blocks.length).toBeGreaterThan(8);
    for (const block of blocks) {
      const indented = block.replace(/^/gm, '  ');
      const text = /^(version|tables|rules):/m.test(block) ? block : `version: 1\nrules:\n${indented}`;
      expect([block, parseRules(text).problems]).toEqual([block, []]);
    }
  });
});
