/** Our upper layer as a receiver that stores nothing: what receiving costs by itself. Arguments: port. */
import { DimseServer, Status, type StoreSink } from '@archipelago/dimse';

const SINK: StoreSink = {
  write: () => undefined,
  end: () => Promise.resolve({ status: Status.Success }),
  abort: () => undefined,
};

const server = new DimseServer({
  host: '127.0.0.1',
  port: Number(process.argv[2]),
  handlers: {
    associate: ({ contexts }) => ({
      accept: true,
      contexts: contexts.map(({ id, transferSyntaxes }) => ({
        id,
        result: 0,
        transferSyntax: transferSyntaxes[0] ?? '',
      })),
    }),
    store: () => SINK,
  },
});
void server.listen();
