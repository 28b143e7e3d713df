/** What rules keep from who asks (docs/adr/0030). */
import type { Principal } from '@archipelago/contracts';
import { tagOf } from '@archipelago/dicom-core';
import { TransientError } from '@archipelago/platform-service';
import { parseRules, type ObscureMethod } from '@archipelago/rules';
import { restrictiveRules, type RestrictiveRule } from '../rules/restrictive-rules';
import type { QueryRunner, Run } from './runner';

/** Conditions under which something is kept from who asks, by name; null: always. */
export type When = readonly string[] | null;

export interface Restrictions {
  /** Studies that are not there. */
  deny: When;
  /** Elements that are not there, by key. */
  hide: ReadonlyMap<string, When>;
  /** Elements of which less is shown, by key; the first that holds decides. They match nothing, as if hidden. */
  obscure: ReadonlyMap<string, readonly { when: When; by: ObscureMethod }[]>;
}

/** The rules in force cannot be relied on yet, or not be read: who they are for gets a failure, not an answer. */
export class RulesNotReadyError extends TransientError {
  constructor(message: string) {
    super('rules-not-ready', message);
  }
}

/** An id is hidden with all that tells it. */
const WITH: Record<string, readonly string[]> = {
  // Issuer, Qualifiers Sequence, Other Patient IDs and its sequence
  '00100020': ['00100021', '00100024', '00101000', '00101002'],
};
const union = (a: When | undefined, b: string | null): When =>
  a === null || b === null ? null : [...new Set([...(a ?? []), b])];

function keyOf(keyword: string): string {
  const tag = tagOf(keyword);
  if (tag === undefined) throw new RulesNotReadyError('a rule in force hides an element that is not known');
  return tag.toString(16).padStart(8, '0').toUpperCase();
}

/** Of these rules, the first to count first, what concerns these workstations; null: nothing. */
export function restrictionsFor(rules: readonly RestrictiveRule[], names: readonly string[]): Restrictions | null {
  let deny: When = [];
  const hide = new Map<string, When>();
  const obscure = new Map<string, { when: When; by: ObscureMethod }[]>();
  for (const { rule, label } of rules) {
    const { workstation } = rule.scope;
    if (workstation?.length && !workstation.some((name) => names.includes(name))) continue;
    for (const action of rule.actions) {
      if (action.kind === 'deny') deny = union(deny, label);
      if (action.kind === 'obscure')
        for (const key of action.tags.map(keyOf))
          obscure.set(key, [...(obscure.get(key) ?? []), { when: union([], label), by: action.by }]);
      if (action.kind !== 'hide') continue;
      for (const keyword of action.tags) {
        const key = keyOf(keyword);
        for (const one of [key, ...(WITH[key] ?? [])]) hide.set(one, union(hide.get(one), label));
      }
    }
  }
  return denies({ deny }) || hide.size + obscure.size > 0 ? { deny, hide, obscure } : null;
}

export const denies = ({ deny }: Pick<Restrictions, 'deny'>): boolean => deny === null || deny.length > 0;

/** Counts of a person's studies, which would tell of those that are denied. */
export const COUNTS_OF_PERSON = ['00201200', '00201202', '00201204'];

interface InForce {
  version: number;
  source: string | null;
  labels: string[];
}

const IN_FORCE = `
  SELECT r.id AS version, CASE WHEN r.id <> $1 THEN r.source END AS source, ARRAY(SELECT label FROM rule_label) AS labels
  FROM rule_set r ORDER BY r.id DESC LIMIT 1`;

/** Reads the rules in force for each question; parses them where they changed. */
export class RestrictionReader {
  private version = 0;
  /** The first to count first; null: they cannot be read. */
  private rules: readonly RestrictiveRule[] | null = [];

  constructor(private readonly runner: QueryRunner) {}

  /**
   * @param receivers other workstations that will see the answer (a C-MOVE destination): what is kept from one of them is kept
   * @param within a transaction to read in, that of the question; default: one of its own
   * @throws RulesNotReadyError while studies are still tested for a condition that concerns who asks; as `runner.read`
   */
  async of(principal: Principal, receivers: readonly string[] = [], within?: Run): Promise<Restrictions | null> {
    if (principal.kind === 'service') return null;
    const read = (run: Run): Promise<InForce[]> => run<InForce>(IN_FORCE, [this.version]);
    const [now] = await (within ? read(within) : this.runner.lookUp(read));
    if (!now) return null;
    // answers may overtake each other
    if (now.source !== null && now.version > this.version) this.take(now.version, now.source);
    if (this.rules === null) throw new RulesNotReadyError('the rules in force cannot be read');
    const names = [principal.name, principal.workstation, ...receivers].filter((name) => name !== undefined);
    const restrictions = restrictionsFor(this.rules, names);
    if (!restrictions) return null;
    const tested = new Set(now.labels);
    const { deny, hide, obscure } = restrictions;
    const whens = [deny, ...hide.values(), ...[...obscure.values()].flatMap((list) => list.map(({ when }) => when))];
    if (whens.some((when) => when?.some((label) => !tested.has(label))))
      throw new RulesNotReadyError('studies are still tested for rules that concern who asks');
    return restrictions;
  }

  private take(version: number, source: string): void {
    const { ruleSet } = parseRules(source);
    this.version = version;
    if (ruleSet) this.rules = restrictiveRules(ruleSet).sort((a, b) => b.rule.priority - a.rule.priority);
    // of a language that this version does not read: nobody is told what it may keep from them
    else this.rules = /\b(deny|hide|obscure)\b/.test(source) ? null : [];
  }
}
