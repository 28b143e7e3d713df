/**
 * TCP_QUICKACK. A sender without TCP_NODELAY that writes headers and bodies separately waits for our delayed ACK
 * (40 ms) at the end of an object. Linux forgets the option by itself, so it is set again after reads. Elsewhere, or
 * when the foreign function library is missing, nothing happens.
 */
import type { AnySocket } from '../api';

type SetSockOpt = (fd: number, level: number, option: number, value: Buffer, length: number) => number;

const IPPROTO_TCP = 6;
const TCP_QUICKACK = 12;
const ON = Buffer.from([1, 0, 0, 0]);

let setSockOpt: SetSockOpt | null | undefined;

function load(): SetSockOpt | null {
  if (process.platform !== 'linux' || process.env.ARCHIPELAGO_NO_QUICKACK === '1') return null;
  try {
    // Loaded lazily: a platform without the prebuilt library must still be able to run.
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    const koffi = require('koffi') as { load(name: null): { func(prototype: string): SetSockOpt } };
    return koffi.load(null).func('int setsockopt(int fd, int level, int option, const void *value, unsigned int size)');
  } catch {
    return null;
  }
}

/** The descriptor of a TCP socket, or of the one under TLS; -1 if it cannot be known. */
function descriptor(socket: AnySocket): number {
  const handle = (socket as unknown as { _handle?: { fd?: number } | null })._handle;
  return handle?.fd ?? -1;
}

/** Returns a function that re-arms quick acknowledgement on this socket, or undefined where that is not possible. */
export function quickAck(socket: AnySocket): (() => void) | undefined {
  setSockOpt ??= load();
  const call = setSockOpt;
  if (!call || descriptor(socket) < 0) return undefined;
  return () => {
    // Read afresh each time: the number may belong to another connection once this one is closed.
    const fd = descriptor(socket);
    if (fd >= 0) call(fd, IPPROTO_TCP, TCP_QUICKACK, ON, 4);
  };
}

/** For diagnosis: whether the option can be set on this machine. */
export function quickAckAvailable(): boolean {
  setSockOpt ??= load();
  return setSockOpt !== null;
}
