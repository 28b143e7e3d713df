import { createHash, randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createTcpServer, type AddressInfo, type Server as TcpServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startMinio, type TestMinio } from '@archipelago/testing';
import { ObjectDamagedError, StoreRefusedError, StoreUnavailableError } from './errors';
import { S3ObjectStore } from './s3-object-store';
import { objectStoreContract } from './testing/object-store.contract';

let minio: TestMinio;
let store: S3ObjectStore;
const dir = mkdtempSync(join(tmpdir(), 's3-store-'));

function connect(overrides: Partial<ConstructorParameters<typeof S3ObjectStore>[0]> = {}): S3ObjectStore {
  const { url: endpoint, bucket, accessKey, secretKey, region } = minio;
  return new S3ObjectStore({ endpoint, bucket, accessKey, secretKey, region, retryDelayMs: 20, ...overrides });
}

beforeAll(async () => {
  minio = await startMinio();
  store = connect();
}, 90_000);
afterAll(async () => {
  store?.close();
  await minio?.stop();
  rmSync(dir, { recursive: true, force: true });
});

describe('contract', () => {
  objectStoreContract(() => ({
    store,
    damage: async (key, bytes) => {
      await minio.client.putObject(minio.bucket, key, bytes, bytes.length);
    },
  }));
});

test('a missing bucket and wrong credentials are refusals, never missing objects', async () => {
  const noBucket = connect({ bucket: 'no-such-bucket' });
  await expect(noBucket.stat('a')).rejects.toThrow(StoreRefusedError);
  await expect(noBucket.putBuffer('a', Buffer.from('a'))).rejects.toThrow(StoreRefusedError);
  await expect(noBucket.ping()).rejects.toThrow(StoreRefusedError);
  const noRight = connect({ secretKey: 'wrong-secret-key' });
  await expect(noRight.read('a')).rejects.toThrow(StoreRefusedError);
  await expect(noRight.ping()).rejects.toMatchObject({ kind: 'permanent' });
  await noBucket.ensureBucket();
  await noBucket.ensureBucket();
  await noBucket.putBuffer('a', Buffer.from('a'));
  noBucket.close();
  noRight.close();
});

function listen(server: Server | TcpServer): Promise<string> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
  });
}

test('a store that is down, silent or broken fails as unavailable within a bounded time', async () => {
  const started = Date.now();
  const down = connect({ endpoint: 'http://127.0.0.1:1', attempts: 3 });
  await expect(down.putBuffer('a', Buffer.from('a'))).rejects.toThrow(StoreUnavailableError);
  await expect(down.ping()).rejects.toMatchObject({ kind: 'transient', code: 'store-unavailable' });

  const sockets = new Set<Socket>();
  const silent = createTcpServer((socket) => void sockets.add(socket));
  const mute = connect({ endpoint: await listen(silent), attempts: 2, idleTimeoutMs: 300 });
  await expect(mute.stat('a')).rejects.toThrow(StoreUnavailableError);
  for (const socket of sockets) socket.destroy();
  silent.close();

  const busy = createServer((_request, response) => response.writeHead(503).end('<busy/>'));
  const overloaded = connect({ endpoint: await listen(busy), attempts: 3 });
  await expect(overloaded.read('a')).rejects.toThrow(StoreUnavailableError);
  overloaded.close();
  busy.close();

  const cutting = createServer((request, response) => {
    response.writeHead(200, { 'content-length': 1000, etag: '"x"', 'last-modified': new Date().toUTCString() });
    if (request.method === 'HEAD') response.end();
    else response.write(Buffer.alloc(500), () => response.destroy());
  });
  const cut = connect({ endpoint: await listen(cutting), attempts: 2 });
  const stream = await cut.read('a');
  await expect(
    (async () => {
      for await (const part of stream) void part;
    })(),
  ).rejects.toThrow(StoreUnavailableError);
  await expect(cut.readRange('a', 0, 1000)).rejects.toThrow(StoreUnavailableError);
  cut.close();
  cutting.close();
  expect(Date.now() - started).toBeLessThan(15_000);
});

test('a slow reader is waited for', async () => {
  const slow = connect({ idleTimeoutMs: 300 });
  const bytes = randomBytes(12 * 1024 * 1024);
  await store.putBuffer('slow-reader', bytes);
  const hash = createHash('sha256');
  let pauses = 0;
  for await (const part of await slow.read('slow-reader')) {
    hash.update(part as Buffer);
    if (pauses < 3) await new Promise((r) => setTimeout(r, 500));
    pauses += 1;
  }
  expect(hash.digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'));
  slow.close();
}, 20_000);

test('a store that gives other bytes than it was given is found out by reading back', async () => {
  // Between us and the store: flips one byte of what is read. (On the way in MinIO would notice by Content-MD5.)
  const flipping = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const body = Buffer.concat(parts);
      const headers = Object.fromEntries(Object.entries(request.headers).filter(([k]) => !['connection'].includes(k)));
      void forward(minio.url, request.method!, request.url!, headers, body).then(({ status, head, answer }) => {
        if (request.method === 'GET' && answer.length > 0) answer[answer.length >> 1]! ^= 1;
        response.writeHead(status, head).end(answer);
      });
    });
  });
  const endpoint = await listen(flipping);
  const liar = connect({ endpoint });
  const bytes = randomBytes(100_000);
  const path = join(dir, 'flipped');
  writeFileSync(path, bytes);
  const expected = { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
  try {
    await expect(liar.putFile('flipped', path, expected)).rejects.toThrow(ObjectDamagedError);
    await expect(liar.putFile('flipped', path, expected)).rejects.toMatchObject({ kind: 'permanent' });
    await store.putFile('flipped', path, { ...expected, repair: true });
  } finally {
    liar.close();
    flipping.close();
    flipping.closeAllConnections();
  }
});

test('down for a while: fails as unavailable, works again without a new client', async () => {
  await store.putBuffer('outage', Buffer.from('kept'));
  await minio.kill9();
  await expect(store.readRange('outage', 0, 4)).rejects.toThrow(StoreUnavailableError);
  await minio.restart();
  expect((await store.readRange('outage', 0, 4)).toString()).toBe('kept');
}, 60_000);

interface Forwarded {
  status: number;
  head: Record<string, string | string[]>;
  answer: Buffer;
}

async function forward(base: string, method: string, path: string, headers: object, body: Buffer): Promise<Forwarded> {
  const { request } = await import('node:http');
  const target = new URL(path, base);
  return new Promise((resolve, reject) => {
    // The host header stays the one that was signed.
    const outgoing = request(target, { method, headers: headers as Record<string, string> }, (incoming) => {
      const parts: Buffer[] = [];
      incoming.on('data', (part: Buffer) => parts.push(part));
      incoming.on('end', () => {
        const head = incoming.headers as Record<string, string | string[]>;
        resolve({ status: incoming.statusCode ?? 500, head, answer: Buffer.concat(parts) });
      });
    });
    outgoing.on('error', reject).end(body);
  });
}
