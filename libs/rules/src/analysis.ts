import { lookupKeyword } from '@archipelago/dicom-core';
import { SCOPE_PARTS, type Action, type Rule } from './model';
import type { ReadRule } from './parse-rules';
import type { Source } from './source';

/** Who somebody is: elements of group 0010 that name or describe the patient (PS3.3 C.7.1.1). */
function isPatientAttribute(keyword: string): boolean {
  const tag = lookupKeyword(keyword)?.tag;
  return tag !== undefined && tag >>> 16 === 0x0010;
}

/** What is wrong with a rule set as a whole: rules that match everything or nothing, and rules that feed each other. */
export function analyse(source: Source, rules: readonly ReadRule[]): void {
  for (const read of rules) {
    source.rule = read.rule.id;
    checkReach(source, read);
    checkOwnInput(source, read);
  }
  source.rule = undefined;
  const active = rules.filter(({ rule }) => rule.enabled);
  checkValueLoops(source, active);
  checkRouteLoops(source, active);
}

function constantCondition({ condition }: ReadRule): boolean | undefined {
  if (!condition) return true;
  if (!condition.constant) return undefined;
  try {
    return condition.run({ tags: {}, ctx: {} }) === true;
  } catch {
    return false;
  }
}

function checkReach(source: Source, read: ReadRule): void {
  const { rule, place } = read;
  const constant = constantCondition(read);
  if (constant === false) source.warn('matches-nothing', 'the condition is never true', place);
  const limited = SCOPE_PARTS.some((part) => (rule.scope[part]?.length ?? 0) > 0);
  if (limited || constant !== true) return;
  const harm = rule.actions.map(harmOf).find((text) => text !== undefined);
  if (harm === undefined) return;
  const message = `no scope and no condition: ${harm} of every object`;
  if (rule.everything) source.warn('matches-everything', message, place);
  else source.error('matches-everything', `${message}; if that is meant, write everything: true`, place);
}

/** What an action without limits would do to all. */
function harmOf(action: Action): string | undefined {
  switch (action.kind) {
    case 'deny':
      return 'denies access';
    case 'hide':
      return 'hides attributes';
    case 'obscure':
      return 'obscures attributes';
    case 'coerce':
    case 'set': {
      const patient = Object.entries(action.values).find(
        ([keyword, value]) => isPatientAttribute(keyword) && value.kind !== 'expression',
      );
      return patient && `gives one ${patient[0]} to the patients`;
    }
    case 'map':
      return action.otherwise === 'empty' && isPatientAttribute(action.tag) ? `empties ${action.tag}` : undefined;
    default:
      return undefined;
  }
}

/** Elements that a rule writes. */
export function writes(rule: Rule): Set<string> {
  const keywords = new Set<string>();
  for (const action of rule.actions) {
    if (action.kind === 'coerce' || action.kind === 'set')
      Object.keys(action.values).forEach((key) => keywords.add(key));
    else if (action.kind === 'map') keywords.add(action.tag);
  }
  return keywords;
}

function reads({ rule, condition, expressions }: ReadRule): Set<string> {
  const keywords = new Set([...(condition?.keywords ?? []), ...expressions.flatMap((one) => [...one.keywords])]);
  if (rule.scope.modality?.length) keywords.add('Modality');
  for (const action of rule.actions) if (action.kind === 'map' && 'tag' in action.from) keywords.add(action.from.tag);
  return keywords;
}

/** Coercion is repeated when an object is sent again: it has to give the same then. */
function checkOwnInput(source: Source, { rule, place, condition, expressions }: ReadRule): void {
  if (rule.phase !== 'receipt') return;
  // A condition on the element itself can tell what was coerced before.
  const own = [...writes(rule)].filter(
    (keyword) => !condition?.keywords.includes(keyword) && expressions.some((one) => one.keywords.includes(keyword)),
  );
  if (own.length === 0) return;
  const message = `${own.join(', ')} is computed from itself: an object that was coerced before is coerced once more`;
  source.warn('not-idempotent', message, place);
}

/** Two rules whose scopes name a part without a common name never act on the same object. */
function canMeet(a: Rule, b: Rule): boolean {
  return SCOPE_PARTS.every((part) => {
    const [one, other] = [a.scope[part] ?? [], b.scope[part] ?? []];
    // A modality may be named by its device or by its kind.
    return part === 'modality' || one.length === 0 || other.length === 0 || one.some((name) => other.includes(name));
  });
}

/**
 * Rules of one phase that each read what the other writes, in a circle. All of them see the values as the phase found
 * them, so nothing runs for ever; but no order of them gives what their author wants.
 */
function checkValueLoops(source: Source, rules: readonly ReadRule[]): void {
  const written = rules.map(({ rule }) => writes(rule));
  const read = rules.map(reads);
  const writers = new Map<string, number[]>();
  written.forEach((set, i) => set.forEach((keyword) => writers.set(keyword, [...(writers.get(keyword) ?? []), i])));
  const edges = rules.map((_rule, reader) => {
    const from = new Set<number>();
    for (const keyword of read[reader]) for (const writer of writers.get(keyword) ?? []) from.add(writer);
    return [...from].filter(
      (writer) =>
        writer !== reader &&
        rules[writer].rule.phase === rules[reader].rule.phase &&
        canMeet(rules[writer].rule, rules[reader].rule),
    );
  });
  for (const circle of circles(edges)) {
    const parts = circle.map((i, k) => {
      const next = circle[(k + 1) % circle.length];
      const keyword = [...written[next]].find((one) => read[i].has(one)) as string;
      return `${rules[i].rule.id} reads ${keyword}, which ${rules[next].rule.id} writes`;
    });
    source.rule = rules[circle[0]].rule.id;
    source.error('loop', `rules feed each other: ${parts.join('; ')}`, rules[circle[0]].place);
  }
  source.rule = undefined;
}

/** Routes from archive to archive that come back to where they began. */
function checkRouteLoops(source: Source, rules: readonly ReadRule[]): void {
  const names: string[] = [];
  const edges: number[][] = [];
  const rulesOf: (ReadRule | undefined)[] = [];
  const index = (name: string): number => {
    if (!names.includes(name)) {
      names.push(name);
      edges.push([]);
    }
    return names.indexOf(name);
  };
  for (const read of rules) {
    for (const action of read.rule.actions) {
      if (action.kind !== 'route') continue;
      for (const to of action.to) {
        if (!('archive' in to)) continue;
        for (const from of read.rule.scope.archive ?? []) {
          const start = index(from);
          const end = index(to.archive);
          if (start === end) {
            source.rule = read.rule.id;
            source.error('loop', `routes objects of ${from} to ${from}`, read.place);
          } else {
            edges[start].push(end);
            rulesOf[start] = read;
          }
        }
      }
    }
  }
  for (const circle of circles(edges)) {
    const first = rulesOf[circle[0]] as ReadRule;
    source.rule = first.rule.id;
    const way = [...circle, circle[0]].map((i) => names[i]).join(' to ');
    source.error('loop', `objects are routed in a circle: ${way}`, first.place);
  }
  source.rule = undefined;
}

/** One circle of each group of nodes that reach each other (strongly connected; Tarjan 1972, without recursion). */
export function circles(edges: readonly (readonly number[])[]): number[][] {
  const group = components(edges);
  const result: number[][] = [];
  const seen = new Set<number>();
  for (let start = 0; start < edges.length; start++) {
    if (seen.has(group[start])) continue;
    const circle = circleFrom(start, edges, group);
    if (!circle) continue;
    seen.add(group[start]);
    result.push(circle);
  }
  return result;
}

/** The shortest way from a node back to itself inside its group. */
function circleFrom(
  start: number,
  edges: readonly (readonly number[])[],
  group: readonly number[],
): number[] | undefined {
  const before = new Map<number, number>();
  const queue = [start];
  for (let i = 0; i < queue.length; i++) {
    for (const next of edges[queue[i]]) {
      if (group[next] !== group[start]) continue;
      if (next === start) {
        const way = [queue[i]];
        while (way[0] !== start) way.unshift(before.get(way[0]) as number);
        return way;
      }
      if (!before.has(next)) {
        before.set(next, queue[i]);
        queue.push(next);
      }
    }
  }
  return undefined;
}

function components(edges: readonly (readonly number[])[]): number[] {
  const count = edges.length;
  const order = new Array<number>(count).fill(-1);
  const low = new Array<number>(count).fill(0);
  const group = new Array<number>(count).fill(-1);
  const open: number[] = [];
  let time = 0;
  let groups = 0;
  for (let root = 0; root < count; root++) {
    if (order[root] >= 0) continue;
    const calls: { node: number; next: number }[] = [{ node: root, next: 0 }];
    while (calls.length > 0) {
      const call = calls[calls.length - 1];
      const { node } = call;
      if (call.next === 0) {
        order[node] = low[node] = time++;
        open.push(node);
      }
      const target = edges[node][call.next++];
      if (target !== undefined) {
        if (order[target] < 0) calls.push({ node: target, next: 0 });
        else if (group[target] < 0) low[node] = Math.min(low[node], order[target]);
        continue;
      }
      if (low[node] === order[node]) {
        for (let member = -1; member !== node;) {
          member = open.pop() as number;
          group[member] = groups;
        }
        groups++;
      }
      calls.pop();
      const parent = calls[calls.length - 1];
      if (parent) low[parent.node] = Math.min(low[parent.node], low[node]);
    }
  }
  return group;
}
