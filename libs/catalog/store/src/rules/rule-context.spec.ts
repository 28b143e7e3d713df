import { contextOf, OWN_SOURCE } from './rule-context';
import type { RuleRow } from './rule-rows';

const row = (source: string): RuleRow =>
  ({ source, origin: 'acquired', person: null, attributes: {}, overlay: null }) as unknown as RuleRow;
const sites = { siteOf: (source: string) => (source === 'north' ? 'harbour' : 'main') };

describe('where a row comes from, as rules see it', () => {
  it('is the archive by its name, and what was sent to us the name of our site', () => {
    expect(contextOf(row('north'), sites)).toEqual({ archive: 'north', site: 'harbour', origin: 'acquired' });
    expect(contextOf(row(OWN_SOURCE), sites)).toEqual({ archive: 'main', site: 'main', origin: 'acquired' });
  });
});
