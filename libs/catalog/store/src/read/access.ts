import type { Principal } from '@archipelago/contracts';
import type { SqlBuilder } from './sql-builder';

/**
 * The access filter of every query, for the rows of one alias; null: all of them (`restrictedRows`: what rules deny). Counts
 * and pages follow whatever it says.
 */
export type LabelFilter = (principal: Principal, alias: string, sql: SqlBuilder) => string | null;

export const SEES_ALL: LabelFilter = () => null;
