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
    '{ deny: { reason: staff only } }',
    '{ hide: [PatientName] }',
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
});
