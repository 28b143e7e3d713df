import { Client } from 'minio';
import { makeTransport } from './s3-transport';

export interface S3Options {
  /** http(s)://host:port */
  endpoint: string;
  bucket: string;
  accessKey: string;
  secretKey: string;
  /** Default us-east-1; given, so that the client need not ask for it. */
  region?: string;
  /** Longest silence of the store within a request, in milliseconds (default 15 s). */
  idleTimeoutMs?: number;
  /** Tries per request (default 4), and the first wait between them in milliseconds (default 100). */
  attempts?: number;
  retryDelayMs?: number;
  /** Larger files go up in parts of this size; at least 5 MiB (default 8 MiB). */
  partBytes?: number;
}

/**
 * The `minio` client without two of its habits: its own retries (they reuse bodies that are streams, and print to the
 * console), and SHA-256 of every body over plain HTTP for the signature (what we store is read back and compared anyway).
 */
export class S3Client extends Client {
  private readonly closeAgent: () => void;

  constructor(options: S3Options) {
    const url = new URL(options.endpoint);
    const useSSL = url.protocol === 'https:';
    const { transport, agent } = makeTransport(useSSL, options.idleTimeoutMs ?? 15_000);
    super({
      endPoint: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port ? Number(url.port) : useSSL ? 443 : 80,
      useSSL,
      accessKey: options.accessKey,
      secretKey: options.secretKey,
      region: options.region ?? 'us-east-1',
      pathStyle: true,
      transport: transport as never,
      retryOptions: { disableRetry: true },
    });
    this.enableSHA256 = false;
    this.closeAgent = () => agent.destroy();
  }

  close(): void {
    this.closeAgent();
  }
}
