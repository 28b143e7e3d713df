import { readCorpus } from './fuzz-corpus';
import { makeTargets, TARGET_NAMES, type Target } from './fuzz-targets';
import { targetOf } from './fuzz-child';

jest.setTimeout(120_000);

describe('the corpus of what once failed', () => {
  let targets: Target[];
  beforeAll(async () => {
    targets = await makeTargets();
  });
  const corpus = readCorpus().filter(({ target }) => target !== 'session');

  it('has a target for each folder', () => {
    expect(corpus.length).toBeGreaterThan(0);
    for (const { target } of corpus) expect(TARGET_NAMES).toContain(target);
  });

  it.each(corpus.map(({ target, name, bytes }) => [`${target}/${name}`, target, bytes] as const))(
    '%s: an answer, in time',
    async (_name, target, bytes) => {
      const started = process.cpuUsage();
      await targets.find((each) => each.name === target)?.check(bytes);
      const { user, system } = process.cpuUsage(started);
      expect((user + system) / 1000).toBeLessThan(2_000);
    },
  );

  it('every target gets inputs, the same for the same seed, and answers the first of them', async () => {
    const seen = new Set<string>();
    for (let seed = 1; seed <= 200; seed++) {
      const target = targetOf(targets, seed);
      seen.add(target.name);
      const input = target.make(seed);
      expect(input.equals(target.make(seed))).toBe(true);
      await target.check(input);
    }
    expect([...seen].sort()).toEqual([...TARGET_NAMES].sort());
  });
});
