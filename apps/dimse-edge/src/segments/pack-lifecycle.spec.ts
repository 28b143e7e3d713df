import { backOffMs, FIRST_STEP, nextStep, PACK_TABLE, type PackEvent, type PackState } from './pack-lifecycle';

function walk(...events: PackEvent[]): PackState {
  let state: PackState = FIRST_STEP.state;
  for (const event of events) state = nextStep(state, event)?.state ?? state;
  return state;
}

describe('life of a pack', () => {
  it('goes from sealed to confirmed', () => {
    expect(walk('upload-done', 'announce-done', 'indexed')).toBe('confirmed');
  });

  it('tries again with back-off for ever while store or bus are away', () => {
    expect(nextStep('sealed', 'upload-failed')).toEqual({ state: 'sealed', action: 'upload', backOff: true });
    expect(nextStep('uploaded', 'announce-failed')).toEqual({ state: 'uploaded', action: 'announce', backOff: true });
  });

  it('announces again what is not answered, and waits longer for what is pending', () => {
    expect(nextStep('announced', 'unanswered')).toMatchObject({ action: 'announce' });
    expect(nextStep('announced', 'pending')).toMatchObject({ state: 'announced', action: 'wait' });
  });

  it('uploads again on command, whatever was answered before', () => {
    for (const state of ['uploaded', 'announced', 'confirmed', 'quarantined'] as const) {
      expect(nextStep(state, 'resend')).toMatchObject({ state: 'sealed', action: 'upload' });
    }
  });

  it('keeps rejected packs, and believes a later index', () => {
    expect(walk('upload-done', 'announce-done', 'rejected')).toBe('quarantined');
    expect(walk('upload-done', 'announce-done', 'rejected', 'indexed')).toBe('confirmed');
  });

  it('never falls back from confirmed but by resend', () => {
    expect(Object.keys(PACK_TABLE.confirmed)).toEqual(['resend']);
    expect(walk('upload-done', 'announce-done', 'indexed', 'rejected', 'pending', 'unanswered')).toBe('confirmed');
  });

  it('takes answers that come before the announcement was known to be out', () => {
    expect(walk('upload-done', 'indexed')).toBe('confirmed');
    expect(walk('indexed')).toBe('confirmed');
  });

  it('doubles from a second to a minute', () => {
    expect([0, 1, 2, 5, 6, 40].map((n) => backOffMs(n, () => 0))).toEqual([1000, 2000, 4000, 32_000, 60_000, 60_000]);
    expect(backOffMs(0, () => 1)).toBe(800);
  });
});
