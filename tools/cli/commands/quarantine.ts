import { parseArgs } from 'node:util';
import { Database } from '@archipelago/platform-storage';
import type { GroupCommand, Output } from '../command';
import { withCoreServices } from './core-services';

interface Row {
  packId: string;
  edgeId: string;
  site: string;
  key: string;
  code: string;
  reason: string;
  state: string;
  failures: number;
  lastAt: Date;
}

async function list(args: string[], out: Output): Promise<number> {
  const { values } = parseArgs({
    args,
    options: { all: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } },
  });
  return withCoreServices(async (app) => {
    const { rows } = await app.get(Database).query<Row>(
      `SELECT pack_id AS "packId", edge_id AS "edgeId", site, key, code, reason, state, failures, last_at AS "lastAt"
         FROM quarantined_pack WHERE $1 OR state = 'quarantined' ORDER BY last_at DESC LIMIT 1000`,
      [values.all],
    );
    for (const row of rows) {
      const { packId, lastAt, state, code, edgeId, key, reason } = row;
      out.line(
        values.json
          ? JSON.stringify(row)
          : `${packId}  ${lastAt.toISOString()}  ${state}  ${code}  edge ${edgeId}  ${key}  ${reason}`,
      );
    }
    return 0;
  });
}

export const quarantine: GroupCommand = {
  name: 'quarantine',
  summary: 'packs that ingest could not read or index',
  commands: [{ name: 'list', summary: 'list them', help: '[--all (also suspects and healed)] [--json]', run: list }],
};
