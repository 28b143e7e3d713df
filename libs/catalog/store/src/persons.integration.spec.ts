import { superId } from '@archipelago/catalog-model';
import type { LocateV1, Principal, SearchV1 } from '@archipelago/contracts';
import { startPostgres } from '@archipelago/testing';
import { identitiesAsked } from './read/identities-asked';
import { locate } from './read/locate';
import type { QueryRunner } from './read/runner';
import { search } from './read/search';
import { rebuildPresentation } from './rebuild';
import { recount } from './recount';
import { ct, imageAnswer, packOf, studyAnswer, type Plain, type Sample } from './spec-kit';
import { specCatalog, type SpecDatabase } from './spec-database';
import { indexPack } from './write/index-pack';
import type { IndexPackInput } from './write/index-pack.types';
import { applyAssignments } from './write/persons';
import type { Regrouped } from './write/regroup';

let db: SpecDatabase;
let runner: QueryRunner;
specCatalog(startPostgres, (opened) => ({ db, runner } = opened));
const packs: IndexPackInput[] = [];
beforeEach(async () => {
  packs.length = 0;
  await db.empty();
});

const ARCHIVES = ['north', 'south'];
const ISSUERS: Record<string, string> = { north: 'NORTH', south: 'SOUTH' };
async function store(...samples: Sample[]): Promise<void> {
  const input = {
    ...packOf(samples),
    archives: ARCHIVES,
    defaultIssuer: (entry: { source: string }) => ISSUERS[entry.source] ?? '',
  };
  packs.push(input);
  await db.transaction((client) => indexPack(client, input));
}

const NORTH: Principal = { kind: 'peer', site: 'main', name: 'WSN', issuer: 'NORTH' };
const SOUTH: Principal = { kind: 'peer', site: 'main', name: 'WSS', issuer: 'SOUTH' };
const ANY: Principal = { kind: 'peer', site: 'main', name: 'WS' };
type Level = SearchV1['level'];

async function find(principal: Principal, level: Level, keys: Plain): Promise<Record<string, unknown>[]> {
  const { matches } = await search(runner, {
    principal,
    model: level === 'PATIENT' ? 'patient-root' : 'study-root',
    level,
    keys: Object.entries(keys).map(([tag, value]) => ({
      tag,
      vr: 'LO',
      values: value === '' || value === null ? [] : Array.isArray(value) ? value.map(String) : [String(value)],
    })),
  });
  return matches.map((match) =>
    Object.fromEntries(
      Object.keys(keys).map((tag) => {
        const values = match[tag]?.Value as unknown[] | undefined;
        return [tag, values?.length === 1 ? values[0] : values];
      }),
    ),
  );
}
/** UIDs of the studies that a query by PatientID finds. */
async function uidsOf(principal: Principal, keys: Plain): Promise<string[]> {
  const found = await find(principal, 'STUDY', { ...keys, '0020000D': '' });
  return found.map((row) => String(row['0020000D']).replace('1.2.826.0.1.', '')).sort();
}
const patientRow = async (patientId: string, issuer: string): Promise<string> =>
  (
    await db.rows<{ id: string }>('SELECT id::text FROM patient WHERE patient_id = $1 AND issuer = $2', [
      patientId,
      issuer,
    ])
  )[0]!.id;
const studyRow = async (uid: string, issuer: string): Promise<string> =>
  (
    await db.rows<{ id: string }>('SELECT id::text FROM study WHERE study_instance_uid = $1 AND issuer = $2', [
      `1.2.826.0.1.${uid}`,
      issuer,
    ])
  )[0]!.id;

/** As identity-resolution does: the row, then the message. */
async function assign(person: string | null, ...patients: [string, string][]): Promise<Regrouped> {
  const ids = await Promise.all(patients.map(([id, issuer]) => patientRow(id, issuer)));
  for (const id of ids) {
    await db.rows('DELETE FROM identity_assignment WHERE patient = $1', [id]);
    if (person !== null)
      await db.rows(
        'INSERT INTO identity_assignment (patient, person, revision) VALUES ($1, $2, 1) ON CONFLICT (patient) DO UPDATE SET person = excluded.person',
        [id, person],
      );
  }
  return db.transaction((client) =>
    applyAssignments(client, { patientIds: ids, studyIds: [] }, { archives: ARCHIVES }),
  );
}
async function assignStudy(person: string | null, uid: string, issuer: string): Promise<Regrouped> {
  const id = await studyRow(uid, issuer);
  await db.rows('DELETE FROM identity_study_assignment WHERE study = $1', [id]);
  if (person !== null)
    await db.rows('INSERT INTO identity_study_assignment (study, person, revision) VALUES ($1, $2, 1)', [id, person]);
  return db.transaction((client) =>
    applyAssignments(client, { patientIds: [], studyIds: [id] }, { archives: ARCHIVES }),
  );
}
const PERSON = 'AR0000000000PX';

/** All rows with their keys, without counters and times of change. */
async function everything(): Promise<object> {
  const of = (table: string): Promise<object[]> =>
    db.rows(`SELECT to_jsonb(t) - 'revision' - 'changed_at' - 'changed_xid' AS row FROM ${table} t ORDER BY id`);
  return {
    patients: await of('patient'),
    studies: await of('study'),
    series: await of('series'),
    instances: await of('instance'),
  };
}

/** North's P1 and South's S1 are one person; study 1 is in both archives, 2 in north, 3 in south; P9 is somebody else. */
async function twoArchives(): Promise<void> {
  await store(
    studyAnswer('north', '1', { '00100010': 'Doe^John', '00081030': 'North', '00201206': 1, '00201208': 2 }),
    imageAnswer('north', '1', 1, 1),
    imageAnswer('north', '1', 1, 2),
    studyAnswer('north', '2', { '00100020': 'P1', '00201206': 1, '00201208': 5 }),
  );
  await store(
    studyAnswer('south', '1', {
      '00100010': 'Doe^J',
      '00100020': 'S1',
      '00081030': 'South',
      '00200010': 'SID',
      '00201208': 2,
    }),
    imageAnswer('south', '1', 1, 2),
    imageAnswer('south', '1', 2, 3),
    studyAnswer('south', '3', { '00100010': 'Doe^J', '00100020': 'S1', '00201206': 2, '00201208': 7 }),
  );
  // the same number in the south is another person's
  await store(studyAnswer('south', '4', { '00100010': 'Other^Person', '00100020': 'P1' }));
}

describe('persons', () => {
  it('have a super-id from the beginning, in the database the same as in the model', async () => {
    await twoArchives();
    const rows = await db.rows<{ patient_id: string; issuer: string; scope: string; person: string; again: string }>(
      'SELECT patient_id, issuer, scope, person, super_id(issuer, patient_id, scope) AS again FROM patient',
    );
    expect(rows).toHaveLength(3);
    for (const { patient_id: patientId, issuer, scope, person, again } of rows) {
      expect(person).toBe(superId({ patientId, issuer, scope }));
      expect(again).toBe(person);
      expect(person).toMatch(/^AR[0-9A-HJKMNP-TV-Z]{12}$/);
    }
    expect(await uidsOf(ANY, { '00100020': superId({ patientId: 'S1', issuer: 'SOUTH', scope: '' }) })).toEqual([
      '1',
      '3',
    ]);
  });

  it('with one identity are shown as they stand, but to whom the id would mean somebody else', async () => {
    await twoArchives();
    expect(await find(NORTH, 'STUDY', { '0020000D': '1.2.826.0.1.2', '00100020': '', '00100021': '' })).toEqual([
      { '0020000D': '1.2.826.0.1.2', '00100020': 'P1', '00100021': 'NORTH' },
    ]);
    expect(await find(ANY, 'STUDY', { '0020000D': '1.2.826.0.1.4', '00100020': '', '00100021': '' })).toEqual([
      { '0020000D': '1.2.826.0.1.4', '00100020': 'P1', '00100021': 'SOUTH' },
    ]);
    const person = superId({ patientId: 'P1', issuer: 'SOUTH', scope: '' });
    expect(
      await find(NORTH, 'STUDY', { '0020000D': '1.2.826.0.1.4', '00100020': '', '00100021': '', '00100010': '' }),
    ).toEqual([
      {
        '0020000D': '1.2.826.0.1.4',
        '00100020': person,
        '00100021': 'ARCHIPELAGO',
        '00100010': { Alphabetic: 'Other^Person' },
      },
    ]);
    expect(await uidsOf(NORTH, { '00100020': person })).toEqual(['4']);
    expect(await uidsOf(NORTH, { '00100020': 'P1' })).toEqual(['1', '2']);
    expect(await uidsOf(SOUTH, { '00100020': 'P1' })).toEqual(['4']);
    expect(await uidsOf(ANY, { '00100020': 'P1' })).toEqual([]);
  });

  it("linked, show all studies once, by any of their ids, with the home issuer's id", async () => {
    await twoArchives();
    const { studies } = await assign(PERSON, ['P1', 'NORTH'], ['S1', 'SOUTH']);
    expect(studies.length).toBeGreaterThan(0);
    for (const [principal, id] of [
      [NORTH, 'P1'],
      [SOUTH, 'S1'],
      [ANY, PERSON],
      [NORTH, PERSON],
    ] as const)
      expect([principal.issuer, id, await uidsOf(principal, { '00100020': id })]).toEqual([
        principal.issuer,
        id,
        ['1', '2', '3'],
      ]);
    expect(await uidsOf(NORTH, { '00100020': 'S1', '00100021': 'SOUTH' })).toEqual(['1', '2', '3']);
    expect(await uidsOf(NORTH, { '00100020': 'S1' })).toEqual([]);
    expect(await uidsOf(SOUTH, { '00100020': 'P1' })).toEqual(['4']);
    const keys = {
      '0020000D': '1.2.826.0.1.1',
      '00100020': '',
      '00100021': '',
      '00081030': '',
      '00200010': '',
      '00201206': '',
      '00201208': '',
    };
    const shown = { '0020000D': '1.2.826.0.1.1', '00081030': 'North', '00200010': 'SID', '00201206': 2, '00201208': 3 };
    expect(await find(NORTH, 'STUDY', keys)).toEqual([{ ...shown, '00100020': 'P1', '00100021': 'NORTH' }]);
    expect(await find(SOUTH, 'STUDY', keys)).toEqual([{ ...shown, '00100020': 'S1', '00100021': 'SOUTH' }]);
    expect(await find(ANY, 'STUDY', keys)).toEqual([{ ...shown, '00100020': PERSON, '00100021': 'ARCHIPELAGO' }]);
    expect(
      await find(NORTH, 'SERIES', { '0020000D': '1.2.826.0.1.1', '0020000E': '', '00201209': '', '00100020': '' }),
    ).toEqual([
      { '0020000D': '1.2.826.0.1.1', '0020000E': '1.2.826.0.1.1.1', '00201209': 2, '00100020': 'P1' },
      { '0020000D': '1.2.826.0.1.1', '0020000E': '1.2.826.0.1.1.2', '00201209': 1, '00100020': 'P1' },
    ]);
    const images = await find(NORTH, 'IMAGE', { '0020000D': '1.2.826.0.1.1', '00080018': '', '00100020': 'P1' });
    expect(images.map((row) => row['00080018']).sort()).toEqual([
      '1.2.826.0.1.1.1.1',
      '1.2.826.0.1.1.1.2',
      '1.2.826.0.1.1.2.3',
    ]);
    expect(
      await find(NORTH, 'PATIENT', {
        '00100020': 'P1',
        '00201200': '',
        '00201202': '',
        '00201204': '',
        '00100010': '',
      }),
    ).toEqual([
      { '00100020': 'P1', '00201200': 3, '00201202': 5, '00201204': 15, '00100010': { Alphabetic: 'Doe^John' } },
    ]);
    const others = await search(runner, {
      principal: NORTH,
      model: 'patient-root',
      level: 'PATIENT',
      keys: [
        { tag: '00100020', vr: 'LO', values: ['P1'] },
        { tag: '00101002', vr: 'SQ', values: [], items: [] },
      ],
    });
    expect(others.matches[0]?.['00101002']?.Value).toEqual([
      { '00100020': { vr: 'LO', Value: ['S1'] }, '00100021': { vr: 'LO', Value: ['SOUTH'] } },
    ]);
    // everybody is listed once
    expect(await find(NORTH, 'PATIENT', { '00100020': '', '00100010': '' })).toHaveLength(2);
    expect(await find(NORTH, 'STUDY', { '0020000D': '', '00201200': '' })).toHaveLength(4);
    expect(await db.withClient((client) => recount(client))).toEqual([]);
  });

  it('are retrieved by any of their ids as one, and several persons are counted', async () => {
    await twoArchives();
    const located = async (principal: Principal, more: Partial<LocateV1>): Promise<[number, number | undefined]> => {
      const { total, patients } = await locate(runner, { principal, model: 'patient-root', level: 'PATIENT', ...more });
      return [total, patients];
    };
    expect(await located(NORTH, { patientIds: ['P1'] })).toEqual([2, 1]);
    await assign(PERSON, ['P1', 'NORTH'], ['S1', 'SOUTH']);
    expect(await located(NORTH, { patientIds: ['P1'] })).toEqual([3, 1]);
    expect(await located(SOUTH, { patientIds: ['S1'] })).toEqual([3, 1]);
    expect(await located(NORTH, { patientIds: ['S1'] })).toEqual([0, 0]);
    expect(await located(NORTH, { patientIds: ['S1'], issuerOfPatientId: 'SOUTH' })).toEqual([3, 1]);
    expect(await located(ANY, { patientIds: [PERSON] })).toEqual([3, 1]);
    expect(await located(ANY, { studyInstanceUids: ['1.2.826.0.1.1'] })).toEqual([3, 1]);
    expect(await located(ANY, { sopInstanceUids: ['1.2.826.0.1.1.2.3'] })).toEqual([1, 1]);
    await assign(null, ['S1', 'SOUTH']);
    expect(await located(ANY, { studyInstanceUids: ['1.2.826.0.1.1'] })).toEqual([3, 2]);
  });

  it('have all their ids named by whichever of them is asked for, never by the same number of somebody else', async () => {
    await twoArchives();
    await assign(PERSON, ['P1', 'NORTH'], ['S1', 'SOUTH']);
    const idsOf = async (principal: Principal, keys: SearchV1['keys'], most = 10): Promise<unknown> => {
      const request: SearchV1 = { principal, model: 'study-root', level: 'STUDY', keys };
      const asked = await db.transaction((client) => identitiesAsked(client, request, most));
      return asked && [asked.identities.map(({ issuer, patientId }) => `${issuer} ${patientId}`).sort(), asked.more];
    };
    const key = (tag: string, ...values: string[]): object => ({ tag, vr: 'LO', values });
    expect(await idsOf(NORTH, [key('00100020', 'P1')])).toEqual([['NORTH P1', 'SOUTH S1'], false]);
    expect(await idsOf(SOUTH, [key('00100020', 'S1')])).toEqual([['NORTH P1', 'SOUTH S1'], false]);
    expect(await idsOf(ANY, [key('00100020', PERSON)])).toEqual([['NORTH P1', 'SOUTH S1'], false]);
    expect(await idsOf(SOUTH, [key('00100020', 'P1')])).toEqual([['SOUTH P1'], false]);
    expect(await idsOf(NORTH, [key('00100020', 'P1'), key('00100021', 'SOUTH')])).toEqual([['SOUTH P1'], false]);
    expect(await idsOf(NORTH, [key('00100020', 'NOBODY')])).toEqual([[], false]);
    expect(await idsOf(NORTH, [key('00100020', 'P*')], 1)).toEqual([['NORTH P1'], true]);
    // nobody is named
    expect(await idsOf(NORTH, [key('00100020'), key('00100021', 'SOUTH')])).toBeUndefined();
  });

  it('unlinked are exactly what they were', async () => {
    await twoArchives();
    const before = await everything();
    await assign(PERSON, ['P1', 'NORTH'], ['S1', 'SOUTH']);
    const linked = await everything();
    expect(linked).not.toEqual(before);
    // the same message again, and one about nothing new
    expect((await assign(PERSON, ['P1', 'NORTH'])).studies).toEqual([]);
    expect(await everything()).toEqual(linked);
    await assign(null, ['P1', 'NORTH'], ['S1', 'SOUTH']);
    expect(await everything()).toEqual(before);
    // by one after the other, and with the super-id of one of them
    await assign(superId({ patientId: 'P1', issuer: 'NORTH', scope: '' }), ['S1', 'SOUTH']);
    expect(await uidsOf(NORTH, { '00100020': 'P1' })).toEqual(['1', '2', '3']);
    await assign(null, ['S1', 'SOUTH']);
    expect(await everything()).toEqual(before);
  });

  it('take in what comes later, on either side', async () => {
    await twoArchives();
    await assign(PERSON, ['P1', 'NORTH'], ['S1', 'SOUTH']);
    await store(imageAnswer('south', '1', 2, 4), studyAnswer('south', '5', { '00100020': 'S1', '00201208': 1 }));
    await store({ header: ct('2', 1, 1, { '00100020': 'P1' }), origin: 'fetched', source: 'north' });
    await store({
      header: ct('1', 2, 3, { '00100020': 'S1', '00081030': 'Held' }),
      origin: 'fetched',
      source: 'south',
    });
    expect(await uidsOf(NORTH, { '00100020': 'P1' })).toEqual(['1', '2', '3', '5']);
    expect(await find(NORTH, 'STUDY', { '0020000D': '1.2.826.0.1.1', '00081030': '', '00201208': '' })).toEqual([
      { '0020000D': '1.2.826.0.1.1', '00081030': 'Held', '00201208': 4 },
    ]);
    expect(await find(NORTH, 'PATIENT', { '00100020': 'P1', '00201200': '' })).toEqual([
      { '00100020': 'P1', '00201200': 4 },
    ]);
    const linked = await shownTo(NORTH);
    await assign(null, ['P1', 'NORTH'], ['S1', 'SOUTH']);
    expect(await db.withClient((client) => recount(client))).toEqual([]);
    await assign(PERSON, ['P1', 'NORTH'], ['S1', 'SOUTH']);
    expect(await shownTo(NORTH)).toEqual(linked);
  });

  it('give up a study that belongs to somebody else, and take it back', async () => {
    await twoArchives();
    const before = await everything();
    await assignStudy(PERSON, '2', 'NORTH');
    expect(await uidsOf(NORTH, { '00100020': 'P1' })).toEqual(['1']);
    expect(await find(NORTH, 'PATIENT', { '00100020': 'P1', '00201200': '' })).toEqual([
      { '00100020': 'P1', '00201200': 1 },
    ]);
    expect(await uidsOf(NORTH, { '00100020': PERSON })).toEqual(['2']);
    expect(await find(NORTH, 'STUDY', { '0020000D': '1.2.826.0.1.2', '00100020': '' })).toEqual([
      { '0020000D': '1.2.826.0.1.2', '00100020': PERSON },
    ]);
    expect(await find(NORTH, 'PATIENT', { '00100020': PERSON, '00201200': '', '00100010': '' })).toEqual([
      { '00100020': PERSON, '00201200': 1, '00100010': { Alphabetic: 'Doe^John' } },
    ]);
    await assignStudy(null, '2', 'NORTH');
    expect(await everything()).toEqual(before);
  });

  it('a third identity joins and one leaves: the groups follow', async () => {
    await twoArchives();
    await store(studyAnswer('south', '1', { '00100020': 'S7', '00081030': 'Third' }, '2026-11-20T09:00:00.000Z'));
    await store({ header: ct('1', 4, 1, { '00100020': 'X1', '00100021': 'WEST' }) });
    await assign(PERSON, ['P1', 'NORTH'], ['S1', 'SOUTH'], ['X1', 'WEST']);
    expect(await find(NORTH, 'STUDY', { '0020000D': '1.2.826.0.1.1', '00201206': '', '00081030': '' })).toEqual([
      { '0020000D': '1.2.826.0.1.1', '00201206': 3, '00081030': 'Thorax' },
    ]);
    await assign(null, ['X1', 'WEST']);
    expect(
      await find(NORTH, 'STUDY', { '0020000D': '1.2.826.0.1.1', '00100020': 'P1', '00201206': '', '00081030': '' }),
    ).toEqual([{ '0020000D': '1.2.826.0.1.1', '00100020': 'P1', '00201206': 2, '00081030': 'North' }]);
    expect(await db.rows('SELECT count(*)::int AS n FROM series g WHERE g.is_group')).toEqual([{ n: 2 }]);
    expect(await find({ ...ANY, issuer: 'WEST' }, 'SERIES', { '00100020': 'X1', '0020000E': '' })).toEqual([
      { '00100020': 'X1', '0020000E': '1.2.826.0.1.1.4' },
    ]);
  });

  it('survive a rebuild', async () => {
    await twoArchives();
    await store({ header: ct('2', 1, 1, { '00100020': 'P1' }), origin: 'fetched', source: 'north' });
    await assign(PERSON, ['P1', 'NORTH'], ['S1', 'SOUTH']);
    const before = [await shownTo(NORTH), await shownTo(SOUTH), await shownTo(ANY)];
    const own = await db.rows('SELECT id, study_instance_uid, person FROM study WHERE NOT is_group ORDER BY id');
    await db.transaction((client) =>
      rebuildPresentation(client, ({ packId }) =>
        Promise.resolve(packs.find((one) => one.announcement.packId === packId) as IndexPackInput),
      ),
    );
    expect([await shownTo(NORTH), await shownTo(SOUTH), await shownTo(ANY)]).toEqual(before);
    expect(await db.rows('SELECT id, study_instance_uid, person FROM study WHERE NOT is_group ORDER BY id')).toEqual(
      own,
    );
  });

  it('of empty and shared ids stay apart', async () => {
    await store(
      { header: ct('7', 1, 1, { '00100020': 'UNKNOWN' }) },
      { header: ct('8', 1, 1, { '00100020': 'UNKNOWN' }) },
    );
    expect(await uidsOf(ANY, { '00100020': 'UNKNOWN' })).toEqual(['7', '8']);
    const { patients } = await locate(runner, {
      principal: ANY,
      model: 'patient-root',
      level: 'PATIENT',
      patientIds: ['UNKNOWN'],
    });
    expect(patients).toBe(2);
  });

  it('are linked while packs of theirs arrive, from several sides at once', async () => {
    await twoArchives();
    const work = Array.from({ length: 12 }, (_, i) => async () => {
      if (i % 4 === 3) await assign(i % 8 === 3 ? PERSON : null, ['P1', 'NORTH'], ['S1', 'SOUTH']);
      else
        await store(
          imageAnswer(i % 2 === 0 ? 'north' : 'south', '1', 1 + (i % 3), 10 + i),
          studyAnswer('south', `3${i}`, { '00100020': 'S1' }),
        );
    });
    const outcomes = await Promise.allSettled(work.map((one) => retried(one)));
    expect(outcomes.filter((one) => one.status === 'rejected')).toEqual([]);
    await assign(PERSON, ['P1', 'NORTH'], ['S1', 'SOUTH']);
    const linked = await shownTo(NORTH);
    await assign(null, ['P1', 'NORTH'], ['S1', 'SOUTH']);
    expect(await db.withClient((client) => recount(client))).toEqual([]);
    expect(await db.rows('SELECT 1 FROM study WHERE is_group OR grouped IS NOT NULL OR linked')).toEqual([]);
    await assign(PERSON, ['P1', 'NORTH'], ['S1', 'SOUTH']);
    expect(await shownTo(NORTH)).toEqual(linked);
  }, 60_000);
});

/** A deadlock is the caller's to try again. */
async function retried(work: () => Promise<unknown>, times = 5): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (times === 0 || (error as { code?: string }).code !== '40P01') throw error;
    await retried(work, times - 1);
  }
}

/** All that a principal is shown, at every level. */
async function shownTo(principal: Principal): Promise<object> {
  const keys = { '00100020': '', '00100021': '', '00100010': '' };
  const sorted = (rows: object[]): string[] => rows.map((row) => JSON.stringify(row)).sort();
  return {
    patients: sorted(await find(principal, 'PATIENT', { ...keys, '00201200': '', '00201202': '', '00201204': '' })),
    studies: sorted(
      await find(principal, 'STUDY', {
        ...keys,
        '0020000D': '',
        '00081030': '',
        '00201206': '',
        '00201208': '',
        '00080061': '',
      }),
    ),
    series: sorted(await find(principal, 'SERIES', { ...keys, '0020000D': '', '0020000E': '', '00201209': '' })),
    images: sorted(await find(principal, 'IMAGE', { ...keys, '0020000D': '', '0020000E': '', '00080018': '' })),
  };
}
