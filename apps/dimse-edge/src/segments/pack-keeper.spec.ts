import { PackAnswered, type PackAnsweredV1, type PackSealedV1 } from '@archipelago/contracts';
import type { SealedPack } from '@archipelago/pack';
import { Logger } from '@archipelago/platform-service';
import type { ObjectStore } from '@archipelago/platform-storage';
import { packKey } from './pack-key';
import { PackKeeper, type PackShelf } from './pack-keeper';

const EDGE = '5f0c5ad0-9c0e-4c7e-8f0e-6d2f4f5f4a11';
const pack: SealedPack = {
  packId: '0d3e2f3a-2b6f-4b6e-9d4b-7a1c2b3d4e5f',
  path: '/spool/sealed/x.pack',
  bytes: 10,
  tailOffset: 5,
  entries: 1,
  sha256: 'ab'.repeat(32),
  sealedAt: '2026-03-04T23:59:59.000Z',
};

/**
 * Store, bus and spool that do what they are told, on Jest's clock. The jitter of the back-off is given, so that no run
 * differs from another.
 */
class World {
  uploads: { key: string; repair?: boolean }[] = [];
  announced: PackSealedV1[] = [];
  shelved: string[] = [];
  storeDown = false;
  busDown = false;
  private answer: ((answer: PackAnsweredV1) => void | Promise<void>) | undefined;
  private connected: (() => void) | undefined;
  confirmed: SealedPack[] = [];
  /** What leaves the quarantine when it is asked for. */
  quarantined: SealedPack[] = [];
  readonly keeper: PackKeeper;

  constructor(jitter: () => number = () => 0.5) {
    const shelf: PackShelf = {
      list: () => this.confirmed,
      confirm: (id) => (this.shelved.push(`confirm ${id}`), Promise.resolve(true)),
      unconfirm: (id) => (this.shelved.push(`unconfirm ${id}`), Promise.resolve(true)),
      quarantine: (id) => (this.shelved.push(`quarantine ${id}`), Promise.resolve(`${id}.pack`)),
      unquarantine: (id) => (
        this.shelved.push(`unquarantine ${id}`),
        Promise.resolve(this.quarantined.find((one) => one.packId === id) ?? null)
      ),
      quarantineDir: '/spool/quarantine',
    };
    this.keeper = new PackKeeper({
      edgeId: EDGE,
      site: 'main',
      shelf,
      store: {
        name: 'fs',
        putFile: (key: string, path: string, expect: { repair?: boolean }) => {
          this.uploads.push({ key: `${key} < ${path}`, repair: expect.repair });
          return this.storeDown ? Promise.reject(new Error('down')) : Promise.resolve();
        },
      } as unknown as ObjectStore,
      bus: {
        publish: (_, payload) => {
          this.announced.push(payload as PackSealedV1);
          return this.busDown ? Promise.reject(new Error('down')) : Promise.resolve({} as never);
        },
        subscribe: (contract, _, handler) => {
          expect(contract).toBe(PackAnswered);
          this.answer = handler as never;
          return { unsubscribe: () => undefined };
        },
        onConnect: (listener) => (this.connected = listener),
      },
      logger: Logger.create('test', 'silent'),
      random: jitter,
    });
    this.keeper.start();
  }

  async answered(outcome: PackAnsweredV1['outcome'], edgeId = EDGE): Promise<void> {
    await this.answer!({ packId: pack.packId, edgeId, outcome });
    await this.pass(0);
  }

  reconnect(): void {
    this.connected!();
  }

  async pass(ms: number): Promise<void> {
    await jest.advanceTimersByTimeAsync(ms);
  }
}

let world: World;
beforeEach(() => {
  jest.useFakeTimers();
  world = new World();
});
afterEach(() => {
  world.keeper.stop();
  jest.useRealTimers();
});

describe('pack keeper', () => {
  it('uploads, announces and confirms', async () => {
    world.keeper.add(pack);
    await world.pass(0);
    expect(world.uploads).toEqual([
      { key: `packs/main/2026/03/04/${pack.packId}.pack < ${pack.path}`, repair: undefined },
    ]);
    expect(world.announced).toHaveLength(1);
    expect(world.announced[0]).toMatchObject({
      packId: pack.packId,
      edgeId: EDGE,
      attempt: 1,
      key: packKey('main', pack),
    });
    await world.answered('indexed');
    expect(world.shelved).toEqual([`confirm ${pack.packId}`]);
    expect(world.keeper.status()).toMatchObject({ uploadQueue: 0, unanswered: 0 });
    await world.pass(600_000);
    expect(world.announced).toHaveLength(1);
  });

  it('announces with back-off of a second to a minute until it is answered', async () => {
    world.keeper.add(pack);
    await world.pass(10 * 60_000);
    const made = world.announced.length;
    // 1+2+4+8+16+32+60+60+... seconds in ten minutes, up to a fifth less each
    expect(made).toBeGreaterThanOrEqual(14);
    expect(made).toBeLessThanOrEqual(19);
    expect(world.announced.map((a) => a.attempt)).toEqual(Array.from({ length: made }, (_, i) => i + 1));
    expect(world.uploads).toHaveLength(1);
    await world.answered('pending');
    await world.answered('indexed');
    expect(world.shelved).toEqual([`confirm ${pack.packId}`]);
  });

  it('never gives up an upload', async () => {
    world.storeDown = true;
    world.keeper.add(pack);
    await world.pass(30 * 60_000);
    expect(world.uploads.length).toBeGreaterThan(30);
    expect(world.announced).toHaveLength(0);
    world.storeDown = false;
    await world.pass(60_000);
    expect(world.announced[0]).toMatchObject({ attempt: 1 });
  });

  it.each([
    // At 54 s each from 56.7 s on, its retry comes 100 ms after the end of the outage: before theirs.
    ['the old one is due first', 0.5, 650_600, 'old'],
    ['the new ones are due first', 0.5, 600_000, 'new'],
    ['shortest back-off', 1, 600_000, 'new'],
    ['longest back-off', 0, 600_000, 'new'],
  ])('uploads all that waits as soon as one upload succeeds again: %s', async (_name, jitter, outage, first) => {
    world.keeper.stop();
    world = new World(() => jitter);
    world.storeDown = true;
    const others = ['1', '2', '3'].map((n) => ({ ...pack, packId: pack.packId.slice(0, -1) + n }));
    world.keeper.add(pack);
    await world.pass(outage);
    for (const other of others) world.keeper.add(other);
    await world.pass(0);
    world.storeDown = false;
    const before = world.uploads.length;
    let waited = 0;
    for (; world.uploads.length === before && waited <= 1_000; waited += 10) await world.pass(10);
    // The first that succeeds takes all others with it, in the same moment.
    const keys = world.uploads.slice(before).map(({ key }) => key);
    expect(waited).toBeLessThanOrEqual(1_000);
    expect(keys[0]?.includes(pack.packId)).toBe(first === 'old');
    expect(keys).toHaveLength(others.length + 1);
    expect(new Set(keys).size).toBe(others.length + 1);
    expect(world.announced.map(({ attempt }) => attempt)).toEqual([1, 1, 1, 1]);
    // All are announced, so nothing is uploaded again.
    await world.pass(60_000);
    expect(world.uploads).toHaveLength(before + others.length + 1);
  });

  it('announces at once when the bus is back', async () => {
    world.busDown = true;
    world.keeper.add(pack);
    await world.pass(10 * 60_000);
    const before = world.announced.length;
    world.busDown = false;
    world.reconnect();
    await world.pass(0);
    expect(world.announced.length).toBe(before + 1);
    await world.answered('indexed');
    expect(world.shelved).toEqual([`confirm ${pack.packId}`]);
  });

  it('uploads again, over the damaged copy, on command', async () => {
    world.keeper.add(pack);
    await world.pass(0);
    await world.answered('resend');
    expect(world.uploads[1]?.repair).toBe(true);
    expect(world.announced).toHaveLength(2);
    await world.answered('indexed');
    world.confirmed = [pack];
    await world.answered('resend');
    expect(world.shelved).toEqual([`confirm ${pack.packId}`, `unconfirm ${pack.packId}`]);
    expect(world.uploads).toHaveLength(3);
  });

  it('tells again of what is confirmed: a centre that was set back asks for it', async () => {
    const other = { ...pack, packId: '7c1d2e3f-2b6f-4b6e-9d4b-7a1c2b3d4e60' };
    world.confirmed = [other];
    const telling = world.keeper.tellAgain();
    await world.pass(20);
    expect(await telling).toBe(1);
    expect(world.announced).toMatchObject([{ packId: other.packId, key: packKey('main', other) }]);
    await world.answered('indexed');
    expect([world.shelved, world.uploads]).toEqual([[], []]);
    world.confirmed = [pack];
    await world.answered('resend');
    expect(world.uploads[0]).toMatchObject({ repair: true });
    await world.pass(0);
    await world.answered('indexed');
    expect(world.shelved).toEqual([`unconfirm ${pack.packId}`, `confirm ${pack.packId}`]);
  });

  it('keeps what is rejected aside, and takes a later index', async () => {
    world.keeper.add(pack);
    await world.pass(0);
    const outcome = world.keeper.outcome(pack.packId, 60_000);
    await world.answered('rejected');
    expect(await outcome).toBe('rejected');
    expect(world.keeper.status()).toMatchObject({ quarantined: 1, unanswered: 0 });
    await world.pass(600_000);
    expect(world.announced).toHaveLength(1);
    await world.answered('rejected');
    expect(world.shelved).toEqual([`quarantine ${pack.packId}`]);
    world.quarantined = [{ ...pack, path: '/spool/sealed/back.pack' }];
    await world.answered('resend');
    expect(world.uploads[1]?.key).toContain('< /spool/sealed/back.pack');
    await world.answered('indexed');
    expect(world.keeper.status()).toMatchObject({ quarantined: 0 });
    expect(world.shelved).toEqual(['quarantine', 'unquarantine', 'confirm'].map((did) => `${did} ${pack.packId}`));
  });

  it('sends a damaged pack from the quarantine itself, and one that was rejected before the start', async () => {
    world.keeper.add(pack);
    await world.pass(0);
    await world.answered('rejected');
    await world.answered('resend');
    expect(world.uploads[1]?.key).toContain('< /spool/quarantine/');
    world.keeper.stop();
    world = new World();
    world.quarantined = [pack];
    await world.answered('resend');
    expect(world.uploads).toMatchObject([{ repair: true }]);
    await world.answered('indexed');
    expect(world.shelved).toEqual([`unquarantine ${pack.packId}`, `confirm ${pack.packId}`]);
  });

  it('hears only what is meant for this edge, once', async () => {
    world.keeper.add(pack);
    await world.pass(0);
    await world.answered('indexed', 'd2c1f1de-4d0e-4b8e-9a51-0c5b9a1d2e3f');
    expect(world.shelved).toEqual([]);
    await world.answered('indexed');
    await world.answered('indexed');
    await world.answered('rejected');
    expect(world.shelved).toEqual([`confirm ${pack.packId}`]);
  });

  it('tells a waiting sender when no answer comes in time', async () => {
    const outcome = world.keeper.outcome(pack.packId, 1000);
    world.keeper.add(pack);
    await world.pass(1001);
    expect(await outcome).toBeNull();
  });
});
