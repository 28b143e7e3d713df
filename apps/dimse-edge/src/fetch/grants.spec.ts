import { ArrivedPacks } from './arrived-packs';
import { Grants } from './grants';

const KEY = 'k'.repeat(32);

describe('grants', () => {
  it('open the study that they name, on every edge with the key', () => {
    const token = new Grants(KEY).issue('1.2.3');
    expect(new Grants(KEY).check(token)).toBe('1.2.3');
    expect(new Grants('x'.repeat(32)).check(token)).toBeUndefined();
    expect(new Grants().check(token)).toBeUndefined();
  });

  it('are over after an hour', () => {
    let now = 1_000_000;
    const grants = new Grants(KEY, () => now);
    const token = grants.issue('1.2.3');
    now += 3_600_000;
    expect(grants.check(token)).toBe('1.2.3');
    now += 1;
    expect(grants.check(token)).toBeUndefined();
  });

  it.each([undefined, '', '.', 'a.b', 'a.b.c', `${Buffer.from('{"study":"1"}').toString('base64url')}.AAAA`])(
    'refuse %s',
    (token) => {
      expect(new Grants(KEY).check(token)).toBeUndefined();
    },
  );

  it('refuse another study under the same signature', () => {
    const [, mac] = new Grants(KEY).issue('1.2.3').split('.');
    const body = Buffer.from(JSON.stringify({ study: '9.9', until: Number.MAX_SAFE_INTEGER })).toString('base64url');
    expect(new Grants(KEY).check(`${body}.${mac}`)).toBeUndefined();
  });
});

describe('arrived packs', () => {
  it('are open to a grant only while one study is in them', () => {
    const packs = new ArrivedPacks();
    packs.add('p', '1.2');
    packs.add('p', '1.2');
    expect([packs.isOf('p', '1.2'), packs.isOf('p', '1.3'), packs.isOf('q', '1.2')]).toEqual([true, false, false]);
    packs.add('p', '1.3');
    expect([packs.isOf('p', '1.2'), packs.isOf('p', '1.3')]).toEqual([false, false]);
  });
});
