import type { AttributeSet, IdentityRules } from '@archipelago/catalog-model';
import type { ActiveRules } from '../rules/active-rules';
import type { SqlClient } from '@archipelago/platform-storage';

/** What the configuration says of deriving rows. */
export interface DeriveOptions {
  identity?: IdentityRules;
  attributes?: AttributeSet;
  /** Names of the archives, the first one's answers win. Those not named come after, by name. */
  archives?: readonly string[];
  /** The rule set in force; none: no rules were ever given. */
  rules?: ActiveRules;
}

export interface Source {
  id: number;
  name: string;
}

export function readSources(client: SqlClient): Promise<{ rows: Source[] }> {
  return client.query<Source>('SELECT id, name FROM source');
}

/** Rank of each source by the order of archives: the lowest wins. */
export async function archiveRanks(client: SqlClient, options: DeriveOptions): Promise<Map<number, number>> {
  return ranksOf((await readSources(client)).rows, options);
}

export function ranksOf(rows: readonly Source[], options: DeriveOptions): Map<number, number> {
  const order = options.archives ?? [];
  const sorted = rows
    .map(({ id, name }) => ({ id, name, place: order.includes(name) ? order.indexOf(name) : order.length }))
    .sort((a, b) => a.place - b.place || (a.name < b.name ? -1 : 1));
  return new Map(sorted.map(({ id }, rank) => [id, rank]));
}
