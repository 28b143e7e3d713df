import type { ConnectionOptions } from 'node:tls';
import { Inject, Injectable } from '@nestjs/common';
import type { ArchiveV1, Principal } from '@archipelago/contracts';
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

  /** Who asks the catalog when we send to a peer of our own accord: it is given what it would be given if it asked. */
  principal(aeTitle: string, site: string): Principal {
    const peer = this.peer(aeTitle);
    const issuer = peer?.issuer ?? this.config.issuer;
    return {
      ...{ kind: 'peer', site, name: peer?.aeTitle ?? aeTitle },
      ...(peer?.name === undefined ? {} : { workstation: peer.name }),
      ...(issuer === undefined ? {} : { issuer }),
    };
  }

  /** Associations to an archive to store there; its budget and breaker are the caller's to keep. */
  archive({ host, port, aeTitle, tls }: ArchiveV1, callingAeTitle: string): MoveDestination {
    return this.to({ host, port, tls, calledAeTitle: aeTitle, callingAeTitle });
  }

  /** undefined: not a peer with host and port. */
  destination(aeTitle: string, callingAeTitle: string): MoveDestination | undefined {
    const peer = this.peer(aeTitle);
    if (peer?.host === undefined || peer.port === undefined) return undefined;
    const { host, port, tls, transferSyntaxes } = peer;
    return this.to({ host, port, tls, calledAeTitle: peer.aeTitle, callingAeTitle }, transferSyntaxes);
  }

  private to(
    { tls, ...where }: { host: string; port: number; tls: boolean; calledAeTitle: string; callingAeTitle: string },
    transferSyntaxes?: readonly string[],
  ): MoveDestination {
    return new MoveDestination({
      transferSyntaxes,
      connect: (contexts) =>
        connect({
          ...where,
          contexts,
          connectTimeoutMs: CONNECT_MS,
          ...(tls ? { tls: { ...this.tls, servername: where.host } } : {}),
        }),
    });
  }
}
