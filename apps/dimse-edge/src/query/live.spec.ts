import { liveNotices } from './live.service';

const CATALOG = [
  { archive: 'north', state: 'harvesting' },
  { archive: 'south', state: 'unreachable', asOf: '2026-11-26T01:00:00.000Z' },
];

it('says what the catalog says where nobody was asked', () => {
  expect(liveNotices(CATALOG, [])).toEqual(CATALOG);
});

it('names who did not answer, first, with what is known of it as of when', () => {
  const live = [
    { archive: 'south', outcome: 'no answer' },
    { archive: 'east', outcome: 'capped' },
  ] as const;
  expect(liveNotices(CATALOG, live)).toEqual([
    { archive: 'south', state: 'no answer', asOf: '2026-11-26T01:00:00.000Z' },
    { archive: 'east', state: 'capped' },
    { archive: 'north', state: 'harvesting' },
  ]);
});

it('an archive that answered is not unreachable; what is not read of it is still said', () => {
  const live = [
    { archive: 'north', outcome: 'answered' },
    { archive: 'south', outcome: 'answered' },
  ] as const;
  expect(liveNotices(CATALOG, live)).toEqual([CATALOG[0]]);
});

it('is not silent where nobody could be told to ask', () => {
  expect(liveNotices([], undefined)).toEqual([{ archive: 'archives', state: 'not asked' }]);
});
