import type { LeasedRoute } from './route.repository';
import { refusedAfter, restOf, unreachableAfter } from './route.policy';

const route: LeasedRoute = {
  ...{ id: '1', lease: 'l', kind: 'workstation', destination: 'WARD', site: 'main', study: '1.2' },
  ...{ instances: ['1', '2', '3'], refusals: 0, unreachableSeconds: null },
};

describe('what becomes of what was not taken', () => {
  it('nothing is left when all was sent or withheld', () => {
    expect(restOf(route, { sent: 2, withheld: 1, failed: [], left: [] })).toBeNull();
  });

  it('what there was no time for goes on at once and counts as no refusal', () => {
    const rest = restOf(route, { sent: 1, withheld: 0, failed: [], left: ['2', '3'] });
    expect(rest).toMatchObject({ instances: ['2', '3'], state: 'waiting', refusals: 0, after: 0 });
  });

  it('a refusal is tried four times more, later each time', () => {
    const sent = { sent: 2, withheld: 0, failed: ['3'], left: [] };
    expect([0, 1, 2, 3, 4].map((refusals) => restOf({ ...route, refusals }, sent)!.state)).toEqual([
      ...['waiting', 'waiting', 'waiting', 'waiting'],
      'failed',
    ]);
    expect([1, 2, 3, 4, 5].map(refusedAfter)).toEqual([60, 240, 960, 3600, 3600]);
  });

  it('what was not tried goes first, and is not given up with what is refused while others get through', () => {
    const at4 = { ...route, refusals: 4 };
    const some = restOf(at4, { sent: 1, withheld: 0, failed: ['1'], left: ['3'] });
    expect(some).toMatchObject({ instances: ['3', '1'], state: 'waiting', refusals: 5 });
    expect(restOf(at4, { sent: 0, withheld: 0, failed: ['1'], left: ['2', '3'] })).toMatchObject({ state: 'failed' });
  });

  it('who cannot be reached is tried for a day, and refusals do not count', () => {
    const sent = { sent: 1, withheld: 0, failed: [], left: ['2', '3'], unreachable: 'away' };
    const at = (unreachableSeconds: number | null): string =>
      restOf({ ...route, refusals: 4, unreachableSeconds }, sent)!.state;
    expect([null, 100, 86_000, 87_000].map(at)).toEqual(['waiting', 'waiting', 'waiting', 'failed']);
    expect([0, 100, 1000, 86_000].map(unreachableAfter)).toEqual([30, 50, 500, 900]);
  });
});
