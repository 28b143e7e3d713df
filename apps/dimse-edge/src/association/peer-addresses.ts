import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';

const REFRESH_MS = 60_000;

/**
 * Addresses of the peers' host names, looked up at start and every minute: an association request never waits for a
 * name server, and while one is away the last good answer stands.
 */
export class PeerAddresses {
  private readonly known = new Map<string, readonly string[]>();
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly hosts: readonly string[]) {
    for (const host of hosts) if (isIP(host) !== 0) this.known.set(host, [host]);
  }

  of(host: string): readonly string[] {
    return this.known.get(host) ?? [];
  }

  async start(): Promise<void> {
    await this.refresh();
    if (this.names().length === 0) return;
    this.timer = setInterval(() => void this.refresh(), REFRESH_MS);
    this.timer.unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private names(): string[] {
    return this.hosts.filter((host) => isIP(host) === 0);
  }

  private async refresh(): Promise<void> {
    await Promise.all(
      this.names().map(async (host) => {
        const found = await lookup(host, { all: true }).catch(() => []);
        if (found.length > 0)
          this.known.set(
            host,
            found.map((a) => a.address),
          );
      }),
    );
  }
}
