import { createHash } from 'node:crypto';
import { createConnection, createServer, type AddressInfo, type Socket } from 'node:net';

/** A C-STORE request as it went over the wire. */
export interface TappedStore {
  sopClass: string;
  sopInstance: string;
  syntax: string;
  sha256: string;
  bytes: number;
}

export interface WireTap {
  readonly port: number;
  /** Data sets of C-STORE requests that clients sent, in order. */
  readonly stores: TappedStore[];
  stop(): Promise<void>;
}

/**
 * A TCP proxy that notes what clients store: senders such as DCMTK write a data set anew, so what is compared must be
 * what came over the wire, not the file. It reads A-ASSOCIATE-RQ/AC for the transfer syntaxes and P-DATA (PS3.8 9.3).
 */
export async function startWireTap(toPort: number): Promise<WireTap> {
  const stores: TappedStore[] = [];
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (client) => {
    const upstream = createConnection({ port: toPort, host: '127.0.0.1', noDelay: true });
    const conversation = new Conversation(stores);
    const toServer = new PduSplitter((type, body) => conversation.request(type, body));
    const toClient = new PduSplitter((type, body) => conversation.answer(type, body));
    client.on('data', (chunk) => toServer.push(chunk));
    upstream.on('data', (chunk) => toClient.push(chunk));
    client.pipe(upstream);
    upstream.pipe(client);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => sockets.delete(socket));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    stores,
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

class PduSplitter {
  private rest: Buffer = Buffer.alloc(0);
  constructor(private readonly take: (type: number, body: Buffer) => void) {}

  push(chunk: Buffer): void {
    this.rest = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    while (this.rest.length >= 6) {
      const end = 6 + this.rest.readUInt32BE(2);
      if (this.rest.length < end) return;
      this.take(this.rest[0] as number, this.rest.subarray(6, end));
      this.rest = this.rest.subarray(end);
    }
  }
}

class Conversation {
  private readonly syntaxes = new Map<number, string>();
  private command: Buffer[] = [];
  private dataset:
    { sopClass: string; sopInstance: string; hash: ReturnType<typeof createHash>; bytes: number } | undefined;

  constructor(private readonly stores: TappedStore[]) {}

  /** A-ASSOCIATE-AC: presentation context items (21H) with the accepted transfer syntax (40H). */
  answer(type: number, body: Buffer): void {
    if (type !== 0x02) return;
    for (const [itemType, item] of items(body.subarray(68))) {
      if (itemType !== 0x21 || item[2] !== 0) continue;
      const [, syntax] = items(item.subarray(4)).next().value ?? [];
      this.syntaxes.set(item[0] as number, trimmed(syntax as Buffer));
    }
  }

  request(type: number, body: Buffer): void {
    if (type !== 0x04) return;
    for (let at = 0; at + 6 <= body.length;) {
      const length = body.readUInt32BE(at);
      this.value(body[at + 4] as number, body[at + 5] as number, body.subarray(at + 6, at + 4 + length));
      at += 4 + length;
    }
  }

  private value(contextId: number, control: number, fragment: Buffer): void {
    const last = (control & 2) !== 0;
    if ((control & 1) !== 0) {
      this.command.push(Buffer.from(fragment));
      if (!last) return;
      const command = elements(Buffer.concat(this.command));
      this.command = [];
      const isStore = command.get(0x00000100)?.readUInt16LE(0) === 0x0001;
      const text = (tag: number): string => trimmed(command.get(tag) ?? Buffer.alloc(0));
      this.dataset = isStore
        ? { sopClass: text(0x00000002), sopInstance: text(0x00001000), hash: createHash('sha256'), bytes: 0 }
        : undefined;
      return;
    }
    if (!this.dataset) return;
    this.dataset.hash.update(fragment);
    this.dataset.bytes += fragment.length;
    if (!last) return;
    const { hash, ...rest } = this.dataset;
    this.stores.push({ ...rest, syntax: this.syntaxes.get(contextId) ?? '', sha256: hash.digest('hex') });
    this.dataset = undefined;
  }
}

function trimmed(bytes: Buffer): string {
  return bytes.toString('latin1').replace(/[\0 ]+$/, '');
}

function* items(bytes: Buffer): Generator<[type: number, body: Buffer]> {
  for (let at = 0; at + 4 <= bytes.length;) {
    const end = at + 4 + bytes.readUInt16BE(at + 2);
    yield [bytes[at] as number, bytes.subarray(at + 4, end)];
    at = end;
  }
}

/** Elements of a command set: Implicit VR Little Endian (PS3.7 6.3.1). */
function elements(bytes: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = 0; at + 8 <= bytes.length;) {
    const end = at + 8 + bytes.readUInt32LE(at + 4);
    found.set(bytes.readUInt16LE(at) * 0x10000 + bytes.readUInt16LE(at + 2), bytes.subarray(at + 8, end));
    at = end;
  }
  return found;
}
