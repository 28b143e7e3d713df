import { mergeMetrics } from './merge-metrics';

describe('mergeMetrics', () => {
  it('joins families, labels samples with their process', () => {
    const edge =
      '# HELP stores Stores\n# TYPE stores counter\nstores{peer="A"} 3\n# TYPE wait histogram\nwait_bucket{le="1"} 2\nwait_sum 0.5\n';
    const core = '# HELP stores Stores\n# TYPE stores counter\nstores 4 1700000000000\n';
    expect(mergeMetrics({ edge, core })).toBe(
      [
        '# HELP stores Stores',
        '# TYPE stores counter',
        'stores{process="edge",peer="A"} 3',
        'stores{process="core"} 4 1700000000000',
        '# TYPE wait histogram',
        'wait_bucket{process="edge",le="1"} 2',
        'wait_sum{process="edge"} 0.5',
        '',
      ].join('\n'),
    );
  });

  it('is empty without samples', () => expect(mergeMetrics({ a: '', b: '\n' })).toBe(''));
});
