/** Where rules send what has just been indexed (docs/adr/0028). */
import type { AttributeSet } from '@archipelago/catalog-model';
import type { SqlClient } from '@archipelago/platform-storage';
import { evaluate, type Destination, type LooksAt, type Rule, type RuleContext } from '@archipelago/rules';
import type { ActiveRules } from './active-rules';
import { samplesOf, type SampleOptions } from './rule-samples';

/** An object that was sent to us and is the answer for its UID since. */
export interface NewObject {
  sopInstanceUid: string;
  callingAeTitle: string;
}

export interface Route {
  rule: string;
  to: Destination;
  studyInstanceUid: string;
  sopInstanceUids: string[];
}

interface Placed {
  uid: string;
  series: string;
  study: string;
  studyUid: string;
}

const PLACES = `
  SELECT i.sop_instance_uid AS uid, i.series::text, x.study::text, s.study_instance_uid AS "studyUid"
  FROM instance i JOIN series x ON x.id = i.series JOIN study s ON s.id = x.study
  WHERE i.sop_instance_uid = ANY($1::text[]) AND i.is_answer ORDER BY i.sort_number, i.sop_instance_uid`;

/** What an archive has said that it has need not be sent there. */
const THERE = `
  SELECT o.sop_instance_uid AS uid FROM source_instance o JOIN source n ON n.id = o.source
  WHERE n.name = $1 AND o.sop_instance_uid = ANY($2::text[]) AND o.state = 'present' AND NOT o.held`;

const SOURCE_CONTEXT: readonly string[] = ['archive', 'site', 'person', 'modality', 'origin'];

/** Why the system would not carry out a route as its author means; undefined: it does. */
export function unactedRoute(rule: Rule, looksAt: LooksAt, attributes: AttributeSet): string | undefined {
  const other = rule.actions.find(({ kind }) => kind !== 'route');
  if (other) return `nothing carries out ${other.kind} yet`;
  const context = looksAt.context.find((field) => !SOURCE_CONTEXT.includes(field));
  if (context !== undefined) return `ctx.${context} is not known when objects arrive`;
  const keyword = looksAt.keywords.find((one) => !isOfSeries(one, attributes));
  if (keyword === undefined) return undefined;
  return `${keyword} is not known of a series: routes are decided for each series, by attributes of patients, studies and series that the catalog keeps`;
}

function isOfSeries(keyword: string, attributes: AttributeSet): boolean {
  const attribute = attributes.all().find((one) => one.keyword === keyword);
  return attribute !== undefined && attribute.level !== 'IMAGE' && !attribute.computed && !attribute.items;
}

/**
 * In the transaction that indexed them, after rules gave their effective values: these count. Each series by itself, as it is
 * now.
 * @param isSender whether that calling AE title is the destination: nothing goes back to who sent it
 */
export async function routesOf(
  client: SqlClient,
  objects: readonly NewObject[],
  rules: ActiveRules,
  options: SampleOptions,
  isSender: (to: Destination, callingAeTitle: string) => boolean,
): Promise<Route[]> {
  if (objects.length === 0 || rules.compiled.phases.trigger.length === 0) return [];
  const { rows: places } = await client.query<Placed>(PLACES, [objects.map((one) => one.sopInstanceUid)]);
  const studies = [...new Set(places.map((one) => one.study))];
  const samples = new Map((await samplesOf(client, studies, options)).map((one) => [`${one.level} ${one.id}`, one]));
  const callers = new Map(objects.map((one) => [one.sopInstanceUid, one.callingAeTitle]));
  const routes: Route[] = [];
  for (const [series, members] of groupBy(places, (one) => one.series)) {
    const sample = samples.get(`series ${series}`);
    if (!sample) continue;
    // what was sent to us is asked about, whatever else is known of the series
    const ctx: RuleContext = { ...sample.ctx, origin: 'acquired' };
    const said = evaluate(rules.compiled, { tags: sample.tags, ctx }, { phases: ['material', 'trigger'] });
    for (const failure of said.failures) rules.onFailure?.(failure);
    for (const { rule, to } of said.routes) {
      const sent = members.filter(({ uid }) => !isSender(to, callers.get(uid) ?? ''));
      const there = 'archive' in to ? await thereAlready(client, to.archive, sent) : new Set<string>();
      const sopInstanceUids = sent.flatMap(({ uid }) => (there.has(uid) ? [] : [uid]));
      const studyInstanceUid = members[0]!.studyUid;
      if (sopInstanceUids.length > 0) routes.push({ rule, to, studyInstanceUid, sopInstanceUids });
    }
  }
  return routes;
}

async function thereAlready(client: SqlClient, archive: string, objects: readonly Placed[]): Promise<Set<string>> {
  const { rows } = await client.query<{ uid: string }>(THERE, [archive, objects.map(({ uid }) => uid)]);
  return new Set(rows.map(({ uid }) => uid));
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}
