import { configuredAttributes } from '@archipelago/catalog-model';
import { readRules } from './rule-text';

const attributes = configuredAttributes([]);
const rule = (actions: string, more = ''): string =>
  `version: 1\nrules:\n  - id: one\n    scope: { archive: [north] }\n${more}    actions: [${actions}]\n`;

describe('a rule set that is to come into force', () => {
  it('may hold what rows are given', () => {
    const { ruleSet, compiled, problems } = readRules(rule('{ set: { StudyDescription: x } }'), attributes, [
      'north',
      'south',
    ]);
    expect(problems).toEqual([]);
    expect(ruleSet?.rules).toHaveLength(1);
    expect(compiled).not.toBeNull();
  });

  it.each([
    '{ obscure: { tags: [PatientName], by: initials, level: burned-in } }',
    '{ obscure: { tags: [PatientID], by: blank } }',
    '{ obscure: { tags: [SeriesDescription], by: blank } }',
    '{ hide: [Modality] }',
    '{ coerce: { StudyDescription: x } }',
    '{ route: { archive: south } }',
    '{ compress: { transferSyntax: JPEG2000, quality: 85 } }',
  ])('is refused with %s: nothing carries it out', (action) => {
    const { ruleSet, problems } = readRules(rule(action), attributes, ['north', 'south']);
    expect(ruleSet).toBeNull();
    expect(problems).toContainEqual(expect.objectContaining({ severity: 'error', code: 'not-acting', rule: 'one' }));
    expect(readRules(rule(action, '    enabled: false\n'), attributes, ['north', 'south']).ruleSet?.rules).toHaveLength(
      1,
    );
    const trial = readRules(rule(action), attributes, ['north', 'south'], true);
    expect(trial.ruleSet?.rules).toHaveLength(1);
    expect(trial.problems).toContainEqual(expect.objectContaining({ severity: 'warning', code: 'not-acting' }));
  });

  describe('with rules on who asks', () => {
    const asked = (scope: string, when?: string, action = '{ deny: { reason: staff } }'): string =>
      `version: 1\nrules:\n  - id: one\n    scope: ${scope}\n${when === undefined ? '' : `    when: ${when}\n`}    actions: [${action}]\n`;

    it.each([
      asked('{ workstation: [LECTURE-1] }'),
      asked('{ workstation: [LECTURE-1] }', undefined, '{ obscure: { tags: [PatientName], by: initials } }'),
      asked('{ archive: [north], workstation: [LECTURE-1] }', 'tags.Modality == "CT" && has(tags.StudyDescription)'),
      asked('{ person: [P-000001] }', 'ctx.archive != "north"', '{ hide: [PatientName, SeriesDescription] }'),
    ])('is taken where a study as a whole answers it', (text) => {
      expect(readRules(text, attributes, ['north']).problems).toEqual([]);
    });

    it.each([
      [asked('{ user: [guest] }'), 'scope of user'],
      [asked('{ step: [research] }'), 'scope of step'],
      [asked('{ modality: [CT-1], workstation: [A] }'), 'tags.Modality'],
      [asked('{ archive: [north] }', 'ctx.workstation != "READING"'), 'ctx.workstation'],
      [asked('{ workstation: [A] }', 'tags.SeriesDescription == "secret"'), 'SeriesDescription'],
      [asked('{ workstation: [A] }', 'tags.PatientInsurancePlanCodeSequence == "x"'), ''],
      [asked('{ workstation: [A] }', undefined, '{ set: { PatientName: X } }'), 'set'],
    ])('is refused where it would act by halves', (text, why) => {
      const { ruleSet, problems } = readRules(text, attributes, ['north']);
      expect(ruleSet).toBeNull();
      expect(problems.map(({ message }) => message).join()).toContain(why);
    });
  });
});
