import { createReadStream, type Stats } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readPart10, readPart10Meta, type Part10MetaRead } from '@archipelago/dicom-encoding';
import { connect, type ClientAssociation } from '@archipelago/dimse';
import { UsageError, type LeafCommand, type Output } from '../command';
import { identityOf } from '../file-identity';
import { statusHex, statusText } from '../status-text';
import { parseTarget, type Target } from '../target';

interface Item {
  file: string;
  meta: Part10MetaRead;
}
interface Outcome {
  file: string;
  sopInstanceUid?: string;
  /** DIMSE status as four hex digits; absent when it was not sent. */
  status?: string;
  error?: string;
}

/** PS3.8 9.3.2.2: presentation context IDs are odd numbers of one byte. */
const MAX_CONTEXTS = 128;
const META_BYTES = 512 * 1024;

async function* filesBelow(path: string, known?: Stats): AsyncGenerator<string> {
  const info = known ?? (await stat(path));
  if (!info.isDirectory()) return yield path;
  const entries = await readdir(path, { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const below = join(path, entry.name);
    if (entry.isDirectory()) yield* filesBelow(below);
    else if (entry.isFile()) yield below;
  }
}

/** Meta information with the UIDs of the dataset, which is what is sent. */
async function readMeta(file: string): Promise<Part10MetaRead> {
  const handle = await open(file);
  try {
    const { size } = await handle.stat();
    const buffer = Buffer.alloc(Math.min(size, META_BYTES));
    await handle.read(buffer, 0, buffer.length, 0);
    const meta = readPart10Meta(buffer, true);
    if (!meta) throw new Error('no DICOM file');
    const identity = identityOf(buffer.subarray(meta.datasetOffset), meta.transferSyntaxUid, meta);
    if (identity.sopClassUid === '' || identity.sopInstanceUid === '')
      throw new Error('no SOP class or instance UID in its dataset or its meta information');
    return { ...meta, ...identity };
  } finally {
    await handle.close();
  }
}

const contextKey = (meta: Part10MetaRead): string => `${meta.sopClassUid} ${meta.transferSyntaxUid}`;

/** Items whose presentation contexts fit into one association. */
function* batches(items: Item[]): Generator<Item[]> {
  let batch: Item[] = [];
  let keys = new Set<string>();
  for (const item of items) {
    const key = contextKey(item.meta);
    if (!keys.has(key) && keys.size === MAX_CONTEXTS) {
      yield batch;
      batch = [];
      keys = new Set();
    }
    keys.add(key);
    batch.push(item);
  }
  if (batch.length > 0) yield batch;
}

async function sendOne(association: ClientAssociation, item: Item): Promise<Outcome> {
  const { file, meta } = item;
  const sopInstanceUid = meta.sopInstanceUid;
  const context = association.contexts.find(
    (each) => each.abstractSyntax === meta.sopClassUid && each.transferSyntax === meta.transferSyntaxUid,
  );
  if (!context) return { file, sopInstanceUid, error: 'its SOP class in its transfer syntax is not accepted' };
  const { dataset } = await readPart10(createReadStream(file, { highWaterMark: 256 * 1024 }));
  const operation = { contextId: context.id, sopClassUid: meta.sopClassUid, sopInstanceUid, body: dataset };
  const { status, errorComment } = await association.store(operation);
  const hex = statusHex(status);
  // PS3.4 B.2.3: 0000 success, Bxxx warning (stored)
  const stored = status === 0 || (status & 0xf000) === 0xb000;
  return {
    file,
    sopInstanceUid,
    status: hex,
    ...(stored ? {} : { error: `refused with ${statusText(status, errorComment)}` }),
  };
}

async function sendBatch(items: Item[], target: Target, from: string): Promise<Outcome[]> {
  const contexts = new Map(
    items.map(({ meta }) => [
      contextKey(meta),
      { abstractSyntax: meta.sopClassUid, transferSyntaxes: [meta.transferSyntaxUid] },
    ]),
  );
  const outcomes: Outcome[] = [];
  let association: ClientAssociation | undefined;
  try {
    association = await connect({
      host: target.host,
      port: target.port,
      calledAeTitle: target.aeTitle,
      callingAeTitle: from,
      contexts: [...contexts.values()],
    });
    for (const item of items) outcomes.push(await sendOne(association, item));
    await association.release();
  } catch (error) {
    association?.abort();
    const message = error instanceof Error ? error.message : String(error);
    for (const { file, meta } of items.slice(outcomes.length))
      outcomes.push({ file, sopInstanceUid: meta.sopInstanceUid, error: message });
  }
  return outcomes;
}

async function run(args: string[], out: Output): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      to: { type: 'string' },
      from: { type: 'string', default: 'ARCHIPELAGOCLI' },
      json: { type: 'boolean', default: false },
    },
  });
  if (positionals.length === 0) throw new UsageError('name a file or a folder');
  const target = parseTarget(values.to);
  const items: Item[] = [];
  let outcomes: Outcome[] = [];
  for (const path of positionals) {
    for await (const file of filesBelow(path)) {
      try {
        items.push({ file, meta: await readMeta(file) });
      } catch (error) {
        outcomes.push({ file, error: `not sent: ${error instanceof Error ? error.message : String(error)}` });
      }
    }
  }
  for (const batch of batches(items)) outcomes = outcomes.concat(await sendBatch(batch, target, values.from));
  const failed = outcomes.filter((outcome) => outcome.error !== undefined);
  if (values.json)
    out.line(JSON.stringify({ sent: outcomes.length - failed.length, failed: failed.length, files: outcomes }));
  else {
    for (const outcome of failed) out.note(`${outcome.file}: ${outcome.error}`);
    out.line(
      `${outcomes.length - failed.length} stored by ${target.aeTitle}@${target.host}:${target.port}, ${failed.length} not`,
    );
  }
  return failed.length > 0 || outcomes.length === 0 ? 1 : 0;
}

export const send: LeafCommand = {
  name: 'send',
  summary: 'send DICOM files to an archive (C-STORE)',
  help: `<file or folder>... [options]

Sends each file in the transfer syntax that it has. Exit status 0 when the archive has stored all of them.

  --to AETITLE@host:port   default: this machine's Archipelago (ARCHIPELAGO_AE_TITLE, _DIMSE_HOST, _DIMSE_PORT)
  --from AETITLE           calling AE title (default ARCHIPELAGOCLI)
  --json                   one JSON document`,
  run,
};
