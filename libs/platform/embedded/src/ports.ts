import { createConnection, createServer } from 'node:net';
import { randomInt } from 'node:crypto';

const given = new Set<number>();

/** Resolves to undefined when the port can be bound, else to the error's code (EADDRINUSE, EACCES, ...). */
export function bindError(port: number, host = '127.0.0.1'): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'EUNKNOWN'));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

/**
 * A free TCP port on loopback, below the range from which the system takes the ports of outgoing connections: a port
 * of that range can be taken between this answer and its use. Never the same twice in one process.
 */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = randomInt(15_000, 32_000);
    if (given.has(port)) continue;
    if ((await bindError(port, host)) === undefined) {
      given.add(port);
      return port;
    }
  }
  throw new Error('no free port between 15000 and 32000');
}

/** Whether something accepts connections on the port. */
export function accepts(port: number, host = '127.0.0.1', timeoutMs = 1000): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host });
    const finish = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(timeoutMs, () => finish(false));
    socket.once('connect', () => finish(true));
    socket.once('error', () => finish(false));
  });
}
