/** The DICOM listener: plain or TLS (PS3.15 B.12), with limits on connections that do not associate. */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import type { AnySocket, AssociationInfo, DimseServerOptions, ServerLimits } from './api';
import { ConnectionError } from './errors';
import { withDefaults } from './limits';
import type { AcceptOptions } from './negotiation';
import { ServerConnection, type ConnectionHost } from './server-association';
import { withReadBuffers } from './transport/read-buffers';
import { IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME } from './uids';

/** While closing: an association without work for so long is ended before the grace is over. */
const QUIET_MS = 500;

export class DimseServer implements ConnectionHost {
  readonly limits: Required<ServerLimits>;
  readonly own: AcceptOptions;
  private server?: Server;
  private readonly connections = new Set<ServerConnection>();
  /** In order of arrival: the oldest is dropped for room. */
  private readonly loose = new Set<ServerConnection>();
  private readonly associatedOnes = new Set<ServerConnection>();
  /** TLS handshakes in progress, by address and port. */
  private readonly handshakes = new Map<string, Socket>();
  private closing = false;

  constructor(readonly options: DimseServerOptions) {
    this.limits = withDefaults(options.limits);
    this.own = {
      maxPduLength: this.limits.maxPduLength,
      implementationClassUid: options.implementationClassUid ?? IMPLEMENTATION_CLASS_UID,
      implementationVersionName: options.implementationVersionName ?? IMPLEMENTATION_VERSION_NAME,
    };
  }

  /** Resolves with the port (of use when 0 was asked). Throws ConnectionError. */
  listen(): Promise<{ port: number }> {
    const server = this.options.tls
      ? this.tlsServer()
      : createServer({ noDelay: true, pauseOnConnect: true }, (s) => this.take(withReadBuffers(s)));
    this.server = server;
    return new Promise((resolve, reject) => {
      const failed = (error: Error): void => reject(new ConnectionError(`cannot listen: ${error.message}`, error));
      server.once('error', failed);
      server.listen({ host: this.options.host, port: this.options.port, backlog: 1024 }, () => {
        server.off('error', failed);
        // Out of descriptors and the like: connections fail, the listener stays.
        server.on('error', (error) => this.event('overflow', '', error.message));
        resolve({ port: (server.address() as AddressInfo).port });
      });
    });
  }

  private tlsServer(): Server {
    const server = createTlsServer({
      minVersion: 'TLSv1.2',
      handshakeTimeout: this.limits.artimMs,
      ...this.options.tls,
    });
    const key = (socket: AnySocket): string => `${socket.remoteAddress}:${socket.remotePort}`;
    server.on('connection', (raw: Socket) => {
      const name = key(raw);
      this.handshakes.set(name, raw);
      raw.once('close', () => this.handshakes.delete(name));
      this.makeRoom();
    });
    server.on('secureConnection', (socket: TLSSocket) => {
      this.handshakes.delete(key(socket));
      this.take(socket);
    });
    server.on('tlsClientError', (error, socket) => {
      this.handshakes.delete(key(socket));
      this.event('garbage', socket.remoteAddress ?? '', `TLS: ${(error as NodeJS.ErrnoException).code ?? 'failed'}`);
      socket.destroy();
    });
    return server;
  }

  private take(socket: AnySocket): void {
    if (this.closing) {
      socket.destroy();
      return;
    }
    this.event('opened', socket.remoteAddress ?? '');
    this.connections.add(new ServerConnection(this, socket));
  }

  private event(
    event: Parameters<NonNullable<NonNullable<DimseServerOptions['observer']>['connection']>>[0],
    remoteAddress: string,
    message?: string,
  ): void {
    this.options.observer?.connection?.(event, { remoteAddress, message });
  }

  // ---- connections --------------------------------------------------------------------------------------------

  hasRoom(): boolean {
    // Also those whose application still thinks about its answer count, the one that asks among them.
    return !this.closing && this.connections.size - this.loose.size <= this.limits.maxAssociations;
  }

  unassociated(connection: ServerConnection, is: boolean): void {
    this.loose.delete(connection);
    if (!is) return;
    this.associatedOnes.delete(connection);
    this.loose.add(connection);
    this.makeRoom();
  }

  private makeRoom(): void {
    while (this.loose.size + this.handshakes.size > this.limits.maxUnassociated) {
      const [handshake] = this.handshakes;
      if (handshake) {
        this.handshakes.delete(handshake[0]);
        handshake[1].destroy();
        this.event('overflow', handshake[0], 'too many connections in TLS handshake');
        continue;
      }
      const [oldest] = this.loose;
      this.loose.delete(oldest!);
      this.event('overflow', oldest!.remoteAddress, 'too many connections without an association');
      oldest!.drop('dropped for room');
    }
  }

  associated(connection: ServerConnection): void {
    this.associatedOnes.add(connection);
  }

  gone(connection: ServerConnection): void {
    this.connections.delete(connection);
    this.loose.delete(connection);
    this.associatedOnes.delete(connection);
    this.event('closed', connection.remoteAddress);
  }

  associations(): AssociationInfo[] {
    return [...this.associatedOnes].flatMap((connection) => (connection.info ? [connection.info] : []));
  }

  /**
   * Takes no more connections, lets associations finish their work for at most `graceMs`, then aborts what is left.
   * Associations without work for half a second are aborted at once.
   */
  async close(graceMs: number): Promise<void> {
    this.closing = true;
    const server = this.server;
    const closed = new Promise<void>((resolve) => (server?.listening ? server.close(() => resolve()) : resolve()));
    for (const connection of [...this.loose]) connection.drop('server closes');
    for (const raw of this.handshakes.values()) raw.destroy();
    const begin = Date.now();
    const end = begin + graceMs;
    while (this.associatedOnes.size > 0 && Date.now() < end) {
      const now = Date.now();
      for (const connection of [...this.associatedOnes]) {
        const quiet = now - Math.max(begin, connection.lastActive);
        if (connection.idle && quiet > QUIET_MS) connection.abort('server closes');
      }
      await new Promise((resolve) => setTimeout(resolve, Math.min(25, Math.max(1, end - now))));
    }
    for (const connection of [...this.associatedOnes]) connection.abort('server closes');
    // A moment for the A-ABORT to leave.
    if (this.connections.size > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    for (const connection of [...this.connections]) {
      connection.drop('server closes');
      connection.socket.destroy();
    }
    await closed;
  }
}
