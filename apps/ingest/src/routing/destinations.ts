import type { ArchipelagoConfig } from '@archipelago/platform-service';

type Peer = ArchipelagoConfig['peers'][number];

/** Whether rules mean this peer: by its AE title, or the name of the device. */
export function isPeer({ aeTitle, name }: Pick<Peer, 'aeTitle' | 'name'>, to: { workstation: string }): boolean {
  return to.workstation === aeTitle || to.workstation === name;
}

/** Whether the site's edges can send to a workstation: a configured peer with an address. */
export function canSendTo(config: Pick<ArchipelagoConfig, 'peers'>, workstation: string): boolean {
  return config.peers.some((p) => isPeer(p, { workstation }) && p.host !== undefined && p.port !== undefined);
}
