import { compare } from './apply.service';

const row = (uid: string, digest = 'aaaaaaaaaaaa'): [string, string] => [uid, digest];

test('what is read for the first time is no news', () => {
  expect(compare(null, [row('1'), row('2')])).toEqual({ appeared: [], changed: [], vanished: [] });
});

test('appeared, changed and vanished are told apart', () => {
  expect(compare([row('1'), row('2'), row('3')], [row('2'), row('3', 'bbbbbbbbbbbb'), row('4')])).toEqual({
    appeared: ['4'],
    changed: ['3'],
    vanished: ['1'],
  });
});

test('the same is the same in any order', () => {
  expect(compare([row('1'), row('2')], [row('2'), row('1')])).toEqual({ appeared: [], changed: [], vanished: [] });
});
