import { configuredAttributes, DEFAULT_ATTRIBUTES } from './attributes';
import { jsonHeaderView } from './header-view';
import { textPattern } from './matching';
import { localIdentity, DEFAULT_IDENTITY_RULES } from './patient-identity';
import { planSearch } from './plan';
import { projectInstance } from './projection';
import { SharedLevels } from './shared-levels';
import { parseDate, parseDateTimeSpan, parseTimeSpan } from './temporal';
import { foldName, sanitise } from './text';
import type { SearchV1 } from '@archipelago/contracts';

const PRINCIPAL = { kind: 'peer' as const, site: 'main', name: 'WS' };
const plan = (
  keys: { tag: string; vr: string; values: string[] }[],
  more: Partial<SearchV1> = {},
): ReturnType<typeof planSearch> =>
  planSearch({ principal: PRINCIPAL, model: 'study-root', level: 'STUDY', keys, ...more });

describe('text', () => {
  it('folds case and accents, keeps the marks of Japanese', () => {
    expect(foldName('MÜLLER^Jürgen^^=山田^太郎=がぎ^ｱ')).toEqual(['muller^jurgen', '山田^太郎', 'がぎ^ア']);
    expect(foldName('Straße^Øre ^ Łódź')[0]).toBe('strasse^ore^lodz');
  });
  it('drops NUL at the end and replaces it inside, and lone surrogates', () =>
    expect(sanitise('a\u0000b\ud800c😀\u0000\u0000')).toBe('a\ufffdb\ufffdc😀'));
  it('makes LIKE patterns with everything else literal', () => {
    expect(textPattern('a_%\\*b?')).toEqual({ like: 'a\\_\\%\\\\%b_', prefix: 'a_%\\', exact: false });
    expect(textPattern('1.2*', false).exact).toBe(true);
  });
});

describe('dates and times', () => {
  it.each([
    ['20260229', 20260229],
    ['2026.01.02', 20260102],
    ['20261301', null],
    ['2026', null],
    ["'", null],
  ])('date %s', (text, expected) => {
    expect(parseDate(text)).toBe(expected);
  });
  it('knows the precision of a time', () => {
    expect(parseTimeSpan('10')).toEqual({ from: 36_000_000_000, to: 39_599_999_999 });
    expect(parseTimeSpan('235960.5')).toMatchObject({ from: 86_400_500_000 });
    expect(parseTimeSpan('2460')).toBeNull();
  });
  it('knows the precision of a date time', () =>
    expect(parseDateTimeSpan('202601+0100')).toEqual({ from: '20260101000000000000', to: '20260131235959999999' }));
});

describe('planSearch', () => {
  it('tells universal, unsupported and below-level keys apart', () => {
    const result = plan([
      { tag: '00100010', vr: 'PN', values: ['*'] },
      { tag: '00080060', vr: 'CS', values: ['CT'] },
      { tag: '00080052', vr: 'CS', values: ['STUDY'] },
      { tag: '00991234', vr: 'LO', values: [] },
    ]);
    expect(result.predicates).toEqual([]);
    expect(result.unsupported).toEqual(['00080060', '00991234']);
    expect(result.malformed).toEqual([]);
    expect(result.returns.map((one) => one.key)).toEqual(['00100010']);
  });
  it.each([
    ['PATIENT', '00100030', 'DA', 'garbage!'],
    ['STUDY', '00100030', 'DA', '19701301'],
    ['STUDY', '00080020', 'DA', '2026*'],
    ['STUDY', '00080020', 'DA', '-'],
    ['STUDY', '00080020', 'DA', '20260101-20260102-20260103'],
    ['STUDY', '00080020', 'DA', 'garbage!', '20260101'],
    ['STUDY', '00080020', 'DA', '*', 'garbage!'],
    ['STUDY', '00080030', 'TM', '25'],
    ['STUDY', '00080030', 'TM', '10-1'],
    ['STUDY', '0020000D', 'UI', '1.2.*'],
    ['STUDY', '0020000D', 'UI', '1..2'],
    ['STUDY', '0020000D', 'UI', '1'.repeat(65)],
    ['STUDY', '00201208', 'IS', 'many'],
    ['STUDY', '00101030', 'DS', '80kg'],
    ['SERIES', '00200011', 'IS', '0x10'],
    ['SERIES', '00200011', 'IS', '1.5'],
    ['SERIES', '00180050', 'DS', '1,5'],
    ['IMAGE', '0008002A', 'DT', '2026-13-01'],
    ['IMAGE', '0008002A', 'DT', '20260101+9900'],
    ['IMAGE', '00280010', 'US', 'x'],
  ] as const)('%s: a value of %s (%s) that its VR does not allow is no question: %s', (level, tag, vr, ...values) => {
    const result = plan([{ tag, vr, values: [...values] }], { level });
    expect(result).toMatchObject({ malformed: [tag], unsupported: [], predicates: [] });
  });
  it.each([
    ['STUDY', '00080020', 'DA', ' 20260101 - '],
    ['STUDY', '00080020', 'DA', '2026.01.02'],
    ['STUDY', '00080020', 'DA', '""'],
    ['STUDY', '00080030', 'TM', '10:30-'],
    ['STUDY', '0020000D', 'UI', '1.02.3\u0000'],
    ['SERIES', '00200011', 'IS', ' +5 '],
    ['SERIES', '00180050', 'DS', '-1.5E+2'],
    ['IMAGE', '0008002A', 'DT', '20260101-20260102+0100'],
    ['IMAGE', '00280010', 'US', '512'],
  ] as const)('%s: %s (%s) may be asked for as %s', (level, tag, vr, value) => {
    const result = plan([{ tag, vr, values: [value] }], { level });
    expect(result).toMatchObject({ malformed: [], unsupported: [], predicates: [{ kind: 'value' }] });
  });
  it('a sequence fails with what is in it, and with more than one item', () => {
    const sequence = (...items: { tag: string; vr: string; values: string[] }[][]): ReturnType<typeof plan> =>
      planSearch({
        principal: PRINCIPAL,
        model: 'study-root',
        level: 'SERIES',
        keys: [{ tag: '00400275', vr: 'SQ', values: [], items }],
      });
    const uid = (value: string) => [{ tag: '0020000D', vr: 'UI', values: [value] }];
    expect(sequence(uid('x'))).toMatchObject({ malformed: ['00400275'], predicates: [] });
    expect(sequence([{ tag: '00991234', vr: 'LO', values: ['a'] }, ...uid('x')]).malformed).toEqual(['00400275']);
    expect(sequence(uid('1.2'), uid('1.3')).malformed).toEqual(['00400275']);
    expect(sequence(uid('1.2'))).toMatchObject({ malformed: [], predicates: [{ kind: 'sequence' }] });
  });
  it('combines date and time only when negotiated', () => {
    const keys = [
      { tag: '00080020', vr: 'DA', values: ['20260101-20260102'] },
      { tag: '00080030', vr: 'TM', values: ['10-'] },
    ];
    expect(plan(keys).predicates.map((one) => one.kind)).toEqual(['value', 'value']);
    expect(plan(keys, { combinedDateTime: true }).predicates).toMatchObject([
      { kind: 'combined', from: 2026010136000000000n },
    ]);
  });
});

describe('SharedLevels', () => {
  const entry = { sopInstanceUid: '1.2', sopClassUid: '1.2.840.10008.5.1.4.1.1.2' };
  const header = (more: Record<string, string> = {}) => {
    const plain = {
      '0020000D': '1.5',
      '0020000E': '1.6',
      '00100020': 'P1',
      '00100010': 'Doe^J',
      '00080060': 'CT',
      '00200013': '1',
      ...more,
    };
    return jsonHeaderView(
      Object.fromEntries(Object.entries(plain).map(([tag, value]) => [tag, { vr: 'LO', Value: [value] }])),
    );
  };
  it('projects once what is the same, and gives what projecting each header gives', () => {
    const levels = new SharedLevels(DEFAULT_ATTRIBUTES);
    const headers = [
      header(),
      header({ '00200013': '2' }),
      header({ '0020000E': '1.7' }),
      header({ '00100010': 'Doe^K' }),
      header({ '00100020': 'P2' }),
      header({ '0020000D': '1.8' }),
      header({ '00080060': 'MR' }),
    ];
    const together = headers.map((view) => projectInstance(entry, view, { levels }));
    expect(together).toEqual(headers.map((view) => projectInstance(entry, view)));
    const [one, two, series, name, id, study, modality] = together;
    expect([two?.patient === one?.patient, two?.study === one?.study, two?.series === one?.series]).toEqual([
      true,
      true,
      true,
    ]);
    expect([series?.study === one?.study, series?.series === one?.series]).toEqual([true, false]);
    expect([
      name?.patient === one?.patient,
      id?.patient === one?.patient,
      study?.study === one?.study,
      modality?.series === one?.series,
    ]).toEqual([false, false, false, false]);
  });
  it('keeps the issuers of two sources apart', () => {
    const levels = new SharedLevels(DEFAULT_ATTRIBUTES);
    const issuers = ['NORTH', 'SOUTH'].map(
      (defaultIssuer) => projectInstance(entry, header(), { levels, defaultIssuer }).patient?.identity.issuer,
    );
    expect(issuers).toEqual(['NORTH', 'SOUTH']);
  });
  it('never keeps more than its bound', () => {
    const levels = new SharedLevels(DEFAULT_ATTRIBUTES);
    for (let i = 0; i < 2_000; i++)
      projectInstance(entry, header({ '0020000D': `1.${i + 1}`, '0020000E': `2.${i + 1}` }), { levels });
    expect(levels.size).toBeLessThanOrEqual(512);
  });
});

describe('configuredAttributes', () => {
  it('keeps, matches and returns what archipelago.yaml adds, at its level', () => {
    const attributes = configuredAttributes([
      { keyword: 'TransmitCoilName', level: 'SERIES' },
      { keyword: 'SmallestImagePixelValue', level: 'IMAGE' },
    ]);
    const header = jsonHeaderView({ '00181251': { vr: 'SH', Value: ['BODY'] }, '00280106': { vr: 'US', Value: [7] } });
    const entry = { sopInstanceUid: '1.2', sopClassUid: '1.2.840.10008.5.1.4.1.1.4' };
    expect(projectInstance(entry, header, { attributes }).series?.attributes['00181251']).toEqual({
      vr: 'SH',
      Value: ['BODY'],
    });
    expect(projectInstance(entry, header, { attributes }).instance.attributes['00280106']).toEqual({
      vr: 'US',
      Value: [7],
    });
    expect(projectInstance(entry, header).series?.attributes['00181251']).toBeUndefined();
    const keys = [{ tag: '00181251', vr: 'SH', values: ['BO*'] }];
    const principal = { kind: 'peer' as const, site: 'main', name: 'A' };
    expect(planSearch({ principal, model: 'study-root', level: 'SERIES', keys }, attributes)).toMatchObject({
      unsupported: [],
      predicates: [{ kind: 'value' }],
    });
    expect(planSearch({ principal, model: 'study-root', level: 'SERIES', keys }).unsupported).toEqual(['00181251']);
  });
  it('names every keyword that cannot be', () => {
    const lines = ['NoSuchThing', 'PixelData', 'ProcedureCodeSequence'].map((keyword) => ({
      keyword,
      level: 'STUDY' as const,
    }));
    expect(() => configuredAttributes(lines)).toThrow(/NoSuchThing.*PixelData.*ProcedureCodeSequence/);
  });
});

describe('projectInstance', () => {
  const entry = { sopInstanceUid: '1.2', sopClassUid: '1.2.840.10008.5.1.4.1.1.2' };
  const text = (value: string) => ({ vr: 'LO', Value: [value] });
  it('bounds hostile values and hangs objects without a patient apart', () => {
    const projection = projectInstance(
      { ...entry, sopClassUid: '1.2.840.10008.5.1.4.39.1' },
      jsonHeaderView({ '00080070': text('x'.repeat(5000)) }),
    );
    expect(projection).toMatchObject({ study: null, filedAsGiven: true });
    expect(String(projection.instance.attributes['00080070']?.Value?.[0])).toHaveLength(1024);
  });
  it('files an image that names no study or series under UIDs of its own, always the same, never two together', () => {
    const filed = (uids: [string, string], sopInstanceUid = '1.2') => {
      const header = { '0020000D': text(uids[0]), '0020000E': text(uids[1]) };
      const { study, series, filedAsGiven } = projectInstance({ ...entry, sopInstanceUid }, jsonHeaderView(header));
      expect(study?.attributes['0020000D']?.Value).toEqual([study?.studyInstanceUid]);
      expect(series?.attributes['0020000E']?.Value).toEqual([series?.seriesInstanceUid]);
      return { study: study?.studyInstanceUid, series: series?.seriesInstanceUid, filedAsGiven };
    };
    expect(filed(['1.5', '1.6'])).toEqual({ study: '1.5', series: '1.6', filedAsGiven: true });
    const alone = filed(['', '']);
    expect(alone).toEqual({
      study: expect.stringMatching(/^2\.25\.[1-9]\d{0,38}$/) as string,
      series: expect.stringMatching(/^2\.25\.[1-9]\d{0,38}$/) as string,
      filedAsGiven: false,
    });
    expect(filed(['', ''])).toEqual(alone);
    expect(filed(['', ''], '1.3').study).not.toBe(alone.study);
    expect(filed(['', '1.6'], '1.3')).toEqual(filed(['', '1.6']));
    expect(filed(['1.5', '']).study).toBe('1.5');
    expect(filed(['1.5', '']).series).not.toBe(alone.series);
  });
  it('makes one identity per study of shared ids', () => {
    expect(localIdentity('N', 'unknown ', '1.2', DEFAULT_IDENTITY_RULES)).toEqual({
      issuer: 'N',
      patientId: 'unknown',
      scope: '1.2',
    });
    expect(localIdentity('N', 'A1', '1.2', DEFAULT_IDENTITY_RULES).scope).toBe('');
  });
});
