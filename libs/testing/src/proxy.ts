import { createConnection, createServer, type AddressInfo, type Socket } from 'node:net';

/** pass: forwards. hold: accepts and reads nothing more, sends nothing (half-open). refuse: resets new connections. */
export type ProxyMode = 'pass' | 'hold' | 'refuse';

export interface ProxyOptions {
  port: number;
  /** Further servers at the host: connections go to each in turn. */
  furtherPorts?: readonly number[];
  host?: string;
  /** Added to each chunk in each direction. */
  delayMs?: number;
  /** Bytes per second in each direction; 0 or absent: no limit. */
  bytesPerSecond?: number;
  mode?: ProxyMode;
  listenPort?: number;
}

export interface TestProxy {
  readonly port: number;
  readonly host: string;
  mode: ProxyMode;
  delayMs: number;
  bytesPerSecond: number;
  readonly open: number;
  readonly accepted: number;
  readonly forwarded: { toServer: number; toClient: number };
  /** Resets every open connection (RST on both sides). */
  cut(): void;
  /** Resets a connection after so many more bytes have gone to the server over it. */
  cutAfter(bytes: number | undefined): void;
  stop(): Promise<void>;
}

interface State {
  mode: ProxyMode;
  delayMs: number;
  bytesPerSecond: number;
  cutAfter?: number;
  accepted: number;
  forwarded: { toServer: number; toClient: number };
  pairs: Set<[Socket, Socket]>;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A TCP proxy whose behaviour can be changed while connections run. */
export async function startProxy(options: ProxyOptions): Promise<TestProxy> {
  const state: State = {
    mode: options.mode ?? 'pass',
    delayMs: options.delayMs ?? 0,
    bytesPerSecond: options.bytesPerSecond ?? 0,
    accepted: 0,
    forwarded: { toServer: 0, toClient: 0 },
    pairs: new Set(),
  };
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => accept(client, options, state));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.listenPort ?? 0, '127.0.0.1', resolve);
  });
  const cut = (): void => {
    state.pairs.forEach(reset);
    state.pairs.clear();
  };
  return Object.defineProperties({} as TestProxy, {
    port: { value: (server.address() as AddressInfo).port },
    host: { value: '127.0.0.1' },
    mode: { get: () => state.mode, set: (mode: ProxyMode) => (state.mode = mode) },
    delayMs: { get: () => state.delayMs, set: (ms: number) => (state.delayMs = ms) },
    bytesPerSecond: { get: () => state.bytesPerSecond, set: (rate: number) => (state.bytesPerSecond = rate) },
    open: { get: () => state.pairs.size },
    accepted: { get: () => state.accepted },
    forwarded: { value: state.forwarded },
    cut: { value: cut },
    cutAfter: { value: (bytes: number | undefined) => (state.cutAfter = bytes) },
    stop: {
      value: () =>
        new Promise<void>((resolve) => {
          server.close(() => resolve());
          cut();
        }),
    },
  });
}

function reset(pair: [Socket, Socket]): void {
  pair.forEach(resetSocket);
}

/** RST; FIN where the end is already under way: Node 20 loses such a socket's handle at a reset, and then never exits. */
function resetSocket(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

function accept(client: Socket, options: ProxyOptions, state: State): void {
  state.accepted++;
  client.on('error', () => undefined);
  if (state.mode === 'refuse') return void resetSocket(client);
  const ports = [options.port, ...(options.furtherPorts ?? [])];
  const server = createConnection({
    port: ports[(state.accepted - 1) % ports.length]!,
    host: options.host ?? '127.0.0.1',
    allowHalfOpen: true,
    noDelay: true,
  });
  const pair: [Socket, Socket] = [client, server];
  state.pairs.add(pair);
  server.on('error', () => resetSocket(client));
  client.on('error', () => resetSocket(server));
  const closed = (): void => {
    if (client.destroyed && server.destroyed) state.pairs.delete(pair);
  };
  client.on('close', closed);
  server.on('close', closed);
  void forward(client, server, 'toServer', pair, state);
  void forward(server, client, 'toClient', pair, state);
}

/** One direction; a chunk is read only when the one before was taken by the other side. */
async function forward(
  from: Socket,
  to: Socket,
  direction: 'toServer' | 'toClient',
  pair: [Socket, Socket],
  state: State,
): Promise<void> {
  let sent = 0;
  try {
    for await (const chunk of from as AsyncIterable<Buffer>) {
      while (state.mode === 'hold' && !to.destroyed) await pause(10);
      if (state.delayMs > 0) await pause(state.delayMs);
      if (state.bytesPerSecond > 0) await pause((chunk.length / state.bytesPerSecond) * 1000);
      const rest = direction === 'toServer' && state.cutAfter !== undefined ? state.cutAfter - sent : Infinity;
      const part = rest < chunk.length ? chunk.subarray(0, Math.max(0, rest)) : chunk;
      await new Promise<void>((resolve, reject) => to.write(part, (error) => (error ? reject(error) : resolve())));
      sent += part.length;
      state.forwarded[direction] += part.length;
      if (part !== chunk) return reset(pair);
    }
    to.end();
  } catch {
    reset(pair);
  }
}
