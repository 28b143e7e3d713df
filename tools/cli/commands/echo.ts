import { parseArgs } from 'node:util';
import { connect } from '@archipelago/dimse';
import type { LeafCommand, Output } from '../command';
import { statusText } from '../status-text';
import { parseTarget } from '../target';

/** PS3.4 annex A: Verification SOP class */
const VERIFICATION = '1.2.840.10008.1.1';

async function run(args: string[], out: Output): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      to: { type: 'string' },
      from: { type: 'string', default: 'ARCHIPELAGOCLI' },
      json: { type: 'boolean', default: false },
    },
  });
  const target = parseTarget(values.to);
  const started = performance.now();
  const association = await connect({
    host: target.host,
    port: target.port,
    calledAeTitle: target.aeTitle,
    callingAeTitle: values.from,
    contexts: [{ abstractSyntax: VERIFICATION, transferSyntaxes: ['1.2.840.10008.1.2'] }],
  });
  const { status, errorComment } = await association.echo();
  await association.release();
  const milliseconds = Math.round(performance.now() - started);
  if (status !== 0 && !values.json) throw new Error(`refused with ${statusText(status, errorComment)}`);
  out.line(
    values.json
      ? JSON.stringify({ status, ...(errorComment ? { comment: errorComment } : {}), milliseconds })
      : `${target.aeTitle}@${target.host}:${target.port} answers (${milliseconds} ms)`,
  );
  return status === 0 ? 0 : 1;
}

export const echo: LeafCommand = {
  name: 'echo',
  summary: 'ask whether an archive answers (C-ECHO)',
  help: `[options]

  --to AETITLE@host:port   default: this machine's Archipelago (ARCHIPELAGO_AE_TITLE, _DIMSE_HOST, _DIMSE_PORT)
  --from AETITLE           calling AE title (default ARCHIPELAGOCLI)
  --json                   one JSON document`,
  run,
};
