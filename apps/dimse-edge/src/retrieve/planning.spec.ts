import type { LocatedInstanceV1 } from '@archipelago/contracts';
import { queryClass } from '../association/query-classes';
import type { QueryIdentifier } from '../query/identifier';
import { locateRequest } from './locate-request';
import { planRuns } from './read-runs';
import { judgeSubOperation, PendingPace, RETRIEVE_STATUS, SubOperationCounter } from './sub-operations';

const principal = { kind: 'peer' as const, site: 'main', name: 'WS' };
const STUDY_GET = queryClass('1.2.840.10008.5.1.4.1.2.2.3')!;
const PATIENT_MOVE = queryClass('1.2.840.10008.5.1.4.1.2.1.2')!;
const PALETTE_GET = queryClass('1.2.840.10008.5.1.4.39.4')!;

function identifier(level: QueryIdentifier['level'], keys: Record<string, string[]>): QueryIdentifier {
  return { level, charset: [], keys: Object.entries(keys).map(([tag, values]) => ({ tag, vr: 'UI', values })) };
}

describe('locate request', () => {
  it('takes lists of UIDs at the level', () => {
    expect(
      locateRequest(identifier('SERIES', { '0020000D': ['1.2'], '0020000E': ['1.3', '1.4'] }), STUDY_GET, principal),
    ).toEqual({
      ok: true,
      locate: {
        principal,
        model: 'study-root',
        level: 'SERIES',
        studyInstanceUids: ['1.2'],
        seriesInstanceUids: ['1.3', '1.4'],
      },
    });
  });

  it('takes a patient with issuer', () => {
    const asked = identifier('PATIENT', { '00100020': ['P1 '], '00100021': ['NORTH'] });
    expect(locateRequest(asked, PATIENT_MOVE, principal)).toMatchObject({
      ok: true,
      locate: { model: 'patient-root', level: 'PATIENT', patientIds: ['P1'], issuerOfPatientId: 'NORTH' },
    });
  });

  it('takes objects without patient by their class', () => {
    expect(locateRequest(identifier(undefined, { '00080018': ['1.2.3'] }), PALETTE_GET, principal)).toMatchObject({
      ok: true,
      locate: {
        model: 'patientless',
        level: 'IMAGE',
        sopInstanceUids: ['1.2.3'],
        sopClasses: ['1.2.840.10008.5.1.4.39.1'],
      },
    });
  });

  it.each([
    ['the unique key is missing', identifier('STUDY', {})],
    ['the unique key is empty', identifier('STUDY', { '0020000D': ['', ' '] })],
    ['a wildcard stands for all', identifier('STUDY', { '0020000D': ['*'] })],
    ['a UID is none', identifier('IMAGE', { '00080018': ['1.2', '../x'] })],
  ])('refuses when %s', (_, asked) => {
    expect(locateRequest(asked, STUDY_GET, principal)).toMatchObject({ ok: false, status: 0xa900 });
  });

  it('refuses two patients and a wildcard of patients', () => {
    expect(locateRequest(identifier('PATIENT', { '00100020': ['A', 'B'] }), PATIENT_MOVE, principal).ok).toBe(false);
    expect(locateRequest(identifier('PATIENT', { '00100020': ['A*'] }), PATIENT_MOVE, principal).ok).toBe(false);
  });
});

function located(uid: string, packId: string, datasetOffset: number, datasetLength: number): LocatedInstanceV1 {
  return {
    sopInstanceUid: uid,
    sopClassUid: '1.2',
    wireDigest: '',
    copies: [{ packId, store: 's', key: packId, edgeId: '', datasetOffset, datasetLength, transferSyntaxUid: '1.2' }],
  };
}

describe('read runs', () => {
  const limits = { maxRunBytes: 1000, maxGap: 50, maxHeld: 600 };
  const uids = (instances: LocatedInstanceV1[]) =>
    planRuns(instances, limits).map((r) => [
      r.copy ? [(r as { start: number }).start, (r as { end: number }).end] : null,
      r.instances.map((i) => i.sopInstanceUid),
    ]);

  it('joins neighbours of one pack up to the limit', () => {
    expect(uids([located('a', 'p', 100, 400), located('b', 'p', 520, 400), located('c', 'p', 940, 400)])).toEqual([
      [
        [100, 920],
        ['a', 'b'],
      ],
      [[940, 1340], ['c']],
    ]);
  });

  it('never joins over gaps, backwards, across packs, or what is streamed', () => {
    expect(
      uids([located('a', 'p', 0, 10), located('b', 'p', 100, 10), located('c', 'p', 50, 10), located('d', 'q', 60, 10)])
        .length,
    ).toBe(4);
    expect(uids([located('a', 'p', 0, 10), located('b', 'p', 10, 601), located('c', 'p', 611, 10)])).toEqual([
      [[0, 10], ['a']],
      [null, ['b']],
      [[611, 621], ['c']],
    ]);
  });

  it('keeps an instance without a copy: it is a failed sub-operation', () => {
    expect(uids([{ ...located('a', 'p', 0, 1), copies: [] }])).toEqual([[null, ['a']]]);
  });
});

describe('sub-operations', () => {
  it('counts and ends as the standard says', () => {
    const all = new SubOperationCounter(2);
    all.count('1', 'completed');
    expect(all.pending()).toEqual({ status: 0xff00, counts: { remaining: 1, completed: 1, failed: 0, warning: 0 } });
    expect(all.outcome(true)).toBe('cancelled');
    all.count('2', 'completed');
    expect(all.outcome(false)).toBe('success');
    expect(all.outcome(true)).toBe('success');
  });

  it('tells partial from complete failure and lists the failed', () => {
    const some = new SubOperationCounter(3);
    some.count('1', 'completed');
    some.count('2', 'failed');
    some.countUnnamed(1);
    expect(some.outcome(false)).toBe('warning');
    expect(some.failedList).toEqual(['2']);
    expect(some.counts).toEqual({ remaining: 0, completed: 1, failed: 2, warning: 0 });
    const none = new SubOperationCounter(1);
    none.count('1', 'failed');
    expect(RETRIEVE_STATUS[none.outcome(false)].status).toBe(0xa702);
    const warned = new SubOperationCounter(1);
    warned.count('1', 'warning');
    expect(RETRIEVE_STATUS[warned.outcome(false)].status).toBe(0xb000);
  });

  it('bounds the failed list and says so', () => {
    const many = new SubOperationCounter(2000);
    for (let i = 0; i < 2000; i++) many.count(`1.${i}`, 'failed');
    expect(many.failedList.length).toBe(900);
    expect(many.comment()).toBe('1100 more failed than the list can hold');
    expect(many.counts.failed).toBe(2000);
  });

  it.each([
    [0x0000, 'completed'],
    [0xb000, 'warning'],
    [0xb007, 'warning'],
    [0x0107, 'warning'],
    [0xa700, 'failed'],
    [0x0122, 'failed'],
    [0xc000, 'failed'],
  ])('status %i is %s', (status, what) => {
    expect(judgeSubOperation(status)).toBe(what);
  });

  it('paces the pending responses', () => {
    let now = 0;
    const pace = new PendingPace(200, () => now);
    const due = [0, 100, 199, 200, 350, 400].map((t) => ((now = t), pace.due()));
    expect(due).toEqual([true, false, false, true, false, true]);
  });
});
