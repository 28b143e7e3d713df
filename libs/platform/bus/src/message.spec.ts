import { randomUUID } from 'node:crypto';
import { StudyUpdated, subjectStem } from '@archipelago/contracts';
import {
  BusDeclarations,
  decodeMessage,
  encodeMessage,
  Limiter,
  MAX_MESSAGE_BYTES,
  partitionOf,
  PARTITIONS,
} from './index';
import { backoffMs } from './strategy/backoff';

describe('messages', () => {
  const payload = { studyId: '17', revision: 1 };

  it('come out as they went in, with an envelope', () => {
    const cause = randomUUID();
    const { id, data } = encodeMessage(StudyUpdated, payload, { site: 'main', cause });
    const message = decodeMessage(StudyUpdated, data, 'a.subject');
    expect(message.payload).toEqual(payload);
    expect(message.meta).toMatchObject({ id, site: 'main', cause, subject: 'a.subject' });
    expect(message.meta.trace).toMatch(/^[0-9a-f]{32}$/);
  });

  it('that do not fit are permanent errors that quote no value', () => {
    const bad = (text: string): unknown => {
      try {
        return decodeMessage(StudyUpdated, Buffer.from(text), 's');
      } catch (error) {
        return error;
      }
    };
    const envelope = JSON.parse(encodeMessage(StudyUpdated, payload, { site: 'main' }).data.toString()) as object;
    for (const text of [
      '',
      '{',
      'null',
      '[]',
      JSON.stringify({ ...envelope, payload: { studyId: 'Doe^Jane', revision: 1 } }),
    ]) {
      expect(bad(text)).toMatchObject({ kind: 'permanent', code: 'message-invalid' });
      expect((bad(text) as Error).message).not.toContain('Doe');
    }
    expect(bad(' '.repeat(MAX_MESSAGE_BYTES + 1))).toMatchObject({ code: 'message-invalid' });
    expect(() => encodeMessage(StudyUpdated, { studyId: 'x', revision: 1 }, { site: 'main' })).toThrow('studyId');
  });

  it('of one aggregate share a partition', () => {
    const partitions = Array.from({ length: 200 }, (_, i) => Number(partitionOf(StudyUpdated, { studyId: String(i) })));
    expect(partitionOf(StudyUpdated, { studyId: '5' })).toBe(partitionOf(StudyUpdated, { studyId: '5', revision: 9 }));
    expect(new Set(partitions).size).toBe(PARTITIONS);
    expect(Math.max(...partitions)).toBe(PARTITIONS - 1);
  });
});

describe('declarations', () => {
  const stem = subjectStem(StudyUpdated);

  it('have exactly one handler each', () => {
    const declared = new BusDeclarations([{ handles: [StudyUpdated] }]);
    expect(() => declared.check([{ stem, name: 'a' }])).not.toThrow();
    expect(() =>
      declared.check([
        { stem, name: 'a' },
        { stem, name: 'b' },
      ]),
    ).not.toThrow();
    expect(() => declared.check([])).toThrow(`no handler for ${stem}`);
    expect(() =>
      declared.check([
        { stem, name: 'a' },
        { stem, name: 'a' },
      ]),
    ).toThrow('2 handlers');
    expect(() =>
      declared.check([
        { stem, name: 'a' },
        { stem: 'evt.x.y.z.v1', name: 'a' },
      ]),
    ).toThrow('no module declares');
  });
});

describe('limits', () => {
  it('the limiter lets so many in, in order', async () => {
    const limiter = new Limiter(2);
    const order: number[] = [];
    let most = 0;
    await Promise.all(
      [0, 1, 2, 3, 4].map((i) =>
        limiter.run(async () => {
          most = Math.max(most, limiter.running);
          order.push(i);
          await new Promise((resolve) => setTimeout(resolve, 1));
        }),
      ),
    );
    expect(most).toBe(2);
    expect(order).toEqual([0, 1, 2, 3, 4]);
    expect([limiter.running, limiter.queued]).toEqual([0, 0]);
  });

  it('the back-off grows from 100 ms to 30 s with jitter', () => {
    expect(backoffMs(1)).toBeGreaterThanOrEqual(100);
    expect(backoffMs(1)).toBeLessThanOrEqual(125);
    expect(backoffMs(50)).toBeGreaterThanOrEqual(30_000);
    expect(backoffMs(50)).toBeLessThanOrEqual(37_500);
  });
});
