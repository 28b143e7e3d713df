import { DEFAULT_ATTRIBUTES } from '@archipelago/catalog-model';
import type { LocateReplyV1, LocateV1, Principal, SearchV1 } from '@archipelago/contracts';
import { compile, parseRules } from '@archipelago/rules';
import { startPostgres } from '@archipelago/testing';
import type { ArchiveState } from './read/archives';
import { locate } from './read/locate';
import { deniedStudies } from './read/restriction-sql';
import { RestrictionReader, RulesNotReadyError } from './read/restrictions';
import type { QueryRunner } from './read/runner';
import { search } from './read/search';
import { rebuildPresentation } from './rebuild';
import type { ActiveRules } from './rules/active-rules';
import { deriveNext } from './rules/derive-next';
import { labelsOf } from './rules/restrictive-rules';
import { OWN_SOURCE } from './rules/rule-context';
import { appendRuleSet } from './rules/rule-sets';
import { specCatalog, type SpecDatabase } from './spec-database';
import { ct, packOf, seriesAnswer, studyAnswer, type Plain, type Sample } from './spec-kit';
import { indexPack } from './write/index-pack';
import type { IndexPackInput } from './write/index-pack.types';
import { applyAssignments } from './write/persons';

let db: SpecDatabase;
let runner: QueryRunner;
let reader: RestrictionReader;
specCatalog(startPostgres, (opened) => ({ db, runner } = opened));

const ISSUERS: Record<string, string> = { north: 'NORTH', south: 'SOUTH' };
const packs: IndexPackInput[] = [];
let rules: ActiveRules | undefined;
let failures: string[] = [];
beforeEach(async () => {
  packs.length = 0;
  failures = [];
  rules = undefined;
  reader = new RestrictionReader(runner);
  await db.empty();
  await db.rows('TRUNCATE rule_derivation, rule_set, rule_label RESTART IDENTITY CASCADE');
});

const options = () => ({ archives: ['north', 'south'], rules });
async function store(...samples: Sample[]): Promise<void> {
  const input: IndexPackInput = {
    ...packOf(samples),
    ...options(),
    defaultIssuer: (entry) => ISSUERS[entry.source] ?? '',
  };
  packs.push(input);
  await db.transaction((client) => indexPack(client, input));
}
async function put(text: string): Promise<void> {
  const { ruleSet, problems } = parseRules(text);
  if (!ruleSet) throw new Error(problems.map((one) => one.message).join('; '));
  const { version } = await db.transaction((client) =>
    appendRuleSet(client, {
      ...{ source: text, digest: ruleSet.digest, authorVersion: ruleSet.version, rules: ruleSet.rules.length },
      ...{ origin: 'command', madeBy: 'spec', reason: '', labels: labelsOf(ruleSet) },
    }),
  );
  const onFailure = ({ rule }: { rule: string }): void => void failures.push(rule);
  const siteOf = (source: string): string => (source === OWN_SOURCE ? 'main' : `site-${source}`);
  rules = { version, compiled: compile(ruleSet), attributes: DEFAULT_ATTRIBUTES, siteOf, onFailure };
}
async function derive(limit = 2): Promise<void> {
  while (!(await db.transaction((client) => deriveNext(client, options(), limit))).done);
}
async function apply(...rulesText: string[]): Promise<void> {
  await put(`version: 1\nrules:\n${rulesText.map((one, i) => `  - { id: r${i}, ${one} }`).join('\n')}`);
  await derive();
}

const WARD: Principal = { kind: 'peer', site: 'main', name: 'WARD' };
const LECTURE: Principal = { kind: 'peer', site: 'main', name: 'AE9', workstation: 'LECTURE-1' };
const UID = (study: string): string => `1.2.826.0.1.${study}`;

async function find(
  principal: Principal,
  level: SearchV1['level'],
  keys: Plain,
  more: Partial<SearchV1> = {},
): Promise<Record<string, unknown>[]> {
  const found: Record<string, unknown>[] = [];
  let cursor: string | undefined;
  do {
    const restrictions = await reader.of(principal);
    const reply = await search(
      runner,
      {
        ...{ principal, model: level === 'PATIENT' ? 'patient-root' : 'study-root', level, cursor },
        keys: Object.entries(keys).map(([tag, value]) => ({
          ...{ tag, vr: 'LO', values: value === '' ? [] : [String(value)] },
        })),
        ...more,
      },
      { restrictions },
    );
    for (const match of reply.matches)
      found.push(
        Object.fromEntries(Object.keys(keys).map((tag) => [tag, (match[tag]?.Value as unknown[] | undefined)?.[0]])),
      );
    ({ cursor } = reply);
  } while (cursor !== undefined);
  return found;
}
const studies = async (principal: Principal, keys: Plain = {}): Promise<unknown[]> =>
  (await find(principal, 'STUDY', { '0020000D': '', ...keys })).map((row) => row['0020000D']).sort();
async function located(principal: Principal, study: string, receivers: string[] = []): Promise<LocateReplyV1> {
  const restrictions = await reader.of(principal, receivers);
  const asked: LocateV1 = {
    principal,
    receivers,
    model: 'study-root',
    level: 'STUDY',
    studyInstanceUids: [UID(study)],
  };
  return locate(runner, asked, { restrictions });
}
const image = (study: string, source: string, more: Plain = {}): Sample => ({ header: ct(study, 1, 1, more), source });

const NORTH_DENIED = 'scope: { archive: [north], workstation: [LECTURE-1] }, actions: [{ deny: { reason: teaching } }]';

describe('a rule that denies', () => {
  it('takes studies away from whom it names, at every level, and from nobody else', async () => {
    await store(image('1', 'north', { '00100020': 'A' }), image('2', 'south', { '00100020': 'A' }));
    await store(image('3', 'north', { '00100020': 'B' }));
    await apply(NORTH_DENIED);
    expect(await studies(WARD)).toEqual([UID('1'), UID('2'), UID('3')]);
    expect(await studies(LECTURE)).toEqual([UID('2')]);
    expect(await studies(LECTURE, { '0020000D': UID('1') })).toEqual([]);
    for (const level of ['SERIES', 'IMAGE'] as const) {
      expect(await find(LECTURE, level, { '0020000D': UID('1') }, { relational: true })).toEqual([]);
      expect(await find(LECTURE, level, { '0020000D': UID('2') }, { relational: true })).toHaveLength(1);
    }
    // a person of whom nothing may be known is not there either
    expect(await find(LECTURE, 'PATIENT', { '00100020': '' })).toEqual([{ '00100020': 'A' }]);
    expect(await find(LECTURE, 'PATIENT', { '0020000D': UID('1') }, { relational: true })).toEqual([]);
    expect((await located(WARD, '1')).total).toBe(1);
    expect((await located(LECTURE, '1')).total).toBe(0);
    expect((await located(LECTURE, '2')).total).toBe(1);
    expect(await deniedStudies(runner, [UID('1'), UID('2')], (await reader.of(LECTURE))!)).toBe(1);
    // by way of somebody else's C-MOVE neither
    expect((await located(WARD, '1', ['AE9', 'LECTURE-1'])).total).toBe(0);
  });

  it('keeps what comes later from them at once, and gives it back when it goes', async () => {
    await apply(NORTH_DENIED);
    await store(image('1', 'north'));
    await store(image('2', 'south'));
    expect(await studies(LECTURE)).toEqual([UID('2')]);
    await apply('enabled: false, everything: true, actions: [{ deny: { reason: later } }]');
    expect(await studies(LECTURE)).toEqual([UID('1'), UID('2')]);
    expect(await db.rows("SELECT FROM study WHERE labels <> '{}'")).toEqual([]);
  });

  it('tells no counts of a person that has more than they may know', async () => {
    await store(image('1', 'north', { '00100020': 'A' }), image('2', 'south', { '00100020': 'A' }));
    await apply(NORTH_DENIED);
    const count = '00201200';
    // an id of two issuers is two persons
    expect((await find(WARD, 'PATIENT', { [count]: '' })).map((row) => row[count])).toEqual([1, 1]);
    expect(await find(LECTURE, 'PATIENT', { [count]: '' })).toEqual([{ [count]: undefined }]);
    expect(await find(LECTURE, 'PATIENT', { [count]: '1' })).toEqual([]);
  });

  it('holds for a study of which one archive is named, whoever holds it first and whoever comes later', async () => {
    await apply(NORTH_DENIED);
    await store({ ...image('1', 'south'), source: 'south' });
    expect(await studies(LECTURE)).toEqual([UID('1')]);
    await store(studyAnswer('north', '1', { '00100021': 'SOUTH' }));
    expect(await studies(LECTURE)).toEqual([]);
  });

  it('of a modality holds for studies that have it among others, and where modalities are not known yet', async () => {
    await apply('when: tags.Modality == "PT", scope: { workstation: [LECTURE-1] }, actions: [{ deny: { reason: x } }]');
    await store(image('1', 'main'));
    expect(await studies(LECTURE)).toEqual([UID('1')]);
    await store({ header: ct('1', 2, 1, { '00080060': 'PT' }), source: 'main' });
    expect(await studies(LECTURE)).toEqual([]);
    await store(studyAnswer('north', '2', { '00080061': null }));
    expect(await studies(LECTURE)).toEqual([]);
    await store(seriesAnswer('north', '2', 1, { '00080060': 'CT' }));
    expect(await studies(LECTURE)).toEqual([UID('2')]);
  });

  it('counts as met where its condition fails', async () => {
    await apply(
      'when: int(tags.AccessionNumber) > 5, scope: { workstation: [LECTURE-1] }, actions: [{ deny: { reason: x } }]',
    );
    await store(image('1', 'main', { '00080050': 'none' }), image('2', 'main', { '00080050': '3' }));
    expect(await studies(LECTURE)).toEqual([UID('2')]);
    expect(failures).toHaveLength(1);
  });

  it('holds for a person behind one row when it holds for one of their studies of that name', async () => {
    await store(image('1', 'north', { '00100020': 'N' }), image('1', 'south', { '00100020': 'S' }));
    await store(image('2', 'south', { '00100020': 'S' }));
    const [north, south] = await db.rows<{ id: string; person: string }>(
      'SELECT id::text, person FROM patient ORDER BY patient_id',
    );
    await db.rows('INSERT INTO identity_assignment (patient, person, revision) VALUES ($1, $2, 1)', [
      south!.id,
      north!.person,
    ]);
    await db.transaction((client) => applyAssignments(client, { patientIds: [south!.id], studyIds: [] }, options()));
    await apply(NORTH_DENIED);
    expect(await studies(WARD)).toEqual([UID('1'), UID('2')]);
    expect(await studies(LECTURE)).toEqual([UID('2')]);
  });

  it('means by our site what was sent to us', async () => {
    await store(image('1', OWN_SOURCE), image('2', 'north'));
    await apply('scope: { archive: [main], workstation: [LECTURE-1] }, actions: [{ deny: { reason: ours } }]');
    expect(await studies(LECTURE)).toEqual([UID('2')]);
  });

  it('is the same after a rebuild', async () => {
    await apply(NORTH_DENIED);
    await store(image('1', 'north'));
    await store(image('2', 'south'));
    const labels = () => db.rows('SELECT study_instance_uid, labels FROM study ORDER BY 1');
    const before = await labels();
    const byId = new Map(packs.map((pack) => [pack.announcement.packId, pack]));
    await db.transaction((client) => rebuildPresentation(client, ({ packId }) => Promise.resolve(byId.get(packId)!)));
    expect(await labels()).toEqual(before);
    expect(await studies(LECTURE)).toEqual([UID('2')]);
  });

  it('fails the questions of whom it concerns until every study was tested, and no others', async () => {
    for (const study of ['1', '2', '3']) await store(image(study, 'north'));
    await put(`version: 1\nrules:\n  - { id: r, ${NORTH_DENIED} }`);
    await expect(studies(LECTURE)).rejects.toThrow(RulesNotReadyError);
    await expect(located(WARD, '1', ['LECTURE-1'])).rejects.toThrow(RulesNotReadyError);
    expect(await studies(WARD)).toHaveLength(3);
    await db.transaction((client) => deriveNext(client, options(), 2));
    await expect(studies(LECTURE)).rejects.toThrow(RulesNotReadyError);
    await derive();
    expect(await studies(LECTURE)).toEqual([]);
    // the same condition in another set needs no new test
    await put(`version: 2\nrules:\n  - { id: renamed, ${NORTH_DENIED} }`);
    expect(await studies(LECTURE)).toEqual([]);
    // one that was away does: studies came meanwhile
    await put('version: 3\nrules: []');
    await store(image('4', 'north'));
    await put(`version: 4\nrules:\n  - { id: r, ${NORTH_DENIED} }`);
    await expect(studies(LECTURE)).rejects.toThrow(RulesNotReadyError);
  });

  it('of everything leaves nothing', async () => {
    await store(image('1', 'north'));
    await apply('scope: { workstation: [LECTURE-1] }, actions: [{ deny: { reason: no access } }]');
    expect(await studies(LECTURE)).toEqual([]);
    expect(await find(LECTURE, 'PATIENT', { '00100020': '' })).toEqual([]);
    expect((await located(LECTURE, '1')).total).toBe(0);
    expect(await studies(WARD)).toEqual([UID('1')]);
    // nor of what has no study
    const palettes = async (principal: Principal): Promise<number> => {
      const restrictions = await reader.of(principal);
      const keys = [{ tag: '00080018', vr: 'UI', values: [] }];
      const asked: SearchV1 = { principal, model: 'patientless', level: 'IMAGE', keys };
      return (await search(runner, asked, { restrictions })).matches.length;
    };
    await db.rows('UPDATE instance SET series = NULL, study = NULL');
    expect(await palettes(WARD)).toBe(1);
    expect(await palettes(LECTURE)).toBe(0);
  });

  it('fails all questions where the set in force cannot be read, until one that can', async () => {
    await put('version: 1\nrules: []');
    await db.rows(
      "INSERT INTO rule_set (source, digest, author_version, rules, origin, made_by, reason) VALUES ('deny: of tomorrow', '', 1, 1, 'file', '', '')",
    );
    await expect(studies(WARD)).rejects.toThrow('cannot be read');
    await expect(studies(WARD)).rejects.toThrow('cannot be read');
    await put('version: 2\nrules: []');
    expect(await studies(WARD)).toEqual([]);
  });
});

describe('a rule that hides', () => {
  const NAME = '00100010';
  const HIDDEN = 'scope: { archive: [north], workstation: [LECTURE-1] }, actions: [{ hide: [PatientName, PatientID] }]';

  it('lets elements match nothing, shows them empty, and takes them out of what is retrieved', async () => {
    const named = { '00100020': 'A', [NAME]: 'DOE^JANE' };
    await store(image('1', 'north', named), image('2', 'south', { ...named, '00100020': 'C' }));
    await apply(HIDDEN);
    const tried: Plain[] = [{ [NAME]: 'DOE*' }, { '00100020': 'A' }, { '00100020': '*A*' }, { '00100021': 'NORTH' }];
    for (const keys of tried) {
      expect(await studies(WARD, keys)).toContain(UID('1'));
      expect(await studies(LECTURE, keys)).not.toContain(UID('1'));
      expect(await find(LECTURE, 'PATIENT', { [NAME]: '', ...keys })).toHaveLength(keys[NAME] ? 1 : 0);
    }
    const shown = await find(LECTURE, 'STUDY', { '0020000D': '', [NAME]: '', '00100020': '', '00100021': '' });
    const [one, two] = ['1', '2'].map((study) => shown.find((row) => row['0020000D'] === UID(study))!);
    expect([one![NAME], one!['00100020'], one!['00100021']]).toEqual([undefined, undefined, undefined]);
    expect([two![NAME], two!['00100020']]).toEqual([{ Alphabetic: 'DOE^JANE' }, 'C']);
    const [instance] = (await located(LECTURE, '1')).instances;
    expect(instance!.overlay!.set).toMatchObject({ [NAME]: { vr: 'PN' }, '00100020': { vr: 'LO' } });
    expect(JSON.stringify(instance!.overlay)).not.toMatch(/DOE|"A"/);
    expect(instance!.overlay!.hidden).toEqual(expect.arrayContaining([NAME, '00100020', '00101002']));
    expect(instance!.overlay!.removed).toEqual(expect.arrayContaining(['00100021', '00101002']));
    expect((await located(LECTURE, '2')).instances[0]!.overlay).toBeUndefined();
    expect((await located(WARD, '1')).instances[0]!.overlay).toBeUndefined();
  });

  it('does not let a retrieval by a hidden id find anything', async () => {
    await store(image('1', 'north', { '00100020': 'A' }));
    await apply(HIDDEN);
    const restrictions = await reader.of(LECTURE);
    const request = { principal: LECTURE, model: 'patient-root', level: 'PATIENT', patientIds: ['A'] } as const;
    const keyed = { ...request, issuerOfPatientId: 'NORTH', patientIds: ['A'] };
    expect((await locate(runner, keyed, { restrictions: null })).total).toBe(1);
    expect((await locate(runner, keyed, { restrictions })).total).toBe(0);
  });

  it('does not sort by what it hides, and pages neither skip nor repeat', async () => {
    const dates = ['20240105', '20240101', '20240103', '20240102', '20240104'];
    for (const [i, date] of dates.entries()) await store(image(String(i + 1), 'main', { '00080020': date }));
    await apply('scope: { workstation: [LECTURE-1] }, actions: [{ hide: [StudyDate] }]');
    const keys = { '0020000D': '', '00080020': '' };
    const uids = async (principal: Principal): Promise<unknown[]> =>
      (await find(principal, 'STUDY', keys, { limit: 2 })).map((row) => row['0020000D']);
    expect(await uids(WARD)).toEqual(['1', '5', '3', '4', '2'].map(UID));
    expect(await uids(LECTURE)).toEqual(['5', '4', '3', '2', '1'].map(UID));
    expect(await find(LECTURE, 'STUDY', { '00080020': '20240101-' })).toEqual([]);
    expect((await find(LECTURE, 'STUDY', keys)).every((row) => row['00080020'] === undefined)).toBe(true);
  });

  it('acts on what only archives have, and denies it where another row of the UID is denied', async () => {
    const up = ['north', 'south'].map((name): ArchiveState => ({
      ...{ name, state: 'active', depth: 'image', completeTo: 'image', reachable: true },
      asOf: '2026-11-21T10:00:00.000Z',
    }));
    const shallow = async (study: string) => {
      const restrictions = await reader.of(LECTURE);
      const asked: LocateV1 = {
        principal: LECTURE,
        model: 'study-root',
        level: 'STUDY',
        studyInstanceUids: [UID(study)],
      };
      return (await locate(runner, asked, { restrictions, archives: up })).shallow;
    };
    await store(studyAnswer('south', '1'));
    await apply(
      'scope: { archive: [south], workstation: [LECTURE-1] }, actions: [{ hide: [PatientName] }, { obscure: { tags: [PatientBirthDate], by: year } }]',
      NORTH_DENIED,
    );
    const [study] = (await shallow('1'))!;
    expect(study).toMatchObject({ archive: 'south', overlay: { set: { '00100030': { Value: ['19600101'] } } } });
    expect(study!.overlay!.set['00100010']).toEqual({ vr: 'PN' });
    await store(studyAnswer('north', '1'));
    expect(await studies(LECTURE)).toEqual([UID('1')]);
    expect(await shallow('1')).toBeUndefined();
  });

  it('acts inside of sequences', async () => {
    await apply('scope: { workstation: [LECTURE-1] }, actions: [{ hide: [AccessionNumber] }]');
    const request = { '00400275': [{ '00401001': 'RP', '00080050': 'ACC' }] };
    await store(image('1', 'main', { '00080050': 'ACC', ...request }));
    const restrictions = await reader.of(LECTURE);
    const keys = [{ tag: '00400275', vr: 'SQ', values: [], items: [[]] }];
    const asked = { principal: LECTURE, model: 'study-root', level: 'SERIES', relational: true, keys } as const;
    const { matches } = await search(runner, { ...asked, keys }, { restrictions });
    expect(matches[0]!['00400275']!.Value).toEqual([{ '00401001': { vr: 'SH', Value: ['RP'] } }]);
    const inner = [
      { tag: '00400275', vr: 'SQ', values: [], items: [[{ tag: '00080050', vr: 'SH', values: ['ACC'] }]] },
    ];
    expect((await search(runner, { ...asked, keys: inner }, {})).matches).toHaveLength(1);
    expect((await search(runner, { ...asked, keys: inner }, { restrictions })).matches).toEqual([]);
  });
});

describe('a rule that obscures', () => {
  it('shows less in answers and objects, and what it obscures matches nothing', async () => {
    await store(image('1', 'north', { '00100010': 'Doe^Jane^Q', '00100030': '19600229' }), image('2', 'south'));
    await store(studyAnswer('north', '3', { '00100010': 'Roe^Ann' }));
    await apply(
      'scope: { archive: [north], workstation: [LECTURE-1] }, actions: [{ obscure: { tags: [PatientName], by: initials } }, { obscure: { tags: [PatientBirthDate, StudyDate], by: year } }]',
    );
    const keys = { '0020000D': '', '00100010': '', '00100030': '', '00080020': '' };
    const rows = await find(LECTURE, 'STUDY', keys);
    expect(rows.find((row) => row['0020000D'] === UID('1'))).toEqual({
      '0020000D': UID('1'),
      '00100010': { Alphabetic: 'D^J^Q' },
      '00100030': '19600101',
      '00080020': '20260101',
    });
    expect(rows.find((row) => row['0020000D'] === UID('2'))).toMatchObject({ '00100030': '19600229' });
    expect(await studies(LECTURE, { '00100010': 'Doe^Jane*' })).toEqual([]);
    expect(await studies(WARD, { '00100010': 'Doe^Jane*' })).toEqual([UID('1')]);
    expect(await studies(LECTURE, { '00100030': '19600229' })).toEqual([UID('2')]);
    expect(await find(LECTURE, 'PATIENT', { '00100010': '' })).toContainEqual({ '00100010': { Alphabetic: 'D^J^Q' } });
    const [instance] = (await located(LECTURE, '1')).instances;
    expect(instance!.overlay!.set).toMatchObject({
      '00100010': { vr: 'PN', Value: [{ Alphabetic: 'D^J^Q' }] },
      '00100030': { vr: 'DA', Value: ['19600101'] },
    });
    expect(instance!.overlay!.hidden).toEqual(expect.arrayContaining(['00100010', '00100030', '00080020']));
    expect((await located(WARD, '1')).instances[0]!.overlay).toBeUndefined();
  });

  it('is overruled by one that hides', async () => {
    await store(image('1', 'main'));
    const scope = 'scope: { workstation: [LECTURE-1] }';
    await apply(
      `${scope}, actions: [{ obscure: { tags: [PatientName], by: initials } }]`,
      `${scope}, actions: [{ hide: [PatientName] }]`,
    );
    expect(await find(LECTURE, 'STUDY', { '00100010': '' })).toEqual([{ '00100010': undefined }]);
    expect((await located(LECTURE, '1')).instances[0]!.overlay!.set['00100010']).toEqual({ vr: 'PN' });
  });
});
