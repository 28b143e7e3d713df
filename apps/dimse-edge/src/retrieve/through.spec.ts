import type { ArrivedCopyV1, FetchTargetV1, LocatedInstanceV1, LocateReplyV1, LocateV1 } from '@archipelago/contracts';
import type { LegEvent } from '../fetch/fetch-leg';
import { Through, type ThroughDeps } from './through';

const CT = '1.2.840.10008.5.1.4.1.1.2';
const SR = '1.2.840.10008.5.1.4.1.1.88.22';
const WHO = { kind: 'peer', site: 'main', name: 'WS' } as const;
const STUDY: LocateV1 = { principal: WHO, model: 'study-root', level: 'STUDY', studyInstanceUids: ['1.2'] };

function instance(n: number, over: Partial<LocatedInstanceV1> = {}): LocatedInstanceV1 {
  return {
    sopInstanceUid: `1.2.3.${n}`,
    sopClassUid: CT,
    studyInstanceUid: '1.2',
    seriesInstanceUid: '1.2.3',
    wireDigest: '',
    copies: [],
    archives: ['north', 'south'],
    ...over,
  };
}

function copyOf(n: number): ArrivedCopyV1 {
  return {
    sopInstanceUid: `1.2.3.${n}`,
    sopClassUid: CT,
    studyInstanceUid: '1.2',
    seriesInstanceUid: '1.2.3',
    packId: '9b2c7a4e-1df4-4c1e-9d3a-0a1b2c3d4e5f',
    edgeId: '3b241101-e2bb-4255-8caf-4136c566a962',
    url: 'http://edge',
    datasetOffset: n * 1000,
    datasetLength: 900,
    transferSyntaxUid: '1.2.840.10008.1.2.1',
    wireDigest: 'ab'.repeat(32),
  };
}

const arrive = (...ns: number[]): LegEvent[] => ns.map((n) => ({ kind: 'copy', copy: copyOf(n) }));
const END: LegEvent = { kind: 'end', outcome: 'complete' };

interface Asked {
  target: FetchTargetV1;
  archives: string[];
  lost?: string;
}

/** Archives that give these events, leg after leg; `null`: nobody can be asked. */
function through(
  locate: LocateV1,
  legs: (LegEvent[] | 'lost' | null)[],
): { through: Through; asked: Asked[]; failed: string[] } {
  const asked: Asked[] = [];
  const failed: string[] = [];
  const running: (LegEvent[] | 'lost')[] = [];
  const deps: ThroughDeps = {
    signal: new AbortController().signal,
    ensure: (target, archives, lost) => {
      asked.push({ target, archives: [...archives], ...(lost === undefined ? {} : { lost }) });
      const leg = legs.shift() ?? null;
      if (leg === null)
        return Promise.resolve({ refused: archives.map((archive) => ({ archive, code: 'archive-open' })) });
      running.push(leg);
      const legId = `leg-${asked.length}`;
      return Promise.resolve({ leg: { legId, archive: archives[0]!, edgeId: 'e', url: 'u', grant: 'g' }, refused: [] });
    },
    async *follow() {
      const events = running.shift()!;
      if (events === 'lost') throw Object.assign(new Error('gone'), { code: 'leg-lost' });
      for (const event of events) {
        await new Promise((resolve) => setImmediate(resolve));
        yield event;
      }
    },
    failed: (archive, code) => failed.push(`${archive} ${code}`),
    fetched: () => undefined,
  };
  return { through: new Through(locate, deps), asked, failed };
}

async function* pagesOf(...pages: Partial<LocateReplyV1>[]): AsyncGenerator<LocateReplyV1> {
  for (const page of pages) yield await Promise.resolve({ total: 0, instances: [], ...page });
}

async function all(pages: AsyncIterable<LocateReplyV1>): Promise<{ uids: string[]; without: string[]; total: number }> {
  const uids: string[] = [];
  const without: string[] = [];
  let total = -1;
  for await (const page of pages) {
    if (total === -1) total = page.total;
    for (const { sopInstanceUid, copies } of page.instances) {
      uids.push(sopInstanceUid);
      if (copies.length === 0) without.push(sopInstanceUid);
    }
  }
  return { uids, without, total };
}

const HERE = { copies: [{ ...copyOf(0), store: 'fs', key: 'k' }] };

describe('retrieval through to archives', () => {
  it('passes on what is here, page by page, and asks nobody', async () => {
    const { through: t, asked } = through(STUDY, []);
    const pages = pagesOf(
      { total: 2, instances: [instance(1, HERE)], cursor: 'c' },
      { total: 2, instances: [instance(2, HERE)] },
    );
    expect(await all(t.pages(pages))).toEqual({ uids: ['1.2.3.1', '1.2.3.2'], without: [], total: 2 });
    expect(asked).toEqual([]);
  });

  it('asks once for a study, with the classes of all pages, and gives what arrives', async () => {
    const { through: t, asked, failed } = through(STUDY, [[...arrive(3, 1, 2), END]]);
    const pages = pagesOf(
      { total: 4, instances: [instance(1), instance(4, HERE)], cursor: 'c' },
      { total: 4, instances: [instance(2), instance(3, { sopClassUid: SR })] },
    );
    expect(await all(t.pages(pages))).toEqual({
      uids: ['1.2.3.4', '1.2.3.3', '1.2.3.1', '1.2.3.2'],
      without: [],
      total: 4,
    });
    expect(asked).toEqual([
      { target: { studyInstanceUid: '1.2', sopClasses: [CT, SR] }, archives: ['north', 'south'] },
    ]);
    expect(failed).toEqual([]);
  });

  it('asks the next archive for what the first did not give', async () => {
    const { through: t, asked } = through(STUDY, [
      [...arrive(1), { kind: 'end', outcome: 'partial', code: 'archive-timeout' }],
      [...arrive(1, 2), END],
    ]);
    expect(await all(t.pages(pagesOf({ total: 2, instances: [instance(1), instance(2)] })))).toEqual({
      uids: ['1.2.3.1', '1.2.3.2'],
      without: [],
      total: 2,
    });
    expect(asked.map((a) => a.archives)).toEqual([['north', 'south'], ['south']]);
    expect(t.trouble).toBe('archive-timeout');
  });

  it('names what no archive could give, without copies', async () => {
    const { through: t, failed } = through(STUDY, [[...arrive(2), END], null]);
    const got = await all(t.pages(pagesOf({ total: 3, instances: [instance(1), instance(2), instance(3)] })));
    expect(got).toEqual({ uids: ['1.2.3.2', '1.2.3.1', '1.2.3.3'], without: ['1.2.3.1', '1.2.3.3'], total: 3 });
    expect(failed).toEqual(['south archive-open']);
  });

  it('asks again when a fetch is lost, and only once', async () => {
    const { through: t, asked } = through(STUDY, ['lost', [...arrive(1), END]]);
    expect((await all(t.pages(pagesOf({ total: 1, instances: [instance(1)] })))).without).toEqual([]);
    expect(asked.map((a) => [a.archives, a.lost])).toEqual([
      [['north', 'south'], undefined],
      [['north', 'south'], 'leg-1'],
    ]);
    const { through: again, asked: askedAgain } = through(STUDY, ['lost', 'lost', 'lost', null]);
    expect((await all(again.pages(pagesOf({ total: 1, instances: [instance(1)] })))).without).toEqual(['1.2.3.1']);
    expect(askedAgain.length).toBe(4);
  });

  it('counts what the archive says of a study that is known by itself only', async () => {
    const expected: LegEvent = {
      kind: 'expected',
      instances: [1, 2].map((n) => ({ sopInstanceUid: `1.2.3.${n}`, sopClassUid: CT, seriesInstanceUid: '1.2.3' })),
    };
    const { through: t, asked } = through(STUDY, [[expected, ...arrive(1, 2), END]]);
    const shallow = [{ archive: 'north', studyInstanceUid: '1.2' }];
    expect(await all(t.pages(pagesOf({ total: 0, instances: [], shallow })))).toEqual({
      uids: ['1.2.3.1', '1.2.3.2'],
      without: [],
      total: 2,
    });
    expect(asked[0]).toEqual({ target: { studyInstanceUid: '1.2', sopClasses: [] }, archives: ['north'] });
  });

  it('asks for the series alone where the request means them', async () => {
    const locate: LocateV1 = { ...STUDY, level: 'SERIES', seriesInstanceUids: ['1.2.3'] };
    const { through: t, asked } = through(locate, [[...arrive(1), END]]);
    await all(t.pages(pagesOf({ total: 1, instances: [instance(1)] })));
    expect(asked[0]?.target).toEqual({ studyInstanceUid: '1.2', seriesInstanceUids: ['1.2.3'], sopClasses: [CT] });
  });

  it('takes the class from what arrives, where the archive had not said it', async () => {
    const { through: t, asked } = through(STUDY, [[...arrive(1), END]]);
    const classes: string[] = [];
    for await (const page of t.pages(pagesOf({ total: 1, instances: [instance(1, { sopClassUid: '' })] })))
      classes.push(...page.instances.map((one) => one.sopClassUid));
    expect(classes).toEqual([CT]);
    expect(asked[0]?.target.sopClasses).toEqual([]);
  });

  it('leaves what has neither copy nor archive as it is', async () => {
    const { through: t, asked } = through(STUDY, []);
    const got = await all(t.pages(pagesOf({ total: 1, instances: [instance(1, { archives: [] })] })));
    expect(got).toEqual({ uids: ['1.2.3.1'], without: ['1.2.3.1'], total: 1 });
    expect(asked).toEqual([]);
  });
});
