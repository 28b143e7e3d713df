import { REQUESTER_PARTS, type Action, type ActionKind, type Phase, type Scope } from './model';

const PHASE_OF: Record<ActionKind, Phase | undefined> = {
  coerce: 'receipt',
  // By the scope: kept with the data, or shown to some.
  set: undefined,
  map: undefined,
  route: 'trigger',
  prefetch: 'trigger',
  deny: 'outbound',
  hide: 'outbound',
  obscure: 'outbound',
  compress: 'outbound',
};

/**
 * When a rule acts. Rules on where data came from give values that are kept (material); rules on who asks act on the way
 * out. What cannot be both is refused: a coercion or a route that depends on who will ask, actions of two phases in one
 * rule. `context`: the fields that its expressions look at.
 */
export function phaseOf(
  actions: readonly Action[],
  scope: Scope,
  context: readonly string[],
  refuse: (message: string) => void,
): Phase {
  const asked = REQUESTER_PARTS.filter((part) => (scope[part]?.length ?? 0) > 0 || context.includes(part));
  const fixed = new Set(actions.map(({ kind }) => PHASE_OF[kind]).filter((phase) => phase !== undefined));
  if (fixed.size > 1) {
    refuse(`actions of different times in one rule: ${[...fixed].join(', ')}; write one rule for each`);
  }
  const [only] = fixed;
  const values = actions.some(({ kind }) => PHASE_OF[kind] === undefined);
  if (only !== undefined && only !== 'outbound') {
    if (values) refuse(`set and map cannot stand beside ${only} actions in one rule`);
    const wrong = only === 'receipt' ? asked : asked.filter((part) => part !== 'step' && part !== 'workstation');
    if (wrong.length > 0) {
      refuse(
        `${only === 'receipt' ? 'coerce acts at receipt' : 'route and prefetch act by themselves'}: nobody asks yet, so ${wrong.join(' and ')} is not known`,
      );
    }
    const routes = actions.some(({ kind }) => kind === 'route');
    if (only === 'trigger' && routes && asked.length > 0 && wrong.length === 0) {
      refuse(`route acts when objects arrive: nobody asks yet, so ${asked.join(' and ')} is not known`);
    }
    return only;
  }
  return only ?? (asked.length > 0 ? 'outbound' : 'material');
}
