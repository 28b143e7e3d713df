import type { AnswerPart, LiveFindV1, QueryKey } from '@archipelago/contracts';
import { commonKeys, idsAt, MOST_IDS, queriesFor, studyUids } from './live-query';
import { failureOutcome, partsOutcome } from './outcome';

const key = (tag: string, ...values: string[]): QueryKey => ({ tag, vr: 'LO', values });
const common = (...keys: QueryKey[]) => commonKeys({ keys, fuzzyNames: false });
const asks = (keys: QueryKey[], issuer?: string): Pick<LiveFindV1, 'keys' | 'principal'> => ({
  keys,
  principal: { kind: 'peer', site: 'main', name: 'WS', ...(issuer === undefined ? {} : { issuer }) },
});
const ids = (...known: [issuer: string, id: string][]) => ({
  identities: known.map(([issuer, patientId]) => ({ person: 'AR0', issuer, patientId })),
  more: false,
});
const ISSUERS = new Set(['NORTH', 'SOUTH']);
const [NORTH, SOUTH] = [{ issuer: 'NORTH' }, { issuer: 'SOUTH' }];

describe('keys that go to an archive', () => {
  it('are those that it matches as we do', () => {
    const keys = [
      key('00080020', '20240101-'),
      key('00080050', 'A1'),
      key('00080061', 'CT'),
      key('00100010', 'HAUS*'),
      key('0020000D', '1.2', '1.3'),
      key('00081030', 'left to the catalog'),
      key('00080030', '0800-0900'),
    ];
    expect(common(...keys)).toEqual({
      StudyDate: ['20240101-'],
      AccessionNumber: ['A1'],
      ModalitiesInStudy: ['CT'],
      PatientName: ['HAUS*'],
      StudyInstanceUID: ['1.2', '1.3'],
    });
  });

  it.each([
    ['00080020', '2024*'],
    ['00080020', '-'],
    ['00100010', '*'],
    ['00100010', 'A=B'],
    ['00100010', '""'],
    ['00100010', 'A\\B'],
    ['0020000D', '1.2*'],
  ])('leave out what may be read otherwise: %s %s', (tag, value) => {
    expect(common(key(tag, value))).toEqual({});
  });

  it('leave out several values, and names that are matched by sound', () => {
    expect(common(key('00080061', 'CT', 'MR'))).toEqual({});
    expect(commonKeys({ keys: [key('00100010', 'MEIER')], fuzzyNames: true })).toEqual({});
  });

  it('name no studies where there are more than are asked for at once', () => {
    expect(studyUids([key('0020000D', ...Array.from({ length: 101 }, (_, n) => `1.${n}`))])).toEqual([]);
  });
});

describe('ids that go to an archive', () => {
  const p1 = [key('00100020', 'P1')];

  it('are none where nobody is named', () => {
    expect(idsAt(NORTH, asks([], 'NORTH'), undefined, ISSUERS)).toBeUndefined();
    expect(queriesFor({ StudyDate: ['20240101'] }, undefined)).toEqual([{ StudyDate: ['20240101'] }]);
  });

  it('are its own of the person, and the one asked for only where its issuer is the archive', () => {
    const person = ids(['NORTH', 'P1'], ['NORTH', 'P2'], ['SOUTH', 'S-77']);
    expect(idsAt(NORTH, asks(p1, 'NORTH'), person, ISSUERS)).toEqual(['P1', 'P2']);
    expect(idsAt(SOUTH, asks(p1, 'NORTH'), person, ISSUERS)).toEqual(['S-77']);
    // somebody nobody knows yet: the archive that gives such ids is asked, the other cannot have them
    expect(idsAt(NORTH, asks(p1, 'NORTH'), ids(), ISSUERS)).toEqual(['P1']);
    expect(idsAt(SOUTH, asks(p1, 'NORTH'), ids(), ISSUERS)).toEqual([]);
    expect(queriesFor({}, [])).toEqual([]);
  });

  it('follow the issuer of the question, and go everywhere without one', () => {
    const qualified = [...p1, key('00100021', 'SOUTH')];
    expect(idsAt(NORTH, asks(qualified, 'NORTH'), ids(), ISSUERS)).toEqual([]);
    expect(idsAt(SOUTH, asks(qualified, 'NORTH'), ids(), ISSUERS)).toEqual(['P1']);
    expect(idsAt(SOUTH, asks(p1), ids(), ISSUERS)).toEqual(['P1']);
  });

  it('of an issuer that is no archive go everywhere: archives may qualify their ids themselves', () => {
    expect(idsAt(NORTH, asks(p1, 'NATIONAL'), ids(['NATIONAL', 'P9']), ISSUERS)).toEqual(['P1', 'P9']);
    expect(idsAt({}, asks(p1, 'NORTH'), ids(['', 'X']), new Set(['', 'NORTH']))).toEqual(['X']);
  });

  it('are so many at most', () => {
    const many = Array.from({ length: 30 }, (_, n) => `P${n}`);
    expect(queriesFor({ StudyDate: ['20240101'] }, many)).toHaveLength(MOST_IDS);
    expect(queriesFor({ StudyDate: ['20240101'] }, many)[1]).toEqual({ StudyDate: ['20240101'], PatientID: ['P1'] });
  });
});

describe('outcome', () => {
  const part = (end: AnswerPart['end'], code?: string): AnswerPart => ({
    end,
    code,
    answers: 0,
    leftOut: {},
    items: [],
  });

  it.each([
    [[part('complete'), part('complete')], 'answered'],
    [[part('complete')], 'no answer'],
    [[part('complete'), part('limit')], 'capped'],
    [[part('deadline')], 'no answer'],
    [[part('status')], 'refused'],
    [[part('failed', 'archive-refused')], 'refused'],
    [[part('failed', 'archive-unreachable')], 'unreachable'],
    [[part('failed', 'archive-open')], 'not asked'],
    [[part('failed', 'archive-busy')], 'not asked'],
    [[part('failed', 'archive-timeout')], 'no answer'],
  ] as const)('of two queries: %j is %s', (parts, outcome) => {
    expect(partsOutcome(parts, 2)).toBe(outcome);
  });

  it('of a way to the archive that is not there', () => {
    expect(failureOutcome('bus-no-responders')).toBe('not asked');
    expect(failureOutcome('edge-gone')).toBe('no answer');
    expect(failureOutcome(undefined)).toBe('unreachable');
  });
});
