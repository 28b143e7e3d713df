import type { AssociationInfo } from '@archipelago/dimse';
import type { OpenAssociations } from './association-policy';
import type { AssociationState } from './association-state';

/** Counts over the associations that are open: nothing to keep in step, so nothing can leak. */
export function countOpen(associations: readonly Pick<AssociationInfo, 'data'>[]): OpenAssociations {
  const states = associations.map((a) => a.data as AssociationState | undefined);
  return {
    ofCaller: (key) => states.filter((s) => s?.callerKey === key).length,
    ofUnknown: () => states.filter((s) => s !== undefined && s.peer === undefined).length,
  };
}
