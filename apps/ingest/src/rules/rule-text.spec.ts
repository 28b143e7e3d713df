import { configuredAttributes } from '@archipelago/catalog-model';
import { readRules, type RuleSite } from './rule-text';

const site: RuleSite = {
  attributes: configuredAttributes([]),
  cannotReach: (to) => ('archive' in to || to.workstation === 'WARD' ? undefined : 'no such peer'),
};
const rule = (actions: string, more = ''): string =>
  `version: 1\nrules:\n  - id: one\n    scope: { archive: [north] }\n${more}    actions: [${actions}]\n`;

describe('a rule set that is to come into force', () => {
  it('may hold what rows are given', () => {
    const { ruleSet, compiled, problems } = readRules(rule('{ set: { StudyDescription: x } }'), site, [
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
    '{ compress: { transferSyntax: JPEG2000, quality: 85 } }',
  ])('is refused with %s: nothing carries it out', (action) => {
    const { ruleSet, problems } = readRules(rule(action), site, ['north', 'south']);
    expect(ruleSet).toBeNull();
    expect(problems).toContainEqual(expect.objectContaining({ severity: 'error', code: 'not-acting', rule: 'one' }));
    expect(readRules(rule(action, '    enabled: false\n'), site, ['north', 'south']).ruleSet?.rules).toHaveLength(1);
    const trial = readRules(rule(action), site, ['north', 'south'], true);
    expect(trial.ruleSet?.rules).toHaveLength(1);
    expect(trial.problems).toContainEqual(expect.objectContaining({ severity: 'warning', code: 'not-acting' }));
  });

  describe('with routes', () => {
    const routed = (when: string, to: string): string =>
      `version: 1\nrules:\n  - id: one\n    scope: { archive: [north] }\n    when: ${when}\n    actions: [{ route: ${to} }]\n`;

    it('is taken where each series answers the condition, and the destination can be reached', () => {
      const text = routed(
        'tags.Modality == "MR" && tags.SeriesDescription != ""',
        '{ archive: south, workstation: WARD }',
      );
      expect(readRules(text, site, ['north', 'south']).problems).toEqual([]);
    });

    it.each([
      [routed('tags.ImageType.exists(kind, kind == "PRIMARY")', '{ archive: south }'), 'ImageType'],
      [routed('tags.InstanceNumber == 1', '{ archive: south }'), 'InstanceNumber'],
      [routed('tags.Modality == "MR"', '{ workstation: HALLWAY }'), 'no such peer'],
      [routed('tags.Modality == "MR"', '{ archive: east }'), 'no archive east'],
      [
        'version: 1\nrules:\n  - id: one\n    scope: { step: [scheduled] }\n    actions: [{ prefetch: { studies: 2 } }]\n',
        'prefetch',
      ],
    ])('is refused where it would not act, with the reason: %#', (text, why) => {
      const { ruleSet, problems } = readRules(text, site, ['north', 'south']);
      expect(ruleSet).toBeNull();
      expect(problems.map(({ message }) => message).join()).toContain(why);
    });
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
      expect(readRules(text, site, ['north']).problems).toEqual([]);
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
      const { ruleSet, problems } = readRules(text, site, ['north']);
      expect(ruleSet).toBeNull();
      expect(problems.map(({ message }) => message).join()).toContain(why);
    });
  });
});
