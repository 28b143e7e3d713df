import { connect } from '../client';
import { UID } from '../uids';
import { mutatePdus } from './mutate';
import { ScriptedPeer } from './scripted-peer';
import { startKit } from './server-kit';

describe('mutated sessions', () => {
  it('are the same for the same seed', () => {
    expect(mutatePdus(42)).toEqual(mutatePdus(42));
    expect(mutatePdus(42)).not.toEqual(mutatePdus(43));
  });

  it('500 of them: no crash, no hang over 2 s, sinks ended or aborted exactly once, the server lives', async () => {
    const open = new Set<number>();
    let sinks = 0;
    let twice = 0;
    const kit = await startKit(
      {
        store: () => {
          const id = sinks++;
          open.add(id);
          const over = (): void => void (open.delete(id) || twice++);
          return {
            write: (chunk) => (chunk.length % 3 === 0 ? Promise.resolve() : undefined),
            end: async () => (over(), { status: 0 }),
            abort: over,
          };
        },
        async *find() {
          yield { status: 0xff00, identifier: Buffer.alloc(100) };
        },
      },
      // long enough that a busy machine does not end a session before its C-STORE begins
      { limits: { artimMs: 700, idleTimeoutMs: 700, writeTimeoutMs: 700 } },
    );
    const slow: number[] = [];
    const one = async (seed: number): Promise<void> => {
      const peer = await ScriptedPeer.open(kit.port);
      const { writes, waitAfter } = mutatePdus(seed);
      for (const [index, bytes] of writes.entries()) {
        if (index === waitAfter) await peer.until(() => peer.received.length > 0 || peer.ended, 1_000);
        if (!peer.ended) peer.socket.write(bytes);
        if (seed % 4 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      if (seed % 3 === 0) peer.socket.end();
      if (!(await peer.until(() => peer.ended, 2_000))) slow.push(seed);
      peer.close();
    };
    for (let seed = 0; seed < 500; seed += 50) await Promise.all(Array.from({ length: 50 }, (_, i) => one(seed + i)));
    const contexts = [{ abstractSyntax: UID.verification, transferSyntaxes: [UID.implicitVrLittleEndian] }];
    const known = await connect({
      host: '127.0.0.1',
      port: kit.port,
      calledAeTitle: 'A',
      callingAeTitle: 'B',
      contexts,
    });
    expect((await known.echo()).status).toBe(0);
    await known.release();
    await kit.close();
    expect(slow).toEqual([]);
    expect(sinks).toBeGreaterThan(50);
    expect([open.size, twice]).toEqual([0, 0]);
  }, 60_000);
});
