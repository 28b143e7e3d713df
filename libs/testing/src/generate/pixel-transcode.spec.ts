import { PixelPool, pixelDigest, transcodeDataset, type InstanceSource } from '@archipelago/dicom-pixel';
import { prepareGenerator } from './codecs';
import { generateInstance, type GenerateOptions } from './study';

const P = '1.2.840.10008.1.2';

function source(dataset: Buffer, transferSyntaxUid: string): InstanceSource {
  return {
    transferSyntaxUid,
    datasetLength: dataset.length,
    read: (start, end) => Promise.resolve(dataset.subarray(start, end)),
  };
}

function generated(options: GenerateOptions): InstanceSource {
  const instance = generateInstance({ seed: 3, ...options });
  return source(instance.dataset(), instance.transferSyntaxUid);
}

async function collect(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of body) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

const OBJECTS: [string, GenerateOptions][] = [
  ['ct', { kind: 'ct', rows: 40, columns: 36 }],
  ['colour, odd size, frames', { kind: 'us-cine', rows: 33, columns: 31, frames: 3 }],
  ['frames', { kind: 'xa', rows: 32, columns: 32, frames: 5 }],
  ['signed', { kind: 'pt', rows: 30, columns: 30 }],
];
const CODED = [
  'rle',
  'deflated-image-frame',
  'encapsulated-uncompressed',
  'jpeg-lossless-14',
  'jpeg-lossless',
  'jpeg-ls',
  'j2k-lossless',
  'htj2k-lossless',
  'htj2k-lossless-rpcl',
];

describe('transcodeDataset and pixelDigest', () => {
  const pool = new PixelPool({ size: 1 });
  jest.setTimeout(120_000);
  beforeAll(() => prepareGenerator());
  afterAll(() => pool.close());

  it.each(OBJECTS)(
    '%s: decoded from every lossless coding to what was generated, byte for byte',
    async (_name, options) => {
      const native = generated({ ...options, transferSyntax: 'explicit-le' });
      const expected = await collect((await transcodeDataset(native, `${P}.1`, pool)).body);
      const digest = await pixelDigest(native, pool);
      for (const transferSyntax of CODED) {
        const coded = generated({ ...options, transferSyntax });
        expect([transferSyntax, await pixelDigest(coded, pool)]).toEqual([transferSyntax, digest]);
        const result = await transcodeDataset(coded, `${P}.1`, pool);
        const body = await collect(result.body);
        expect([transferSyntax, body.length, body.equals(expected)]).toEqual([transferSyntax, result.length, true]);
      }
    },
  );

  it.each(OBJECTS)('%s: encoded from native to every lossless coding, and back', async (_name, options) => {
    for (const from of ['explicit-le', 'implicit-le', 'explicit-be']) {
      const native = generated({ ...options, transferSyntax: from });
      const digest = await pixelDigest(native, pool);
      for (const end of ['5', '4.80', '4.70', '4.90', '4.201']) {
        const to = `${P}.${end}`;
        const body = await collect((await transcodeDataset(native, to, pool)).body);
        expect([from, to, await pixelDigest(source(body, to), pool)]).toEqual([from, to, digest]);
      }
    }
  });

  it('decodes to implicit little endian', async () => {
    const result = await transcodeDataset(
      generated({ kind: 'xa', rows: 16, columns: 16, frames: 2, transferSyntax: 'jpeg-ls' }),
      P,
      pool,
    );
    const body = await collect(result.body);
    const expected = generateInstance({
      seed: 3,
      kind: 'xa',
      rows: 16,
      columns: 16,
      frames: 2,
      transferSyntax: 'implicit-le',
    }).dataset();
    expect(body.equals(expected)).toBe(true);
  });

  it('fails before anything is sent when the first frame is damaged', async () => {
    const coded = generated({ kind: 'ct', rows: 32, columns: 32, transferSyntax: 'j2k-lossless' });
    const bytes = await coded.read(0, coded.datasetLength);
    bytes.fill(0, bytes.length - 200, bytes.length - 8);
    await expect(transcodeDataset(source(bytes, coded.transferSyntaxUid), `${P}.1`, pool)).rejects.toMatchObject({
      name: 'PixelError',
    });
  });
});
