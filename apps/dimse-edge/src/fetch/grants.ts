/**
 * Grants for reading what was fetched from another edge: a study and an end, signed with a key that the edges of a site
 * share. HMAC-SHA-256 (RFC 2104); the token is `base64url(JSON).base64url(mac)`.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

const VALID_MS = 3_600_000;

export class Grants {
  private readonly key: Buffer;

  /** @param secret without one, grants of this process are good for this process only */
  constructor(
    secret?: string,
    private readonly now: () => number = Date.now,
  ) {
    this.key = secret === undefined ? randomBytes(32) : Buffer.from(secret, 'utf8');
  }

  issue(studyInstanceUid: string): string {
    const body = Buffer.from(JSON.stringify({ study: studyInstanceUid, until: this.now() + VALID_MS })).toString(
      'base64url',
    );
    return `${body}.${this.mac(body).toString('base64url')}`;
  }

  /** The study that the token grants, or undefined when it is forged, over or no token. */
  check(token: string | undefined): string | undefined {
    const [body, mac, ...rest] = (token ?? '').split('.');
    if (body === undefined || mac === undefined || rest.length > 0) return undefined;
    const given = Buffer.from(mac, 'base64url');
    const own = this.mac(body);
    if (given.length !== own.length || !timingSafeEqual(given, own)) return undefined;
    const { study, until } = JSON.parse(Buffer.from(body, 'base64url').toString('utf8')) as {
      study: string;
      until: number;
    };
    return until >= this.now() ? study : undefined;
  }

  private mac(body: string): Buffer {
    return createHmac('sha256', this.key).update(body).digest();
  }
}
