import { completenessOf, noticeText, type IncompleteMode } from './completeness';

const NOTICES = [
  { archive: 'south', state: 'unreachable', asOf: '2026-11-26T01:00:00.000Z' },
  { archive: 'north', state: 'harvesting' },
];
const MATCH = { '0020000D': { vr: 'UI', Value: ['1.2'] } };

it('a complete answer says nothing, to whoever asks', () => {
  for (const mode of ['comment', 'failure', 'marker', 'attribute'] as IncompleteMode[]) {
    const complete = completenessOf([], mode, 'STUDY');
    expect(complete).toMatchObject({ comment: undefined, fails: false, marker: undefined });
    expect(complete.extend(MATCH)).toEqual(MATCH);
  }
});

it.each([
  ['comment', { fails: false, marked: false, extended: false }],
  ['failure', { fails: true, marked: false, extended: false }],
  ['marker', { fails: false, marked: true, extended: false }],
  ['attribute', { fails: false, marked: false, extended: true }],
] as const)('as %s', (mode, expected) => {
  const told = completenessOf(NOTICES, mode, 'STUDY');
  expect(told.comment).toBe('incomplete: south unreachable, north harvesting');
  expect(told.fails).toBe(expected.fails);
  expect(told.marker !== undefined).toBe(expected.marked);
  expect('00091001' in told.extend(MATCH)).toBe(expected.extended);
});

it('the marker is a study of nobody, the same for the same notice, and only at the study level', () => {
  const { marker } = completenessOf(NOTICES, 'marker', 'STUDY');
  expect(marker?.['0020000D']?.Value?.[0]).toMatch(/^2\.25\.\d{1,39}$/);
  expect(marker).toEqual(completenessOf(NOTICES, 'marker', 'STUDY').marker);
  expect(marker?.['0020000D']).not.toEqual(completenessOf(NOTICES.slice(1), 'marker', 'STUDY').marker?.['0020000D']);
  expect(marker).not.toHaveProperty('00100020');
  expect(completenessOf(NOTICES, 'marker', 'SERIES').marker).toBeUndefined();
});

it('fits the Error Comment however many archives there are', () => {
  const many = Array.from({ length: 20 }, (_, i) => ({ archive: `archive${i}`, state: 'unreachable' }));
  expect(noticeText(many)).toHaveLength(64);
});
