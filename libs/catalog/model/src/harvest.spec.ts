import { jsonHeaderView } from './header-view';
import { claimedCount, claimedList, CLAIMED, projectAnswer, withoutClaims } from './harvest';
import { SUPER_ID, superId } from './patient-identity';

const QUERY_CLASS = '1.2.840.10008.5.1.4.1.2.2.1';
const view = (elements: Record<string, [vr: string, ...values: unknown[]]>) =>
  jsonHeaderView(Object.fromEntries(Object.entries(elements).map(([tag, [vr, ...Value]]) => [tag, { vr, Value }])));

describe('projectAnswer', () => {
  it('reads a study with its patient and what the archive claims of it', () => {
    const answer = projectAnswer(
      'study',
      { sopInstanceUid: '1.2', sopClassUid: QUERY_CLASS },
      view({
        '00100020': ['LO', ' P1 '],
        '00201206': ['IS', 3],
        '00201208': ['IS', '-1'],
        '00080061': ['CS', 'SR', 'CT', 'CT', ''],
        '00081030': ['LO', 'Thorax'],
      }),
      { defaultIssuer: 'NORTH' },
    );
    expect(answer).toMatchObject({ studyInstanceUid: '1.2', series: null, instance: null });
    expect(answer?.patient?.identity).toEqual({ issuer: 'NORTH', patientId: 'P1', scope: '' });
    const kept = answer?.study?.attributes ?? {};
    expect(claimedCount(kept, CLAIMED.studySeries)).toBe(3);
    // a count below zero is none
    expect(claimedCount(kept, CLAIMED.studyInstances)).toBeUndefined();
    expect(claimedList(kept, CLAIMED.modalities)).toEqual(['CT', 'SR']);
    expect(Object.keys(withoutClaims(kept)).sort()).toEqual(['00081030', '0020000D']);
  });

  it('files series and images by the UIDs that the edge put in, and nothing without them', () => {
    const series = { sopInstanceUid: '1.2.3', sopClassUid: QUERY_CLASS };
    expect(
      projectAnswer('series', series, view({ '0020000D': ['UI', '1.2'], '00201209': ['IS', '40'] })),
    ).toMatchObject({
      studyInstanceUid: '1.2',
      seriesInstanceUid: '1.2.3',
      patient: null,
      series: { attributes: { '00201209': { vr: 'IS', Value: [40] } } },
    });
    expect(projectAnswer('series', series, view({ '00080060': ['CS', 'CT'] }))).toBeNull();
    expect(projectAnswer('image', series, view({ '0020000D': ['UI', '1.2'] }))).toBeNull();
  });

  it('takes no class of a query for the class of an object', () => {
    const parents = { '0020000D': ['UI', '1.2'], '0020000E': ['UI', '1.2.3'] } as const;
    const image = (sopClassUid: string, more = {}) =>
      projectAnswer('image', { sopInstanceUid: '1.2.3.4', sopClassUid }, view({ ...(parents as object), ...more }))
        ?.instance?.sopClassUid;
    expect(image(QUERY_CLASS)).toBe('');
    expect(image('1.2.840.10008.5.1.4.1.1.2')).toBe('1.2.840.10008.5.1.4.1.1.2');
    expect(image(QUERY_CLASS, { '00080016': ['UI', '1.2.840.10008.5.1.4.1.1.4'] })).toBe('1.2.840.10008.5.1.4.1.1.4');
  });

  it('takes a whole header like an object, but for classes without a patient', () => {
    const header = { '0020000D': ['UI', '1.2'], '0020000E': ['UI', '1.2.3'], '00100020': ['LO', 'P1'] } as const;
    const full = (sopClassUid: string) =>
      projectAnswer('full', { sopInstanceUid: '1.2.3.4', sopClassUid }, view(header as never));
    expect(full('1.2.840.10008.5.1.4.1.1.2')).toMatchObject({
      studyInstanceUid: '1.2',
      seriesInstanceUid: '1.2.3',
      patient: { identity: { patientId: 'P1' } },
      instance: { sopInstanceUid: '1.2.3.4' },
    });
    expect(full('1.2.840.10008.5.1.4.38.1')).toBeNull();
  });
});

it('a super-id is of the identity alone, and looks like one', () => {
  const one = { issuer: 'NORTH', patientId: 'P1', scope: '' };
  expect(superId(one)).toMatch(SUPER_ID);
  expect(superId({ ...one })).toBe(superId(one));
  // the parts do not run into each other
  expect(superId({ issuer: 'NORTHP', patientId: '1', scope: '' })).not.toBe(superId(one));
  expect(superId({ ...one, scope: '1.2' })).not.toBe(superId(one));
});
