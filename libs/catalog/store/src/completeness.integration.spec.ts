import type { LocateReplyV1, LocateV1, SearchReplyV1, SearchV1 } from '@archipelago/contracts';
import { startPostgres } from '@archipelago/testing';
import { archiveRegistry, readArchives, type ArchiveState } from './read/archives';
import { locate } from './read/locate';
import type { QueryRunner } from './read/runner';
import { search } from './read/search';
import { ct, dicom, imageAnswer, packOf, seriesAnswer, studyAnswer, type Sample } from './spec-kit';
import { specCatalog, type SpecDatabase } from './spec-database';
import { indexPack } from './write/index-pack';
import { applyAssignments } from './write/persons';
import { vanish } from './write/vanish';

let db: SpecDatabase;
let runner: QueryRunner;
specCatalog(startPostgres, (opened) => ({ db, runner } = opened));
beforeEach(() => db.empty());

const ARCHIVES = ['north', 'south'];
const store = (...samples: Sample[]): Promise<unknown> =>
  db.transaction((client) => indexPack(client, { ...packOf(samples), archives: ARCHIVES }));
const AS_OF = '2026-11-25T10:00:00.000Z';
const archive = (name: string, more: Partial<ArchiveState> = {}): ArchiveState => ({
  name,
  state: 'active',
  depth: 'image',
  completeTo: 'image',
  reachable: true,
  asOf: AS_OF,
  ...more,
});
const STUDY = '1.2.826.0.1.1';
const PRINCIPAL = { kind: 'peer' as const, site: 'main', name: 'WS' };

async function ask(
  archives: ArchiveState[],
  level: SearchV1['level'],
  keys: Record<string, string>,
  more: Partial<SearchV1> = {},
): Promise<SearchReplyV1> {
  return search(
    runner,
    {
      principal: PRINCIPAL,
      model: 'study-root',
      level,
      keys: Object.entries(keys).map(([tag, value]) => ({ tag, vr: 'LO', values: value === '' ? [] : [value] })),
      ...more,
    },
    { archives },
  );
}
const states = (reply: SearchReplyV1): string[] => reply.notices.map((one) => `${one.archive} ${one.state}`);

describe('what an answer may miss', () => {
  it('is nothing without archives, or where all is known', async () => {
    expect(await ask([], 'IMAGE', { '00080018': '' })).toMatchObject({ notices: [], unsupported: [] });
    expect(await ask([archive('north')], 'IMAGE', { '00080018': '', '00200013': '' })).toMatchObject({
      notices: [],
      unsupported: [],
    });
  });

  it('is told of each archive, with the time that it was read', async () => {
    const reply = await ask(
      [
        archive('a', { reachable: false }),
        archive('b', { state: 'paused' }),
        archive('c', { asOf: null, completeTo: 'none' }),
        archive('d', { state: 'unknown', asOf: null, completeTo: 'none', depth: 'none' }),
        archive('e'),
      ],
      'STUDY',
      { '0020000D': '' },
    );
    expect(reply.notices).toEqual([
      { archive: 'a', state: 'unreachable', asOf: AS_OF },
      { archive: 'b', state: 'paused', asOf: AS_OF },
      { archive: 'c', state: 'harvesting' },
      { archive: 'd', state: 'not harvested' },
    ]);
    expect(reply.unsupported).toEqual([]);
  });

  it('depends on how deep the question is', async () => {
    const shallow = archive('north', { depth: 'study', completeTo: 'study' });
    expect(states(await ask([shallow], 'STUDY', { '0020000D': '' }))).toEqual([]);
    const series = await ask([shallow], 'SERIES', { '0020000E': '', '00080060': '', '00081030': '' });
    expect(states(series)).toEqual(['north study-depth']);
    expect(series.unsupported).toEqual(['00080060']);
    expect(states(await ask([shallow], 'STUDY', { '00080060': 'CT' }, { relational: true }))).toEqual([
      'north study-depth',
    ]);
    const loading = archive('north', { depth: 'full', completeTo: 'series' });
    expect(states(await ask([loading], 'SERIES', { '0020000E': '' }))).toEqual([]);
    const images = await ask([loading, archive('south', { depth: 'series', completeTo: 'series' })], 'IMAGE', {
      '00080018': '',
      '00200013': '',
      '00080060': '',
    });
    expect(states(images)).toEqual(['north harvesting', 'south series-depth']);
    expect(images.unsupported).toEqual(['00200013']);
    expect(states(await ask([archive('north')], 'IMAGE', { '00720002': '' }, { model: 'patientless' }))).toEqual([
      'north not harvested',
    ]);
  });

  it('is read from the table of tag-replication, where there is one', async () => {
    expect(await readArchives(runner)).toEqual([]);
    expect(await readArchives(runner, ['north'])).toEqual([
      { name: 'north', state: 'unknown', depth: 'none', completeTo: 'none', reachable: true, asOf: null },
    ]);
    await db.rows('CREATE TABLE archive (name text PRIMARY KEY, position int, issuer text, site text)');
    await db.rows("INSERT INTO archive VALUES ('gone', 0, NULL), ('south', 1, 'SOUTH'), ('east', 2, NULL)");
    await db.rows(
      'CREATE TABLE archive_status (name text PRIMARY KEY, site text, state text, depth text, reachable boolean, as_of timestamptz, complete_to text)',
    );
    await db.rows(
      `INSERT INTO archive_status VALUES ('gone', 'main', 'removed', 'full', true, now(), 'full'), ('east', 'main', 'active', 'full', false, $1, 'series'),
         ('south', 'main', 'paused', 'image', NULL, NULL, 'none')`,
      [AS_OF],
    );
    expect(await readArchives(runner, ['south', 'north'])).toEqual([
      { name: 'south', state: 'paused', depth: 'image', completeTo: 'none', reachable: true, asOf: null },
      { name: 'east', state: 'active', depth: 'full', completeTo: 'series', reachable: false, asOf: AS_OF },
      { name: 'north', state: 'unknown', depth: 'none', completeTo: 'none', reachable: true, asOf: null },
    ]);
    expect(await db.withClient((client) => archiveRegistry(client))).toEqual([
      { name: 'gone', issuer: null, site: null, aeTitle: null },
      { name: 'south', issuer: 'SOUTH', site: null, aeTitle: null },
      { name: 'east', issuer: null, site: null, aeTitle: null },
    ]);
    await db.rows('DROP TABLE archive_status, archive');
    expect(await db.withClient((client) => archiveRegistry(client))).toEqual([]);
  });
});

describe('availability', () => {
  const of = async (level: SearchV1['level'], archives: ArchiveState[], key: string): Promise<unknown[]> => {
    const { matches } = await ask(archives, level, { '0020000D': STUDY, [key]: '', '00080056': '' });
    return matches.map((match) => match['00080056']?.Value?.[0 as never]);
  };

  it('is ONLINE of what is held, NEARLINE of what an archive has, OFFLINE while that cannot be reached', async () => {
    await store(
      studyAnswer('north', '1', { '00201206': 2, '00201208': 3 }),
      seriesAnswer('north', '1', 1),
      seriesAnswer('north', '1', 2),
      imageAnswer('north', '1', 1, 1),
      imageAnswer('north', '1', 1, 2),
      imageAnswer('north', '1', 2, 3),
    );
    const up = [archive('north'), archive('south')];
    const down = [archive('north', { reachable: false }), archive('south')];
    expect(await of('STUDY', up, '00081030')).toEqual(['NEARLINE']);
    expect(await of('STUDY', down, '00081030')).toEqual(['OFFLINE']);
    await store(
      { header: ct('1', 1, 1), origin: 'fetched', source: 'north' },
      { header: ct('1', 1, 2), origin: 'fetched', source: 'north' },
    );
    expect(await of('STUDY', up, '00081030')).toEqual(['NEARLINE']);
    expect(await of('SERIES', up, '0020000E')).toEqual(['ONLINE', 'NEARLINE']);
    expect(await of('SERIES', down, '0020000E')).toEqual(['ONLINE', 'OFFLINE']);
    expect(await of('IMAGE', up, '00080018')).toEqual(['ONLINE', 'ONLINE', 'NEARLINE']);
    await store(imageAnswer('south', '1', 2, 3), studyAnswer('south', '1', { '00201208': 1 }));
    expect(await of('IMAGE', down, '00080018')).toEqual(['ONLINE', 'ONLINE', 'NEARLINE']);
    await store({ header: ct('1', 2, 3), origin: 'fetched', source: 'north' });
    expect(await of('STUDY', down, '00081030')).toEqual(['ONLINE']);
    expect(await of('STUDY', [], '00081030')).toEqual(['ONLINE']);
  });

  it('of a study harvested no deeper is that of its archive', async () => {
    await store(studyAnswer('north', '1'));
    expect(await of('STUDY', [archive('north')], '00081030')).toEqual(['NEARLINE']);
    const { matches } = await ask([archive('north')], 'STUDY', { '0020000D': STUDY });
    expect(matches[0]).not.toHaveProperty('00080056');
  });
});

describe('locating what archives have', () => {
  const up = [archive('north'), archive('south')];
  const where = (archives: ArchiveState[], more: Partial<LocateV1>): Promise<LocateReplyV1> =>
    locate(runner, { principal: PRINCIPAL, model: 'study-root', level: 'STUDY', ...more }, { archives });
  const asked = (reply: LocateReplyV1): [string, number, string[] | undefined][] =>
    reply.instances.map((one) => [one.sopInstanceUid.replace(STUDY, ''), one.copies.length, one.archives]);

  it('names the archives of each instance, those that can be reached first, without what has vanished', async () => {
    await store(
      studyAnswer('north', '1', { '00201208': 2 }),
      studyAnswer('south', '1', { '00201208': 2 }),
      imageAnswer('north', '1', 1, 1),
      imageAnswer('north', '1', 1, 2),
      imageAnswer('south', '1', 1, 2),
      imageAnswer('south', '1', 1, 3),
    );
    await store({ header: ct('1', 1, 1), origin: 'fetched', source: 'north' }, { header: ct('1', 1, 9) });
    const reply = await where(up, { studyInstanceUids: [STUDY] });
    expect(reply).toMatchObject({ total: 4, patients: 1 });
    expect(reply.shallow).toBeUndefined();
    expect(asked(reply)).toEqual([
      ['.1.1', 1, ['north']],
      ['.1.2', 0, ['north', 'south']],
      ['.1.3', 0, ['south']],
      ['.1.9', 1, undefined],
    ]);
    const down = [archive('north', { reachable: false }), archive('south')];
    expect(asked(await where(down, { studyInstanceUids: [STUDY] }))[1]).toEqual(['.1.2', 0, ['south', 'north']]);
    expect(asked(await where([], { studyInstanceUids: [STUDY] }))[1]).toEqual(['.1.2', 0, undefined]);
    await db.transaction((client) =>
      vanish(client, { archive: 'south', level: 'IMAGE', uids: [`${STUDY}.1.2`, `${STUDY}.1.3`], asOf: AS_OF }),
    );
    expect(asked(await where(up, { studyInstanceUids: [STUDY] }))).toEqual([
      ['.1.1', 1, ['north']],
      ['.1.2', 0, ['north']],
      ['.1.9', 1, undefined],
    ]);
  });

  it('names the studies of which an archive has more than is known', async () => {
    await store(studyAnswer('north', '1', { '00201208': 2 }), studyAnswer('south', '1', { '00201208': null }));
    const both = [
      { archive: 'north', studyInstanceUid: STUDY },
      { archive: 'south', studyInstanceUid: STUDY },
    ];
    const reply = await where(up, { studyInstanceUids: [STUDY] });
    expect(reply).toMatchObject({ total: 0, instances: [], shallow: both });
    expect((await where(up, { patientIds: ['P1'], model: 'patient-root', level: 'PATIENT' })).shallow).toEqual(both);
    expect((await where(up, { studyInstanceUids: ['1.2.3'] })).shallow).toBeUndefined();
    expect((await where([], { studyInstanceUids: [STUDY] })).shallow).toBeUndefined();
    // fetched, without having been asked for its images: what the archive claims is there
    await store(
      ...[1, 2].map((number) => ({ header: ct('1', 1, number), origin: 'fetched' as const, source: 'north' })),
    );
    expect((await where(up, { studyInstanceUids: [STUDY] })).shallow).toEqual([both[1]]);
    expect(
      (await where(up, { studyInstanceUids: [STUDY], level: 'IMAGE', sopInstanceUids: [`${STUDY}.1.1`] })).shallow,
    ).toBeUndefined();
    expect(
      (await where(up, { studyInstanceUids: [STUDY], level: 'IMAGE', sopInstanceUids: [`${STUDY}.1.7`] })).shallow,
    ).toEqual([both[1]]);
    await store(seriesAnswer('south', '1', 1), imageAnswer('south', '1', 1, 1));
    expect((await where(up, { studyInstanceUids: [STUDY] })).shallow).toBeUndefined();
    await store(seriesAnswer('south', '1', 2));
    expect((await where(up, { studyInstanceUids: [STUDY] })).shallow).toEqual([both[1]]);
  });

  it('finds them of all identities of a person', async () => {
    const input = {
      ...packOf([studyAnswer('north', '1'), studyAnswer('south', '2', { '00100020': 'S1' })]),
      archives: ARCHIVES,
    };
    await db.transaction((client) =>
      indexPack(client, { ...input, defaultIssuer: (entry) => entry.source.toUpperCase() }),
    );
    await db.rows("INSERT INTO identity_assignment SELECT id, 'AR0000000000PX', 1 FROM patient");
    const ids = (await db.rows<{ id: string }>('SELECT id::text FROM patient')).map((row) => row.id);
    await db.transaction((client) => applyAssignments(client, { patientIds: ids, studyIds: [] }));
    const reply = await where(up, {
      principal: { ...PRINCIPAL, issuer: 'NORTH' },
      model: 'patient-root',
      level: 'PATIENT',
      patientIds: ['P1'],
    });
    expect(reply.shallow).toEqual([
      { archive: 'north', studyInstanceUid: STUDY },
      {
        archive: 'south',
        studyInstanceUid: '1.2.826.0.1.2',
        // as a query of the same peer shows it
        overlay: {
          set: { '00100020': { vr: 'LO', Value: ['P1'] }, '00100021': { vr: 'LO', Value: ['NORTH'] } },
          removed: ['00100024'],
        },
      },
    ]);
  });

  it('of objects without a patient has no archives to name', async () => {
    await store({
      header: dicom({
        '00080016': '1.2.840.10008.5.1.4.38.1',
        '00080018': '1.2.9',
        '00720002': 'CHEST',
      }),
    });
    expect(await where(up, { model: 'patientless', level: 'IMAGE', sopInstanceUids: ['1.2.9'] })).toMatchObject({
      total: 1,
    });
  });
});
