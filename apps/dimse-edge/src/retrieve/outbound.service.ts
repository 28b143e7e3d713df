import type { ConnectionOptions } from 'node:tls';
import { Inject, Injectable } from '@nestjs/common';
import { connect } from '@archipelago/dimse';
import { ARCHIPELAGO_CONFIG, type ArchipelagoConfig, readTlsFiles } from '@archipelago/platform-service';
import { sameAeTitle } from '../association/peers';
import { MoveDestination } from './move-destination';

const CONNECT_MS = 10_000;

/** Associations that the edge requests: C-MOVE destinations, from the configured peers. */
@Injectable()
export class OutboundService {
  private readonly tls: ConnectionOptions | undefined;

  constructor(@Inject(ARCHIPELAGO_CONFIG) private readonly config: ArchipelagoConfig) {
    const { tls } = config;
    if (tls) this.tls = readTlsFiles(tls);
  }

  /** By its AE title, else by the name of the device. */
  private peer(aeTitle: string): ArchipelagoConfig['peers'][number] | undefined {
    const { peers } = this.config;
    return (
      peers.find((p) => sameAeTitle(p.aeTitle, aeTitle)) ??
      peers.find((p) => p.name !== undefined && sameAeTitle(p.name, aeTitle))
    );
  }

  /** All that rules may call a destination. */
  namesOf(aeTitle: string): string[] {
    const peer = this.peer(aeTitle);
    return [...new Set([aeTitle, ...(peer ? [peer.aeTitle, peer.name ?? peer.aeTitle] : [])])];
  }

  /** undefined: not a peer with host and port. */
  destination(aeTitle: string, callingAeTitle: string): MoveDestination | undefined {
    const peer = this.peer(aeTitle);
    if (peer?.host === undefined || peer.port === undefined) return undefined;
    const { host, port, tls, transferSyntaxes } = peer;
    return new MoveDestination({
      transferSyntaxes,
      connect: (contexts) =>
        connect({
          host,
          port,
          calledAeTitle: peer.aeTitle,
          callingAeTitle,
          contexts,
          connectTimeoutMs: CONNECT_MS,
          ...(tls ? { tls: { ...this.tls, servername: host } } : {}),
        }),
    });
  }
}
