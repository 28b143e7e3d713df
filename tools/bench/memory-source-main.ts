/**
 * Our upper layer as an archive that answers every C-GET and C-MOVE with the files of one folder, from memory: what sending
 * costs by itself. Arguments: port, folder, port of the C-MOVE destination, its AE title.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  connect,
  DimseServer,
  type QueryRequest,
  type RetrieveResponse,
  type StoreOperation,
} from '@archipelago/dimse';

interface Held {
  sopClassUid: string;
  sopInstanceUid: string;
  bytes: Buffer;
}

const EXPLICIT_LE = '1.2.840.10008.1.2.1';

/** Value of a UI element of group 0002, which is Explicit VR Little Endian (PS3.10 7.1). */
function uid(meta: Buffer, element: number): string {
  const at = meta.indexOf(Buffer.from([0x02, 0x00, element, 0x00, 0x55, 0x49]));
  return meta.toString('latin1', at + 8, at + 8 + meta.readUInt16LE(at + 6)).replace(/\0+$/, '');
}

/** Part 10: preamble, "DICM", (0002,0000) with the length of the rest of group 0002, the dataset. */
function hold(file: Buffer): Held {
  const start = 144 + file.readUInt32LE(140);
  const meta = file.subarray(132, start);
  return { sopClassUid: uid(meta, 0x02), sopInstanceUid: uid(meta, 0x03), bytes: file.subarray(start) };
}

const [port, folder, movePort, moveAet] = process.argv.slice(2);

let held: Held[] = [];

/** The bench writes another study in each round, and says so by a signal. */
process.on('SIGUSR2', () => {
  held = readdirSync(folder!)
    .sort()
    .map((name) => hold(readFileSync(join(folder!, name))));
});

async function* answer(send: (one: Held) => Promise<{ status: number }>): AsyncGenerator<RetrieveResponse> {
  const counts = { remaining: held.length, completed: 0, failed: 0, warning: 0 };
  for (const one of held) {
    const { status } = await send(one);
    counts.remaining--;
    counts[status === 0 ? 'completed' : 'failed']++;
  }
  yield { status: counts.failed === 0 ? 0 : 0xb000, counts };
}

const operation = ({ bytes, ...uids }: Held, contextId: number): StoreOperation => ({
  ...uids,
  contextId,
  body: [bytes],
  length: bytes.length,
});

async function* move(request: QueryRequest): AsyncGenerator<RetrieveResponse> {
  const classes = [...new Set(held.map((one) => one.sopClassUid))];
  const destination = await connect({
    host: '127.0.0.1',
    port: Number(movePort),
    calledAeTitle: moveAet!,
    callingAeTitle: request.association.request.calledAeTitle,
    contexts: classes.map((abstractSyntax) => ({ abstractSyntax, transferSyntaxes: [EXPLICIT_LE] })),
  });
  const context = (sopClassUid: string): number =>
    destination.contexts.find((each) => each.abstractSyntax === sopClassUid)!.id;
  yield* answer((one) => destination.store(operation(one, context(one.sopClassUid))));
  await destination.release();
}

const server = new DimseServer({
  host: '127.0.0.1',
  port: Number(port),
  handlers: {
    associate: ({ contexts, roles }) => ({
      accept: true,
      roles,
      contexts: contexts.map(({ id, transferSyntaxes }) => ({
        id,
        result: 0,
        transferSyntax: transferSyntaxes.includes(EXPLICIT_LE) ? EXPLICIT_LE : (transferSyntaxes[0] ?? ''),
      })),
    }),
    get: (request) =>
      answer((one) =>
        request.store(
          operation(one, request.storeContexts.find((each) => each.abstractSyntax === one.sopClassUid)!.id),
        ),
      ),
    move,
  },
});
void server.listen();
