import { parseArgs } from 'node:util';
import { Database } from '@archipelago/platform-storage';
import { UsageError, type GroupCommand, type Output } from '../command';
import { withCoreServices } from './core-services';

interface Row {
  id: string;
  kind: string;
  subject: string;
  evidence: unknown;
  state: string;
  createdAt: Date;
}

async function list(args: string[], out: Output): Promise<number> {
  const { values } = parseArgs({
    args,
    options: { state: { type: 'string', default: 'open' }, json: { type: 'boolean', default: false } },
  });
  if (values.state !== 'open' && values.state !== 'decided') throw new UsageError('--state is open or decided');
  return withCoreServices(async (app) => {
    let after = '0';
    for (;;) {
      const { rows } = await app.get(Database).query<Row>(
        `SELECT id, kind, subject, evidence, state, created_at AS "createdAt" FROM difference
          WHERE state = $1 AND id > $2 ORDER BY id LIMIT 100`,
        [values.state, after],
      );
      for (const row of rows) {
        out.line(
          values.json ? JSON.stringify(row) : `${row.id}  ${row.createdAt.toISOString()}  ${row.kind}  ${row.subject}`,
        );
      }
      const last = rows.at(-1);
      if (last === undefined || rows.length < 100) return 0;
      after = last.id;
    }
  });
}

export const differences: GroupCommand = {
  name: 'differences',
  summary: 'same identity, other content: what waits for a decision',
  commands: [{ name: 'list', summary: 'list them', help: '[--state open|decided] [--json]', run: list }],
};
