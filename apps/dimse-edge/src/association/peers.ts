/** Who may call: configured peers by AE title, source address and, where given, client certificate. */
import { BlockList, isIP } from 'node:net';
import type { PeerConfig } from '@archipelago/platform-service';

/** What the policy needs of a configured peer. */
export type Peer = PeerConfig;

export interface Caller {
  callingAeTitle: string;
  remoteAddress: string;
  /** SHA-256 of the certificate it showed (colons and case do not matter). */
  fingerprint256?: string;
}

/** An IPv4 address written as IPv6 (::ffff:10.0.0.1) is the same address. */
export function plainAddress(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  return mapped ? mapped[1]! : address.toLowerCase();
}

export function plainFingerprint(value: string): string {
  return value.replace(/[^0-9a-f]/gi, '').toLowerCase();
}

/** PS3.5 table 6.2-1: leading and trailing spaces of AE titles are not significant, case is. */
export function sameAeTitle(a: string, b: string): boolean {
  return a.trim() === b.trim();
}

/** Addresses that a host name stands for now; [] when it does not resolve. */
export type AddressLookup = (host: string) => readonly string[];

/**
 * Finds the peer behind a caller. All that is configured of a peer must fit: its AE title; its `addresses`, or without
 * them the addresses of its `host`, or without that any; its certificate's fingerprint where one is given.
 */
export class PeerTable {
  private readonly ranges = new Map<Peer, BlockList>();

  constructor(
    readonly peers: readonly Peer[],
    private readonly addressesOf: AddressLookup,
  ) {
    for (const peer of peers) if (peer.addresses) this.ranges.set(peer, blockList(peer.addresses));
  }

  caller(caller: Caller): Peer | undefined {
    return this.peers.find((peer) => this.fits(peer, caller));
  }

  private fits(peer: Peer, caller: Caller): boolean {
    if (!sameAeTitle(peer.aeTitle, caller.callingAeTitle)) return false;
    if (!this.addressFits(peer, plainAddress(caller.remoteAddress))) return false;
    if (peer.certificateSha256 === undefined) return true;
    const shown = caller.fingerprint256;
    return shown !== undefined && plainFingerprint(peer.certificateSha256) === plainFingerprint(shown);
  }

  private addressFits(peer: Peer, address: string): boolean {
    const ranges = this.ranges.get(peer);
    if (ranges) return isIP(address) !== 0 && ranges.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
    if (peer.host === undefined) return true;
    return this.addressesOf(peer.host).some((known) => plainAddress(known) === address);
  }
}

function blockList(entries: readonly string[]): BlockList {
  const list = new BlockList();
  for (const entry of entries) {
    const [address = '', prefix] = entry.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return list;
}
