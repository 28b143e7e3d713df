/** Archives that die in the middle of a retrieval, hang, or lie: what the reader gets, and that nobody else is harmed. */
import { ScriptedArchive, scriptedContent } from '@archipelago/dimse';
import { eventually, startOrthanc, startProxy, type TestOrthanc, type TestProxy } from '@archipelago/testing';
import { study, type Study } from './support/federation';
import { startInFront, type InFront } from './support/in-front';
import { failedUids, type Retrieved } from './support/workstation';

// A circuit that opened again and again stays open for up to a minute.
jest.setTimeout(240_000);

const IMAGES = 24;
/** Slow enough that a reader of three images has others still to come. */
const SLOW_BYTES_PER_SECOND = 100_000;

const CT = '1.2.840.10008.5.1.4.1.1.2';
const ctStudy = (seed: string, count: number): Study =>
  study(seed, { PatientID: seed.toUpperCase(), PatientName: `${seed}^TEST`, StudyDate: '20240110' }, count);
const twin = ctStudy('twin', IMAGES);
const alone = ctStudy('alone', IMAGES);
const calm = ctStudy('calm', 4);
const content = scriptedContent({ studies: 4, seed: 'failing', series: 1, images: 3 });
const sopClasses = [...new Set(content.flatMap((study) => study.series[0]!.images.map((image) => image.sopClass)))];

let first: TestOrthanc;
let firstProxy: TestProxy;
let second: TestOrthanc;
let odd: ScriptedArchive;
let oddProxy: TestProxy;
let federation: InFront;

beforeAll(async () => {
  [first, second] = await Promise.all([startOrthanc({ aet: 'FIRSTPACS' }), startOrthanc({ aet: 'SECONDPACS' })]);
  for (const one of [...twin.instances, ...alone.instances]) await first.rest('POST', '/instances', one.part10());
  for (const one of [...twin.instances, ...calm.instances]) await second.rest('POST', '/instances', one.part10());
  odd = await new ScriptedArchive(content, { get: true }).start();
  firstProxy = await startProxy({ port: first.port });
  oddProxy = await startProxy({ port: odd.port });
  const depth = { harvest: { depth: 'image' } };
  federation = await startInFront([
    { name: 'first', aeTitle: 'FIRSTPACS', port: firstProxy.port, issuer: 'A', ...depth },
    { name: 'second', aeTitle: 'SECONDPACS', port: second.port, issuer: 'A', ...depth },
    { name: 'odd', aeTitle: odd.aeTitle, port: oddProxy.port, issuer: 'B', ...depth },
  ]);
  await federation.known([
    [twin.uid, IMAGES],
    [alone.uid, IMAGES],
    [calm.uid, 4],
    ...content.map((study) => [study.uid, study.series[0]!.images.length] as const),
  ]);
}, 180_000);

afterAll(async () => {
  await federation?.stop();
  await Promise.all([firstProxy?.stop(), oddProxy?.stop(), odd?.stop(), first?.stop(), second?.stop()]);
}, 60_000);

/** Retrieves, and kills the first archive when three of its images have come. */
async function getWhileFirstDies(uid: string): Promise<Retrieved> {
  firstProxy.bytesPerSecond = SLOW_BYTES_PER_SECOND;
  let killed: Promise<void> | undefined;
  const got = await federation.reader.getStudy(uid, [CT], undefined, (received) => {
    if (received === 3) killed = first.kill9();
  });
  await killed;
  firstProxy.bytesPerSecond = 0;
  expect(killed).toBeDefined();
  return got;
}

const getOdd = (n: number): Promise<Retrieved> => federation.reader.getStudy(content[n]!.uid, sopClasses);
const oddCount = (n: number): number => content[n]!.series[0]!.images.length;

async function servedAgain(what: string, get: () => Promise<Retrieved>, count: number): Promise<void> {
  await eventually(
    what,
    async () => {
      const { last, datasets } = await get();
      return last.status === 0 && datasets.size === count;
    },
    90_000,
    500,
  );
}

describe('an archive that is killed in mid-retrieve', () => {
  it('another that has the study gives the rest: all instances, each once, true counts', async () => {
    const got = await getWhileFirstDies(twin.uid);
    expect(got.last).toMatchObject({ status: 0, counts: { remaining: 0, completed: IMAGES, failed: 0, warning: 0 } });
    expect(got.received).toBe(IMAGES);
    expect(got.datasets).toEqual(twin.digests);
    await first.restart();
  });

  it('no other has it: what came is delivered, the rest fails by name; later it is all there', async () => {
    await eventually('the archive is asked again', async () => {
      return (await federation.metric('archipelago_edge_archive_open', { archive: 'first' })) === 0;
    });
    const got = await getWhileFirstDies(alone.uid);
    const { completed, failed } = got.last.counts;
    expect(got.last).toMatchObject({ status: 0xb000, counts: { remaining: 0, warning: 0 } });
    expect(got.last.errorComment).toMatch(/^archive first: /);
    expect([completed, got.received]).toEqual([got.datasets.size, got.datasets.size]);
    expect(completed).toBeGreaterThanOrEqual(3);
    expect(failed).toBeGreaterThan(0);
    const missing = [...alone.digests.keys()].filter((uid) => !got.datasets.has(uid)).sort();
    expect(failedUids(got.last).sort()).toEqual(missing);
    expect(failed).toBe(missing.length);
    for (const [uid, digest] of got.datasets) expect(digest).toBe(alone.digests.get(uid));
    await first.restart();
    await servedAgain('all of it', () => federation.reader.getStudy(alone.uid, [CT]), IMAGES);
    expect((await federation.reader.getStudy(alone.uid, [CT])).datasets).toEqual(alone.digests);
  });
});

describe('an archive that hangs', () => {
  const hung = [
    { how: 'takes requests and answers none', hang: () => (odd.behaviour.hang = true), study: 0 },
    { how: 'takes connections and says nothing', hang: () => (oddProxy.mode = 'hold'), study: 1 },
  ];
  it.each(hung)('$how: is given up in bounded time, while others are served', async ({ hang, study }) => {
    hang();
    let over = false;
    const waiting = getOdd(study).finally(() => (over = true));
    const served = await federation.reader.getStudy(calm.uid, [CT]);
    expect(served.datasets).toEqual(calm.digests);
    expect((await federation.reader.find({ '0020000D': { vr: 'UI', Value: [calm.uid] } })).matches).toHaveLength(1);
    expect(over).toBe(false);
    const { last, received } = await waiting;
    expect(received).toBe(0);
    expect(last).toMatchObject({ status: 0xa702, counts: { completed: 0, failed: oddCount(study) } });
    expect(failedUids(last).sort()).toEqual(content[study]!.series[0]!.images.map((image) => image.uid).sort());
    expect(last.errorComment).toMatch(/^archive odd: archive-/);
    // after some failures nobody waits for it any more
    await eventually(
      'not asked any more',
      async () => {
        const { last: next } = await getOdd(study);
        return next.errorComment === 'archive odd: archive-open';
      },
      60_000,
    );
    odd.behaviour.hang = false;
    oddProxy.cut();
    oddProxy.mode = 'pass';
    // half-open: one trial brings it back
    await servedAgain('asked again', () => getOdd(study), oddCount(study));
    expect(await federation.metric('archipelago_edge_archive_open', { archive: 'odd' })).toBe(0);
  });
});

describe('an archive that sends what was not asked for', () => {
  it('objects of another study: refused, the instances fail by name', async () => {
    odd.behaviour.object = (object) => [{ ...object, '0020000D': { vr: 'UI', Value: [content[3]!.uid] } }];
    const { last, received } = await getOdd(2);
    expect(received).toBe(0);
    expect(last).toMatchObject({ status: 0xa702, counts: { completed: 0, failed: oddCount(2) } });
    expect(failedUids(last)).toHaveLength(oddCount(2));
  });

  it('more instances than it said it has: what was asked for is delivered, and nothing else', async () => {
    odd.behaviour.object = (object) => [
      { ...object, '00080018': { vr: 'UI', Value: [`${String(object['00080018']!.Value![0])}.9`] } },
      object,
    ];
    const { last, datasets, received } = await getOdd(2);
    expect(last).toMatchObject({ status: 0, counts: { completed: oddCount(2), failed: 0 } });
    expect([...datasets.keys()].sort()).toEqual(content[2]!.series[0]!.images.map((image) => image.uid).sort());
    expect(received).toBe(oddCount(2));
    odd.behaviour.object = undefined;
  });
});
