import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import type { AssociateDecision, AssociateRequest, AssociationInfo } from '@archipelago/dimse';
import {
  ARCHIPELAGO_CONFIG,
  type ArchipelagoConfig,
  coreConfig,
  type CoreConfig,
  Logger,
} from '@archipelago/platform-service';
import { ArchiveDirectory } from '../fetch/archive-directory';
import { acceptsUnknownPeers, type EdgeConfig, edgeConfig } from '../edge.config';
import { EdgeMetrics } from '../edge.metrics';
import { type AssociationRules, decideAssociation, fetchRules, ownAeTitles, REFUSALS } from './association-policy';
import { associationState, type AssociationState } from './association-state';
import { edgeCapabilities } from './capabilities';
import { countOpen } from './open-associations';
import { PeerAddresses } from './peer-addresses';
import { PeerTable } from './peers';

/** Applies the association policy and keeps what belongs to an open association. */
@Injectable()
export class AssociationService implements OnModuleInit, OnApplicationShutdown {
  private readonly addresses: PeerAddresses;
  private readonly rules: AssociationRules;

  constructor(
    @Inject(ARCHIPELAGO_CONFIG) private readonly file: ArchipelagoConfig,
    @Inject(coreConfig.KEY) core: CoreConfig,
    @Inject(edgeConfig.KEY) edge: EdgeConfig,
    private readonly archives: ArchiveDirectory,
    private readonly metrics: EdgeMetrics,
    private readonly logger: Logger,
  ) {
    this.addresses = new PeerAddresses(
      file.peers.flatMap((p) => (p.host !== undefined && !p.addresses ? [p.host] : [])),
    );
    this.rules = {
      ownAeTitles: ownAeTitles(core.aeTitle, file.aes),
      peers: new PeerTable(file.peers, (host) => this.addresses.of(host)),
      acceptUnknownPeers: acceptsUnknownPeers(edge),
      capabilities: edgeCapabilities(file.privateSopClasses.map((c) => c.uid)),
      limits: {
        perPeer: file.limits.maxAssociationsPerPeer,
        // whatever strangers do, the other half is for known peers
        unknownPeers: Math.max(1, Math.floor(file.limits.maxAssociations / 2)),
        idleTimeoutMs: file.limits.idleSeconds * 1000,
      },
    };
  }

  async onModuleInit(): Promise<void> {
    for (const { aeTitle, view } of this.file.aes) {
      if (view !== undefined)
        this.logger.warn('AE title refused: no view can be shown yet', { calledAeTitle: aeTitle });
    }
    await this.addresses.start();
  }

  onApplicationShutdown(): void {
    this.addresses.stop();
  }

  associate(request: AssociateRequest, info: AssociationInfo, open: readonly AssociationInfo[]): AssociateDecision {
    const archive = this.archives.caller(request.calledAeTitle, request.callingAeTitle, request.remoteAddress);
    const rules = archive ? fetchRules(this.rules, archive) : this.rules;
    const decided = decideAssociation(request, rules, countOpen(open));
    this.metrics.all.requests.inc({ decision: decided.accepted ? 'accepted' : decided.why });
    const callingAeTitle = request.callingAeTitle.trim();
    const calledAeTitle = request.calledAeTitle.trim();
    const { remoteAddress } = request;
    if (!decided.accepted) {
      const rejectReason = REFUSALS[decided.why].text;
      this.logger.warn('association refused', { callingAeTitle, calledAeTitle, remoteAddress, rejectReason });
      return decided.decision;
    }
    const { peer, callerKey } = decided;
    const homeIssuer = peer?.issuer ?? this.file.issuer;
    const state: AssociationState = { peer, callerKey, callingAeTitle, calledAeTitle, homeIssuer, archive };
    info.data = state;
    this.logger.debug('association accepted', { associationId: info.id, callingAeTitle, calledAeTitle, remoteAddress });
    return decided.decision;
  }

  released(info: AssociationInfo, how: 'released' | 'aborted' | 'lost', detail?: string): void {
    const state = associationState(info);
    const { callingAeTitle, lane } = state;
    this.logger.debug('association ended', { associationId: info.id, callingAeTitle, outcome: how, reason: detail });
    lane?.close().catch((error: unknown) => this.logger.error('segment could not be closed', { err: error }));
  }
}
