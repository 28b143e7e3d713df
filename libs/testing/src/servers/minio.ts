import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'minio';
import { findMinio, freePort, spawnManaged, waitUntilReady } from '@archipelago/platform-embedded';
import { extend, launch, temporaryFolder, type RunningServer } from './server';

export interface MinioOptions {
  dir?: string;
  port?: number;
  /** Created; at least 3 characters (default `archipelago`). */
  bucket?: string;
}
export interface TestMinio extends RunningServer {
  readonly url: string;
  readonly host: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly region: string;
  readonly bucket: string;
  /** Value of ARCHIPELAGO_OBJECT_STORE */
  readonly objectStore: string;
  /** ARCHIPELAGO_OBJECT_STORE and ARCHIPELAGO_S3_*, for a process under test */
  readonly env: Record<string, string>;
  readonly client: Client;
  /** Removes all of its files; the server must be down. */
  wipe(): void;
}

const accessKey = 'archipelago-test';
const secretKey = 'archipelago-test-secret';
const region = 'us-east-1';

/** A real MinIO on a free loopback port, with one bucket. */
export async function startMinio(options: MinioOptions = {}): Promise<TestMinio> {
  const binary = findMinio();
  const folder = options.dir ?? temporaryFolder('minio');
  const port = options.port ?? (await freePort());
  const bucket = options.bucket ?? 'archipelago';
  const host = '127.0.0.1';
  const url = `http://${host}:${port}`;
  const data = join(folder, 'data');
  const client = new Client({ endPoint: host, port, useSSL: false, accessKey, secretKey, region });
  const console = await freePort();
  const running = await launch(port, options.dir ? undefined : folder, async () => {
    const child = spawnManaged(
      binary,
      ['server', '--quiet', '--address', `${host}:${port}`, '--console-address', `${host}:${console}`, data],
      {
        name: 'minio',
        logFile: join(folder, 'minio.log'),
        env: {
          PATH: process.env.PATH,
          HOME: folder,
          MINIO_ROOT_USER: accessKey,
          MINIO_ROOT_PASSWORD: secretKey,
          MINIO_REGION: region,
          MINIO_BROWSER: 'off',
          MINIO_UPDATE: 'off',
        },
      },
    );
    await waitUntilReady(child, () => isLive(url), 60_000);
    if (!(await client.bucketExists(bucket))) await client.makeBucket(bucket, region);
    return child;
  });
  const objectStore = `s3:${url}/${bucket}`;
  return extend(running, {
    url,
    host,
    accessKey,
    secretKey,
    region,
    bucket,
    objectStore,
    env: {
      ARCHIPELAGO_OBJECT_STORE: objectStore,
      ARCHIPELAGO_S3_ACCESS_KEY: accessKey,
      ARCHIPELAGO_S3_SECRET_KEY: secretKey,
      ARCHIPELAGO_S3_REGION: region,
    },
    client,
    wipe: () => rmSync(data, { recursive: true, force: true }),
  });
}

async function isLive(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/minio/health/ready`, { signal: AbortSignal.timeout(2000) })).ok;
  } catch {
    return false;
  }
}
