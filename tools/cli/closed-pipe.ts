import type { EventEmitter } from 'node:events';

/**
 * Who reads our output may stop when it has enough (`... --json | head`): that ends the command quietly, with the exit
 * status that a shell gives for SIGPIPE.
 */
export function quietWhenClosed(stream: EventEmitter, exit: (status: number) => void = process.exit): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    exit(141);
  });
}
