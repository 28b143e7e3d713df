/** A DimseServer for this library's own tests: accepts everything, remembers what happened. */
import type { AssociateRequest, AssociationInfo, DimseHandlers, DimseServerOptions, StoreSink } from '../api';
import { DimseServer } from '../server';

export interface Kit {
  server: DimseServer;
  port: number;
  events: string[];
  requests: AssociateRequest[];
  infos: AssociationInfo[];
  stored: Map<string, Buffer>;
  close(): Promise<void>;
}

/** Accepts each context with its first transfer syntax, and every proposed role. */
export function acceptAll(request: AssociateRequest): ReturnType<DimseHandlers['associate']> {
  const contexts = request.contexts.map(({ id, transferSyntaxes }) => ({
    id,
    result: 0 as const,
    transferSyntax: transferSyntaxes[0] ?? '',
  }));
  return { accept: true, contexts, roles: request.roles, extended: request.extended };
}

/** Keeps whole data sets in memory: for tests only. */
export function memorySink(done: (bytes: Buffer) => void, aborted?: (reason: Error) => void): StoreSink {
  const parts: Buffer[] = [];
  return {
    write: (chunk) => void parts.push(Buffer.from(chunk)),
    end: async () => {
      done(Buffer.concat(parts));
      return { status: 0 };
    },
    abort: (reason) => aborted?.(reason),
  };
}

export async function startKit(
  handlers: Partial<DimseHandlers> = {},
  options: Partial<DimseServerOptions> = {},
): Promise<Kit> {
  const events: string[] = [];
  const requests: AssociateRequest[] = [];
  const infos: AssociationInfo[] = [];
  const stored = new Map<string, Buffer>();
  const server = new DimseServer({
    host: '127.0.0.1',
    port: 0,
    observer: { connection: (event) => void events.push(event) },
    ...options,
    handlers: {
      store: (request) => memorySink((bytes) => stored.set(request.sopInstanceUid, bytes)),
      released: (_info, how) => void events.push(how),
      ...handlers,
      associate: (request, info) => {
        requests.push(request);
        infos.push(info);
        return (handlers.associate ?? acceptAll)(request, info);
      },
    },
  });
  const { port } = await server.listen();
  return { server, port, events, requests, infos, stored, close: () => server.close(0) };
}
