import type { KindBuilder } from '../context';
import { buildCt } from './ct';

/** Every kind of object that the generator writes. */
export const KINDS: Record<string, KindBuilder | undefined> = {
  ct: buildCt,
};
