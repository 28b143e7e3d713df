/** Which conditions of rules on who asks hold for a study (docs/adr/0030). */
import type { KeptAttributes } from '@archipelago/catalog-model';
import type { SqlClient } from '@archipelago/platform-storage';
import { compile, evaluate, type CompiledRules, type RuleContext, type RuleSet } from '@archipelago/rules';
import { shown } from '../shown';
import type { ActiveRules } from './active-rules';
import { restrictiveRules, sourceScope } from './restrictive-rules';
import { placeOf, tagsOf } from './rule-context';

interface Conditions {
  compiled: CompiledRules;
  /** Those that look at Modality. */
  ofModality: ReadonlySet<string>;
}

const conditionsOf = new WeakMap<RuleSet, Conditions | null>();

/** The rule set's conditions, each once, as rules that are called by their name. */
function conditions(ruleSet: RuleSet): Conditions | null {
  const known = conditionsOf.get(ruleSet);
  if (known !== undefined) return known;
  const byLabel = new Map(
    restrictiveRules(ruleSet).flatMap((one) => (one.label === null ? [] : [[one.label, one.rule]])),
  );
  const rules = [...byLabel].map(([id, rule]) => ({
    ...rule,
    id,
    scope: sourceScope(rule),
    actions: [{ kind: 'deny' as const, reason: '' }],
  }));
  const compiled = compile({ ...ruleSet, rules });
  const ofModality = compiled.phases.outbound.filter((one) => one.condition?.keywords.includes('Modality'));
  const made = rules.length === 0 ? null : { compiled, ofModality: new Set(ofModality.map((one) => one.rule.id)) };
  conditionsOf.set(ruleSet, made);
  return made;
}

interface StudyRow {
  id: string;
  attributes: KeptAttributes;
  person: string;
  labels: string[];
  sources: string[];
  modalities: string[];
}

/**
 * All sources count, whatever they say now, and all modalities: what is so for a part is so for the study. Modalities as
 * they are summed up (`SUM_STUDIES`), for that is done after.
 */
const STUDIES = `
  SELECT s.id::text, s.attributes, s.person, s.labels,
    ARRAY(SELECT DISTINCT n.name FROM source_study t JOIN source n ON n.id = t.source WHERE t.study_instance_uid = s.study_instance_uid
      AND t.patient_id = p.patient_id AND t.issuer = p.issuer ORDER BY 1) AS sources,
    ARRAY(SELECT y.modality FROM series y WHERE y.study = s.id AND ${shown('y')} AND y.modality <> ''
      UNION SELECT m COLLATE "C" FROM jsonb_array_elements_text(s.said -> 'modalities') m ORDER BY 1) AS modalities
  FROM study s JOIN patient p ON p.id = s.patient WHERE s.id = ANY($1::bigint[]) AND NOT s.is_group ORDER BY s.id`;

function labelsFor(row: StudyRow, { compiled, ofModality }: Conditions, rules: ActiveRules): string[] {
  const held = new Set<string>();
  const tags = tagsOf(row.attributes, rules.attributes);
  const sources = row.sources.length > 0 ? row.sources : [undefined];
  const modalities = row.modalities.length > 0 ? row.modalities : [undefined];
  // not known yet: kept back rather than shown by mistake
  if (row.modalities.length === 0) for (const label of ofModality) held.add(label);
  for (const source of sources)
    for (const modality of modalities) {
      const ctx: RuleContext = {
        person: row.person,
        ...(source === undefined ? {} : placeOf(source, rules)),
      };
      const input = { tags: { ...tags, ...(modality === undefined ? {} : { Modality: [modality] }) }, ctx };
      const { explanation, failures } = evaluate(compiled, input, { phases: ['outbound'] });
      for (const failure of failures) rules.onFailure?.(failure);
      // a condition that cannot be tested counts as met
      for (const { rule, outcome } of explanation)
        if (outcome === 'applied' || outcome === 'overruled' || outcome === 'error') held.add(rule);
    }
  return [...held].sort();
}

const CLEAR = `
  UPDATE study SET labels = '{}' WHERE id = ANY($1::bigint[]) AND NOT is_group AND labels <> '{}' RETURNING id::text`;
const SET = `
  UPDATE study t SET labels = ARRAY(SELECT jsonb_array_elements_text(k.labels::jsonb))
  FROM unnest($1::bigint[], $2::text[]) k(id, labels) WHERE t.id = k.id`;

/** In the caller's transaction, after effective values. @returns ids of studies whose labels changed */
export async function labelStudies(
  client: SqlClient,
  studies: readonly string[],
  rules: ActiveRules,
): Promise<string[]> {
  if (studies.length === 0) return [];
  const tested = conditions(rules.compiled.ruleSet);
  if (!tested) return (await client.query<{ id: string }>(CLEAR, [studies])).rows.map((row) => row.id);
  const { rows } = await client.query<StudyRow>(STUDIES, [studies]);
  const changed = rows
    .map((row) => ({ id: row.id, before: row.labels, labels: labelsFor(row, tested, rules) }))
    .filter(({ before, labels }) => before.join() !== labels.join());
  if (changed.length > 0)
    await client.query(SET, [changed.map((one) => one.id), changed.map((one) => JSON.stringify(one.labels))]);
  return changed.map((one) => one.id);
}

/** A row that shows several has what any of them has. */
export const LABEL_GROUPS = `
  UPDATE study g SET labels = ARRAY(SELECT DISTINCT l COLLATE "C" FROM study m, unnest(m.labels) l WHERE m.grouped = g.id ORDER BY 1)
  WHERE g.id = ANY($1::bigint[]) AND g.is_group`;
