import { configuredAttributes, DEFAULT_ATTRIBUTES } from '@archipelago/catalog-model';
import type { Principal, SearchV1 } from '@archipelago/contracts';
import { compile, parseRules } from '@archipelago/rules';
import { startPostgres } from '@archipelago/testing';
import { locate } from './read/locate';
import type { QueryRunner } from './read/runner';
import { search } from './read/search';
import { rebuildPresentation } from './rebuild';
import { materialElements, type ActiveRules } from './rules/active-rules';
import { deriveNext } from './rules/derive-next';
import { labelsOf } from './rules/restrictive-rules';
import { appendRuleSet, readDerivation } from './rules/rule-sets';
import { specCatalog, type SpecDatabase } from './spec-database';
import { ct, packOf, studyAnswer, type Plain, type Sample } from './spec-kit';
import { indexPack } from './write/index-pack';
import type { IndexPackInput } from './write/index-pack.types';
import { applyAssignments } from './write/persons';

let db: SpecDatabase;
let runner: QueryRunner;
specCatalog(startPostgres, (opened) => ({ db, runner } = opened));

const ARCHIVES = ['north', 'south'];
const ISSUERS: Record<string, string> = { north: 'NORTH', south: 'SOUTH' };
const packs: IndexPackInput[] = [];
let rules: ActiveRules | undefined;
const failures: string[] = [];
beforeEach(async () => {
  packs.length = 0;
  failures.length = 0;
  rules = undefined;
  await db.empty();
  await db.rows('TRUNCATE rule_derivation, rule_set RESTART IDENTITY CASCADE');
});

const options = () => ({ archives: ARCHIVES, rules });
async function store(...samples: Sample[]): Promise<void> {
  const input: IndexPackInput = {
    ...packOf(samples),
    ...options(),
    defaultIssuer: (entry) => ISSUERS[entry.source] ?? '',
  };
  packs.push(input);
  await db.transaction((client) => indexPack(client, input));
}

/** Brings a rule set into force, for what comes; what is there waits for derive(). */
async function apply(text: string): Promise<void> {
  const { ruleSet, problems } = parseRules(text, { material: materialElements(DEFAULT_ATTRIBUTES) });
  if (!ruleSet) throw new Error(problems.map((one) => one.message).join('; '));
  const compiled = compile(ruleSet);
  const { digest, version: authorVersion } = ruleSet;
  const { version } = await db.transaction((client) =>
    appendRuleSet(client, {
      ...{ source: text, digest, authorVersion, rules: ruleSet.rules.length },
      ...{ origin: 'command', madeBy: 'spec', reason: '', labels: labelsOf(ruleSet) },
    }),
  );
  const onFailure = ({ rule }: { rule: string }): void => void failures.push(rule);
  rules = { version, compiled, attributes: DEFAULT_ATTRIBUTES, siteOf: (source) => `site-${source}`, onFailure };
}
async function derive(limit = 100): Promise<number> {
  let studies = 0;
  for (;;) {
    const batch = await db.transaction((client) => deriveNext(client, options(), limit));
    studies += batch.studies.length;
    if (batch.done) return studies;
  }
}

const NORTH: Principal = { kind: 'peer', site: 'main', name: 'WSN', issuer: 'NORTH' };
const SOUTH: Principal = { kind: 'peer', site: 'main', name: 'WSS', issuer: 'SOUTH' };
const ANY: Principal = { kind: 'peer', site: 'main', name: 'WS' };

async function find(level: SearchV1['level'], keys: Plain, principal = ANY): Promise<Record<string, unknown>[]> {
  const { matches } = await search(runner, {
    principal,
    model: 'study-root',
    level,
    keys: Object.entries(keys).map(([tag, value]) => ({
      ...{ tag, vr: 'LO' },
      values: value === '' ? [] : [String(value)],
    })),
  });
  return matches.map((match) =>
    Object.fromEntries(Object.keys(keys).map((tag) => [tag, (match[tag]?.Value as unknown[] | undefined)?.[0]])),
  );
}
const DESCRIPTION = '00081030';
const descriptions = async (keys: Plain = {}): Promise<unknown[]> =>
  (await find('STUDY', { [DESCRIPTION]: '', ...keys })).map((row) => row[DESCRIPTION]).sort();
const overlaysOf = async (uid: string, principal = ANY): Promise<unknown[]> => {
  const found = await locate(runner, {
    ...{ principal, model: 'study-root', level: 'STUDY' },
    studyInstanceUids: [`1.2.826.0.1.${uid}`],
  });
  return found.instances.map((one) => one.overlay);
};
const rows = (): Promise<unknown[]> =>
  db.rows(
    `SELECT s.study_instance_uid, s.attributes, s.overlay - 'version' AS overlay, s.name_alphabetic, s.sort_date, x.attributes AS series,
       x.overlay - 'version' AS series_overlay, p.attributes AS patient, p.overlay - 'version' AS patient_overlay
     FROM study s JOIN patient p ON p.id = s.patient LEFT JOIN series x ON x.study = s.id ORDER BY 1, x.series_instance_uid`,
  );

const MAP = `
version: 1
tables:
  descriptions: { ignoreCase: true, rows: { CT THX: CT Thorax } }
rules:
  - id: north-descriptions
    scope: { archive: [north] }
    when: tags.Modality == "CT"
    actions:
      - map: { tag: StudyDescription, table: descriptions }
`;
const image = (study: string, number: number, more: Plain = {}, source = 'main'): Sample => ({
  header: ct(study, 1, number, more),
  source,
});
const thx = (study: string, source: string, more: Plain = {}): Sample =>
  image(study, 1, { ...more, [DESCRIPTION]: 'CT THX' }, source);

describe('rules on where data came from', () => {
  it('show and seek by super-values what one archive says, and keep what was said', async () => {
    await apply(MAP);
    await store(thx('10', 'north'));
    await store(thx('11', 'south'));
    expect(await descriptions()).toEqual(['CT THX', 'CT Thorax']);
    expect(await descriptions({ [DESCRIPTION]: 'CT Thorax' })).toEqual(['CT Thorax']);
    expect(await descriptions({ [DESCRIPTION]: 'CT THX' })).toEqual(['CT THX']);
    expect(await overlaysOf('10')).toEqual([{ set: { [DESCRIPTION]: { vr: 'LO', Value: ['CT Thorax'] } } }]);
    expect(await overlaysOf('11')).toEqual([undefined]);
    const said = await db.rows<{ description: string }>(
      `SELECT DISTINCT attributes #>> '{${DESCRIPTION},Value,0}' AS description FROM source_study`,
    );
    expect(said).toEqual([{ description: 'CT THX' }]);
  });

  it('come to what was there in batches that go on after a crash, and leave exactly what was when they go', async () => {
    for (const study of ['20', '21', '22', '23', '24']) await store(thx(study, study === '22' ? 'south' : 'north'));
    const before = await rows();
    await apply(MAP);
    expect(await descriptions({ [DESCRIPTION]: 'CT Thorax' })).toEqual([]);
    const first = await db.transaction((client) => deriveNext(client, options(), 2));
    expect([first.done, first.studies.length]).toEqual([false, 2]);
    // a batch that is rolled back is done again
    await db
      .transaction(async (client) => {
        await deriveNext(client, options(), 2);
        throw new Error('crash');
      })
      .catch(() => undefined);
    await store(thx('25', 'north'));
    expect(await derive(2)).toBe(2);
    expect(await descriptions({ [DESCRIPTION]: 'CT Thorax' })).toHaveLength(5);
    const [derivation] = await db.transaction(async (client) => [await readDerivation(client)]);
    expect(derivation).toMatchObject({ changed: 4, waiting: 0, doneAt: expect.any(Date) as unknown });
    expect(await derive()).toBe(0);
    await apply('version: 2\nrules: []');
    expect(await derive()).toBe(5);
    expect((await rows()).slice(0, 5)).toEqual(before);
  });

  it('act on names and dates, their search columns, and the patient alike', async () => {
    await apply(`
version: 1
rules:
  - id: name
    scope: { site: [site-north] }
    actions:
      - set: { PatientName: 'Müller^Änne', StudyDate: '20200202', PatientComments: { remove: true } }
`);
    await store(thx('30', 'north', { '00100010': 'WRONG^NAME', '00104000': 'nobody reads this' }));
    expect(await find('STUDY', { '00100010': 'muller*', '00080020': '20200101-20201231' })).toEqual([
      { '00100010': { Alphabetic: 'Müller^Änne' }, '00080020': '20200202' },
    ]);
    const { matches } = await search(runner, {
      ...{ principal: ANY, model: 'patient-root', level: 'PATIENT' },
      keys: [{ tag: '00100010', vr: 'PN', values: ['MULLER^ANNE'] }],
    });
    expect(matches).toHaveLength(1);
    expect(await find('STUDY', { '00100010': 'WRONG*' })).toEqual([]);
    expect(await overlaysOf('30')).toEqual([
      {
        set: {
          '00080020': { vr: 'DA', Value: ['20200202'] },
          '00100010': { vr: 'PN', Value: [{ Alphabetic: 'Müller^Änne' }] },
        },
        removed: ['00104000'],
      },
    ]);
  });

  it('act on series and images, and on new images of a study that was there', async () => {
    await apply(`
version: 1
rules:
  - id: series
    when: tags.SeriesDescription == "AX"
    actions:
      - set: { SeriesDescription: Axial }
  - id: image
    when: tags.InstanceNumber == 2
    actions:
      - set: { InstanceNumber: 20 }
`);
    const ax = (number: number): Sample => image('40', number, { '0008103E': 'AX' });
    await store(ax(1));
    await store(ax(2), ax(3));
    expect(await find('SERIES', { '0008103E': 'Axial' })).toHaveLength(1);
    const numbers = (await find('IMAGE', { '00200013': '' })).map((row) => row['00200013']);
    expect(numbers.sort()).toEqual([1, 20, 3]);
    await apply('version: 2\nrules: []');
    await derive();
    expect((await find('IMAGE', { '00200013': '' })).map((row) => row['00200013']).sort()).toEqual([1, 2, 3]);
    expect(await overlaysOf('40')).toEqual([undefined, undefined, undefined]);
  });

  it('act on what an archive said of studies that nobody holds, and stay when more is said', async () => {
    await apply(MAP.replace('when: tags.Modality == "CT"', 'when: tags.StudyDescription.startsWith("CT")'));
    let second = 0;
    const said = (description: string) =>
      studyAnswer('north', '50', { [DESCRIPTION]: description }, `2026-11-21T10:00:0${++second}.000Z`);
    await store(said('CT THX'));
    expect(await descriptions()).toEqual(['CT Thorax']);
    await store(said('CT ABD'));
    expect(await descriptions()).toEqual(['CT ABD']);
    await store(said('CT THX'));
    expect(await descriptions()).toEqual(['CT Thorax']);
  });

  it('are the same after a rebuild', async () => {
    await apply(MAP);
    await store(thx('60', 'north'));
    await store(thx('61', 'south'));
    await store(studyAnswer('north', '62', { [DESCRIPTION]: 'CT THX' }));
    const before = await rows();
    const byId = new Map(packs.map((pack) => [pack.announcement.packId, pack]));
    await db.transaction((client) => rebuildPresentation(client, ({ packId }) => Promise.resolve(byId.get(packId)!)));
    expect(await rows()).toEqual(before);
  });

  it('of a person follow the person, through a link and its end', async () => {
    const of = (study: string, patient: string, source: string): Sample =>
      image(study, 1, { '00100020': patient }, source);
    await store(of('70', 'N1', 'north'), of('71', 'S1', 'south'));
    const { person } = (await db.rows<{ person: string }>("SELECT person FROM patient WHERE patient_id = 'N1'"))[0]!;
    await apply(`
version: 1
rules:
  - id: of-one-person
    scope: { person: [${person}] }
    actions:
      - set: { PatientName: RIGHT^NAME }
`);
    await derive();
    const named = async () => (await find('STUDY', { '00100010': 'RIGHT*', '0020000D': '' })).length;
    expect(await named()).toBe(1);
    const ids = (await db.rows<{ id: string }>("SELECT id::text FROM patient WHERE patient_id = 'S1'")).map(
      ({ id }) => id,
    );
    await db.rows('INSERT INTO identity_assignment (patient, person, revision) VALUES ($1, $2, 1)', [ids[0], person]);
    await db.transaction((client) => applyAssignments(client, { patientIds: ids, studyIds: [] }, options()));
    expect(await named()).toBe(2);
    // whose it is, is told alike by the query and by what is retrieved
    const shown = (await find('STUDY', { '0020000D': '1.2.826.0.1.71', '00100020': '', '00100021': '' }, NORTH))[0]!;
    expect([shown['00100020'], shown['00100021']]).toEqual(['N1', 'NORTH']);
    const [overlay] = (await overlaysOf('71', NORTH)) as {
      set: Record<string, { Value: unknown[] }>;
      removed: string[];
    }[];
    expect([overlay!.set['00100020']!.Value, overlay!.set['00100021']!.Value]).toEqual([['N1'], ['NORTH']]);
    expect((await overlaysOf('71', SOUTH)) as { set: object }[]).toEqual([
      { set: { '00100010': { vr: 'PN', Value: [{ Alphabetic: 'RIGHT^NAME' }] } } },
    ]);
    await db.rows('DELETE FROM identity_assignment');
    await db.transaction((client) => applyAssignments(client, { patientIds: ids, studyIds: [] }, options()));
    expect(await named()).toBe(1);
    expect(await overlaysOf('71')).toEqual([undefined]);
  });

  it('that fail on a row do not act there, and hold nothing up', async () => {
    await apply(`
version: 1
rules:
  - id: fails
    when: int(tags.AccessionNumber) > 5
    actions:
      - set: { StudyDescription: high }
`);
    await store(image('80', 1, { '00080050': 'A-12' }));
    expect(await find('STUDY', { '0020000D': '' })).toHaveLength(1);
    expect(failures).toContain('fails');
  });
});

describe('what rules on where data came from cannot do', () => {
  const problems = (line: string, attributes = DEFAULT_ATTRIBUTES) =>
    parseRules(`version: 1\nrules:\n  - id: a\n    scope: { site: [x] }\n    ${line}`, {
      material: materialElements(attributes),
    }).problems.map((one) => `${one.line}:${one.column} ${one.message}`);

  it('change whose images these are, or use what the catalog does not keep', () => {
    expect(problems('actions: [set: { PatientID: "1" }]')).toEqual([
      '5:15 PatientID: whose images these are is decided by links of persons, not by rules',
    ]);
    expect(problems('when: tags.ImageComments == "x"\n    actions: [set: { StationName: A }]')).toEqual([
      '5:11 ImageComments: the catalog does not keep it: add it to queryAttributes',
    ]);
    const more = configuredAttributes([{ keyword: 'AcquisitionDeviceProcessingCode', level: 'IMAGE' }]);
    expect(problems('actions: [set: { AcquisitionDeviceProcessingCode: A }]', more)).toEqual([]);
    // who asks may be shown less of anything: it is decided on the way out
    expect(problems('actions: [hide: [ImageComments]]\n    when: ctx.workstation == "W"')).toEqual([]);
  });
});
