import { compile, LIMITS, parseRules, type Problem } from './index';
import { circles } from './analysis';
import { allowsCount, valueProblem } from './value-check';

function rules(...list: string[]): string {
  return `version: 1\ntables: { t: { rows: { A: B } } }\nrules:\n${list.map((rule) => `  - ${rule}\n`).join('')}`;
}

function brief(problems: readonly Problem[]): string[] {
  return problems.map(({ severity, code, line, column, rule }) =>
    `${severity} ${code} ${line}:${column} ${rule ?? ''}`.trim(),
  );
}

const SCOPED = 'scope: { archive: north }';

describe('parseRules', () => {
  it('reads YAML and JSON to the same', () => {
    const json = {
      version: 7,
      tables: { t: { match: 'prefix', ignoreCase: true, rows: { A: 'B', '001': 'C' } } },
      rules: [
        {
          id: 'a',
          priority: 5,
          scope: { archive: ['north'] },
          when: 'tags.Rows > 10',
          actions: [{ set: { PatientSex: 'F' } }],
        },
        { id: 'b', enabled: false, actions: [{ map: { tag: 'StudyID', table: 't' } }] },
      ],
    };
    const yaml = `
version: 7
tables:
  t: { match: prefix, ignoreCase: true, rows: { A: B, 001: C } }
rules:
  - id: a
    priority: 5
    scope: { archive: north }
    when: tags.Rows > 10
    actions: [{ set: { PatientSex: F } }]
  - id: b
    description: not part of the digest
    enabled: false
    actions: [map: { tag: StudyID, table: t }]
`;
    const [one, other] = [parseRules(JSON.stringify(json)), parseRules(yaml)];
    expect([one.problems, other.problems]).toEqual([[], []]);
    expect(other.ruleSet?.digest).toBe(one.ruleSet?.digest);
    expect(other.ruleSet?.digest).toMatch(/^[0-9a-f]{64}$/);
    expect(JSON.parse(JSON.stringify(other.ruleSet))).toEqual({
      version: 7,
      digest: one.ruleSet?.digest,
      tables: {
        t: {
          match: 'prefix',
          ignoreCase: true,
          rows: [
            ['A', 'B'],
            ['001', 'C'],
          ],
        },
      },
      rules: [
        expect.objectContaining({ id: 'a', priority: 5, phase: 'material', scope: { archive: ['north'] } }),
        expect.objectContaining({ id: 'b', enabled: false, description: 'not part of the digest' }),
      ],
    });
    // Values that are numbers or words of YAML are taken as they are written.
    const plain = parseRules(rules(`{ id: a, ${SCOPED}, actions: [{ set: { PatientID: 00123, StudyID: true } }] }`));
    expect(plain.ruleSet?.rules[0].actions[0]).toEqual({
      kind: 'set',
      values: { PatientID: { kind: 'constant', values: ['00123'] }, StudyID: { kind: 'constant', values: ['true'] } },
    });
  });

  it('tells every error at once, each with its place', () => {
    const text = `version: 0
tables:
  t:
    match: regex
    rows: [{ from: A, to: B }, { from: a, to: C }, { from: A, to: D }]
rules:
  - id: wrong values
    scope: { archive: [north], colour: [red] }
    actions:
      - set:
          Modalty: CT
          PatientBirthDate: 1970-13-01
          StudyInstanceUID: 1.2.3
          Rows: 512
          PatientSex: [M, F]
  - id: b
    when: 'tags.Modalty == "CT" && tags.Rows == "512"'
    actions: [{ map: { tag: StudyDescription, table: unknown } }]
  - id: b
    when: tags.Rows ==
    actions: [{ route: { archive: nowhere } }, { explode: {} }]
`;
    const { ruleSet, problems } = parseRules(text, { known: { archives: ['south'] } });
    expect(ruleSet).toBeNull();
    expect(brief(problems)).toEqual([
      'error wrong-type 1:10',
      'error wrong-type 4:12',
      'error duplicate 5:52',
      'error wrong-type 7:9 wrong values',
      'error unknown-name 8:24 wrong values',
      'error unknown-key 8:32 wrong values',
      'error unknown-tag 11:11 wrong values',
      'error value 12:29 wrong values',
      'error forbidden-tag 13:11 wrong values',
      'error forbidden-tag 14:11 wrong values',
      'error value 15:23 wrong values',
      'error unknown-tag 17:17 b',
      'error unknown-table 18:54 b',
      'error duplicate 19:5 b',
      'error expression 20:23 b',
      'error unknown-name 21:35 b',
      'error unknown-key 21:50 b',
    ]);
    expect(problems.find(({ line }) => line === 17)).toMatchObject({ expressionOffset: 5, path: 'rules[1].when' });
  });

  it('a rule of a phase that nobody carries out is no rule to rely on', () => {
    const text = `version: 1
rules:
  - id: named
    scope: { archive: [north] }
    actions: [{ set: { StudyDescription: x } }]
  - id: secret
    scope: { user: [guest] }
    actions: [{ deny: { reason: staff } }]
  - id: later
    enabled: false
    scope: { user: [guest] }
    actions: [{ hide: [PatientName] }]
  - id: asked
    scope: { workstation: [WS] }
    actions: [{ set: { StudyDescription: x } }]
`;
    const unacted = (rule: { phase: string }): string | undefined =>
      rule.phase === 'material' ? undefined : `nothing carries out ${rule.phase}`;
    const refused = parseRules(text, { acting: { unacted, severity: 'error' } });
    expect(refused.ruleSet).toBeNull();
    expect(brief(refused.problems)).toEqual(['error not-acting 6:5 secret', 'error not-acting 13:5 asked']);
    const tried = parseRules(text, { acting: { unacted, severity: 'warning' } });
    expect(tried.ruleSet?.rules).toHaveLength(4);
    expect(brief(tried.problems)).toEqual(['warning not-acting 6:5 secret', 'warning not-acting 13:5 asked']);
    expect(parseRules(text, { acting: { unacted: () => undefined, severity: 'error' } }).problems).toEqual([]);
    expect(parseRules(text).problems).toEqual([]);
  });

  it('finds the place inside an expression however it is written', () => {
    const forms = [
      'when: tags.Modality == "CT" || tags.Nonsense == "x"',
      `when: 'tags.Modality == "C''T" || tags.Nonsense == "x"'`,
      `when: "tags.Modality == \\"C\\u0054\\" || tags.Nonsense == \\"x\\""`,
      'when: |\n      tags.Modality == "CT"\n      || tags.Nonsense == "x"',
      'when: >-\n      tags.Modality == "CT"\n\n      ||\n      tags.Nonsense == "x"',
      'when: tags.Modality == "CT" ||\n      tags.Nonsense == "x"',
    ];
    for (const when of forms) {
      const text = `version: 1\nrules:\n  - id: a\n    ${when}\n    actions: [{ route: { archive: south } }]\n`;
      const before = text.slice(0, text.indexOf('Nonsense')).split('\n');
      const { problems } = parseRules(text);
      expect([when, ...brief(problems)]).toEqual([
        when,
        `error unknown-tag ${before.length}:${before[before.length - 1].length + 1} a`,
      ]);
    }
  });

  it.each([
    ['tags.Modality == 1', 'no such overload: string == int'],
    ['tags.Modality', 'a condition is true or false, not string'],
    ['tags.PatientName.matches("(a+)+$")', 'no function matches; use like(text, pattern) with * and ?'],
    ['tags.ReferencedStudySequence == "x"', 'ReferencedStudySequence is SQ: conditions cannot look at it'],
    ['tags.PixelData == "x"', 'PixelData is OB/OW: conditions cannot look at it'],
    ['size(tags) > 2', 'tags is used with one of its fields only'],
    ['tags[ctx.archive] == "x"', 'tags[...] takes a constant text only'],
    ['ctx.hospital == "x"', 'no field hospital in ctx; one of '],
    ['has(ctx.user)', 'fields of ctx are always there'],
    ['tags.ImageType.exists(a, tags.ImageType.exists(b, a == b))', 'a loop inside a loop'],
    ['tags.ImageType.exists(tags, tags == "x")', 'tags is taken'],
    [
      'tags.ImageType.exists(a, like(tags.StudyID + a, "*a*"))',
      'inside a loop, like is for the values of the list only',
    ],
    ['cel.bind(a, tags.Modality, a == "x")', 'no function bind'],
    ['{"a": 1}.a == 1', 'Exceeded max'],
    ['foo == 1', 'Unknown variable: foo'],
    [`tags.Modality == "${'x'.repeat(LIMITS.expressionCharacters)}"`, 'longer than 2000 characters'],
    [Array(150).fill('tags.Rows == 1').join('||'), 'longer than'],
    [Array(100).fill('1==1').join('&&'), 'Exceeded max'],
    [`${'('.repeat(60)}true${')'.repeat(60)}`, 'Exceeded max'],
  ])('refuses the condition %s', (when, message) => {
    const { problems } = parseRules(
      JSON.stringify({ version: 1, rules: [{ id: 'a', when, actions: [{ route: { archive: 'x' } }] }] }),
    );
    expect(problems).toHaveLength(1);
    expect(problems[0].message.toLowerCase()).toContain(message.toLowerCase());
  });

  it.each([
    ['set: { PatientName: "A=B=C=D" }', 'value'],
    ['set: { Modality: ct }', 'value'],
    ['set: { PatientID: ["A", "B"] }', 'value'],
    ['set: { PatientID: "A\\\\B" }', 'value'],
    ['set: { PatientWeight: { cel: \'"heavy"\' } }', 'value'],
    ['set: { PatientAge: { cel: \'"33"\' } }', 'value'],
    ['set: { PatientName: { cel: tags.ImageType } }', 'value'],
    ['set: { PatientName: { cel: tags.Rows > 1 } }', 'value'],
    ['set: { SOPClassUID: 1.2 }', 'forbidden-tag'],
    ['set: { FrameOfReferenceUID: 1.2 }', 'forbidden-tag'],
    ['set: { SpecificCharacterSet: ISO_IR 192 }', 'forbidden-tag'],
    ['set: { TransferSyntaxUID: 1.2 }', 'forbidden-tag'],
    ['set: { BitsAllocated: 8 }', 'forbidden-tag'],
    ['set: { ReferencedStudySequence: x }', 'forbidden-tag'],
    ['hide: [SOPInstanceUID]', 'forbidden-tag'],
    ['hide: [Nonsense]', 'unknown-tag'],
    ['obscure: { tags: [PatientName], by: year }', 'value'],
    ['obscure: {}', 'missing'],
    ['compress: { transferSyntax: ExplicitVRLittleEndian }', 'value'],
    ['compress: { transferSyntax: JPEGLSLossless, quality: 5 }', 'value'],
    ['route: {}', 'missing'],
    ['deny: {}', 'missing'],
    ['prefetch: { studies: 0 }', 'wrong-type'],
    ['map: { tag: PatientSex, table: t, from: ctx.nonsense }', 'wrong-type'],
    ['map: { tag: PatientBirthDate, table: t }', 'value'],
    ['map: { tag: StudyDescription, table: __proto__ }', 'unknown-table'],
  ])('refuses the action { %s }', (action, code) => {
    const { problems } = parseRules(rules(`{ id: a, ${SCOPED}, actions: [{ ${action} }] }`));
    expect(problems.filter(({ severity }) => severity === 'error').map((problem) => problem.code)).toEqual([code]);
  });

  it('tells when a rule acts, and refuses what cannot be', () => {
    const phase = (scope: string, actions: string, when = 'tags.Rows > 1'): string => {
      const { ruleSet, problems } = parseRules(
        rules(`{ id: a, scope: ${scope}, when: '${when}', actions: [${actions}] }`),
      );
      return ruleSet?.rules[0].phase ?? problems.map(({ code }) => code).join();
    };
    expect(phase('{ archive: n }', '{ coerce: { StudyID: x } }')).toBe('receipt');
    expect(phase('{ archive: n }', '{ set: { StudyID: x } }')).toBe('material');
    expect(phase('{ archive: n, workstation: w }', '{ set: { StudyID: x } }')).toBe('outbound');
    expect(phase('{ archive: n }', '{ set: { StudyID: x } }', 'ctx.user == "u"')).toBe('outbound');
    expect(phase('{ archive: n }', '{ hide: StudyID }, { set: { StudyID: x } }')).toBe('outbound');
    expect(phase('{ archive: n }', '{ route: { archive: s } }')).toBe('trigger');
    expect(phase('{ step: scheduled }', '{ prefetch: {} }')).toBe('trigger');
    expect(phase('{ workstation: w }', '{ coerce: { StudyID: x } }')).toBe('scope');
    expect(phase('{ archive: n }', '{ coerce: { StudyID: { cel: ctx.user } } }')).toBe('scope');
    expect(phase('{ user: u }', '{ route: { archive: s } }')).toBe('scope');
    expect(phase('{ workstation: w }', '{ route: { archive: s } }')).toBe('scope');
    expect(phase('{ archive: n }', '{ coerce: { StudyID: x } }, { set: { StudyID: x } }')).toBe('scope');
    expect(phase('{ archive: n }', '{ route: { archive: s } }, { deny: { reason: x } }')).toBe('scope');
    expect(phase('{ archive: "n*" }', '{ set: { StudyID: x } }')).toBe('scope');
  });

  it('finds rules that match everything, and those that never match', () => {
    const code = (rule: string): string[] => brief(parseRules(rules(rule)).problems);
    for (const action of [
      'deny: { reason: x }',
      'hide: StudyID',
      'set: { PatientName: A }',
      'coerce: { PatientID: A }',
    ]) {
      expect(code(`{ id: a, actions: [{ ${action} }] }`)).toEqual(['error matches-everything 4:5 a']);
      expect(code(`{ id: a, when: 1 < 2, actions: [{ ${action} }] }`)).toEqual(['error matches-everything 4:5 a']);
      expect(code(`{ id: a, scope: { archive: [] }, when: true, actions: [{ ${action} }] }`)).toHaveLength(1);
      expect(code(`{ id: a, everything: true, actions: [{ ${action} }] }`)).toEqual([
        'warning matches-everything 4:5 a',
      ]);
      expect(code(`{ id: a, when: tags.Rows == 1, actions: [{ ${action} }] }`)).toEqual([]);
    }
    expect(code('{ id: a, actions: [{ set: { StudyDescription: x } }] }')).toEqual([]);
    expect(code(`{ id: a, when: '"a" == "b"', actions: [{ hide: StudyID }] }`)).toEqual([
      'warning matches-nothing 4:5 a',
    ]);
  });

  it('finds rules that feed each other', () => {
    const rule = (id: string, scope: string, from: string, to: string): string =>
      `{ id: ${id}, scope: { ${scope} }, when: has(tags.${from}), actions: [{ set: { ${to}: x } }] }`;
    const north = 'archive: north';
    const three = [
      rule('a', north, 'StudyID', 'StudyDescription'),
      rule('b', north, 'StudyDescription', 'SeriesDescription'),
      rule('c', north, 'SeriesDescription', 'StudyID'),
    ];
    const { problems } = parseRules(rules(...three));
    expect(brief(problems)).toEqual(['error loop 4:5 a']);
    for (const name of ['a reads StudyID', 'c reads SeriesDescription', 'b reads StudyDescription']) {
      expect(problems[0].message).toContain(name);
    }
    expect(parseRules(rules(...three.slice(0, 2))).problems).toEqual([]);
    const apart = [rule('a', north, 'StudyID', 'PatientID'), rule('b', 'archive: south', 'PatientID', 'StudyID')];
    expect(parseRules(rules(...apart)).problems).toEqual([]);
    const phases = [
      rule('a', north, 'StudyID', 'StudyDescription'),
      rule('b', `${north}, workstation: w`, 'StudyDescription', 'StudyID'),
    ];
    expect(parseRules(rules(...phases)).problems).toEqual([]);
    const route = (id: string, from: string, to: string): string =>
      `{ id: ${id}, scope: { archive: ${from} }, actions: [{ route: { archive: ${to} } }] }`;
    expect(brief(parseRules(rules(route('a', 'n', 's'), route('b', 's', 'w'), route('c', 'w', 'n'))).problems)).toEqual(
      ['error loop 4:5 a'],
    );
    expect(brief(parseRules(rules(route('a', 'n', 'n'))).problems)).toEqual(['error loop 4:5 a']);
    const self = `{ id: a, ${SCOPED}, actions: [{ coerce: { StudyID: { cel: '"x" + tags.StudyID' } } }] }`;
    expect(brief(parseRules(rules(self)).problems)).toEqual(['warning not-idempotent 4:5 a']);
  });

  it.each([
    ['', 'missing'],
    ['just text', 'wrong-type'],
    ['version: 1\nrules: [\n', 'syntax'],
    ['version: 1\nversion: 2\nrules: []', 'syntax'],
    ['version: 1\nrules: &a [*a]', 'syntax'],
    ['version: 1\nrules: []\nextra: 1', 'unknown-key'],
    ['version: 1\nrules: {}', 'wrong-type'],
    ['version: 1\nrules:\n  - [1]', 'wrong-type'],
    ['version: 1\nrules:\n  - 5', 'wrong-type'],
    ['version: 1\nrules:\n  -', 'wrong-type'],
    ['version: 1\nrules:\n  - { id: a, actions: [5] }', 'wrong-type'],
    ['version: 1\nrules:\n  - { id: a, actions: [] }', 'missing'],
    ['version: 1\nrules:\n  - { id: a }', 'missing'],
    ['\0\u0001{', undefined],
    ['{'.repeat(5000), undefined],
    ['x'.repeat(LIMITS.sourceCharacters + 1), 'too-large'],
  ])('survives %#', (text, code) => {
    const { ruleSet, problems } = parseRules(text);
    expect(ruleSet).toBeNull();
    expect(problems.length).toBeGreaterThan(0);
    if (code) expect(problems.map((problem) => problem.code)).toContain(code);
    for (const { line, column } of problems) expect([line > 0, column > 0]).toEqual([true, true]);
  });

  it('never throws for a text with random damage', () => {
    const text = rules(
      `{ id: a, ${SCOPED}, when: 'tags.Rows > 1 && like(tags.StudyID, "x*")', actions: [{ set: { StudyID: { cel: tags.Modality } } }] }`,
      '{ id: b, scope: { step: x }, actions: [{ obscure: { tags: [PatientName], by: initials } }, { hide: [StudyID] }] }',
    );
    expect(parseRules(text).problems).toEqual([]);
    let state = 1;
    const random = (below: number): number => (state = (state * 48271) % 0x7fffffff) % below;
    for (let i = 0; i < 1500; i++) {
      const at = random(text.length);
      const damaged =
        text.slice(0, at) + ['', '"', '{', '\t', '&', 'ß', '*', '|'][random(8)] + text.slice(at + random(6));
      const { ruleSet } = parseRules(damaged);
      if (ruleSet) expect(() => compile(ruleSet)).not.toThrow();
    }
  });
});

describe('valueProblem', () => {
  it.each([
    ['PatientName', 'Yamada^Tarou=山田^太郎', true],
    ['PatientName', 'A^B^C^D^E^F', false],
    ['PatientName', `${'x'.repeat(65)}`, false],
    ['PatientBirthDate', '20240230', false],
    ['PatientBirthDate', '20240229', true],
    ['StudyTime', '12:30', false],
    ['StudyTime', '123000.5', true],
    ['PatientAge', '033Y', true],
    ['PatientWeight', '70.5', true],
    ['PatientWeight', '1e999', false],
    ['SeriesNumber', '2147483648', false],
    ['SeriesNumber', '1.0', false],
    ['Rows', '65536', false],
    ['PatientComments', 'two\r\nlines', true],
    ['StudyDescription', 'two\r\nlines', false],
    ['StationAETitle', 'ÄÖ', false],
    ['StudyDescription', '\ud800', false],
  ])('%s = %j: %s', (keyword, value, fits) => {
    expect(valueProblem(keyword, [value]) === undefined).toBe(fits);
  });

  it('counts values as the dictionary says', () => {
    expect([allowsCount('1', 2), allowsCount('1-n', 9), allowsCount('2-2n', 4), allowsCount('2-2n', 5)]).toEqual([
      false,
      true,
      true,
      false,
    ]);
    expect([allowsCount('2', 2), allowsCount('2-n', 1), allowsCount('1-3', 3), allowsCount('1-3', 4)]).toEqual([
      true,
      false,
      true,
      false,
    ]);
  });
});

describe('circles', () => {
  it('finds one of each group, in long chains too', () => {
    expect(circles([[1], [2], [0], [4], []])).toEqual([[0, 1, 2]]);
    expect(circles([[1], [0], [3], [2]])).toEqual([
      [0, 1],
      [2, 3],
    ]);
    const chain = Array.from({ length: 20_000 }, (_, i) => (i < 19_999 ? [i + 1] : [0]));
    expect(circles(chain)[0]).toHaveLength(20_000);
  });
});
