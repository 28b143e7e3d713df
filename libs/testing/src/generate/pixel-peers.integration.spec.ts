import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readPart10Meta, writePart10Meta } from '@archipelago/dicom-encoding';
import { type InstanceSource, PixelPool, pixelDigest, transcodeDataset } from '@archipelago/dicom-pixel';
import { runDcmtk } from '../servers/dcmtk';
import { generateInstance, type GenerateOptions } from './study';

const P = '1.2.840.10008.1.2';
const OBJECTS: [string, GenerateOptions][] = [
  ['ct', { kind: 'ct', rows: 40, columns: 36 }],
  ['colour, odd size, frames', { kind: 'us-cine', rows: 33, columns: 31, frames: 3 }],
  ['frames', { kind: 'xa', rows: 32, columns: 32, frames: 5 }],
  ['signed', { kind: 'pt', rows: 30, columns: 30 }],
];
/** What DCMTK reads without us: its decoders are not those that we encode with. */
const DECODERS: [string, string][] = [
  [`${P}.5`, 'dcmdrle'],
  [`${P}.4.57`, 'dcmdjpeg'],
  [`${P}.4.70`, 'dcmdjpeg'],
  [`${P}.4.80`, 'dcmdjpls'],
];

function source(dataset: Buffer, transferSyntaxUid: string): InstanceSource {
  return {
    transferSyntaxUid,
    datasetLength: dataset.length,
    read: (start, end) => Promise.resolve(dataset.subarray(start, end)),
  };
}

async function collect(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of body) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

describe('what we encode, decoded by DCMTK', () => {
  const pool = new PixelPool({ size: 1 });
  const folder = mkdtempSync(join(tmpdir(), 'pixel-peers-'));
  jest.setTimeout(120_000);
  afterAll(async () => {
    await pool.close();
    rmSync(folder, { recursive: true });
  });

  describe.each(OBJECTS)('%s', (_name, options) => {
    it.each(DECODERS)('%s has the same samples', async (transferSyntaxUid, tool) => {
      const instance = generateInstance({ seed: 5, ...options, transferSyntax: 'explicit-le' });
      const native = source(instance.dataset(), instance.transferSyntaxUid);
      const { sopClassUid, sopInstanceUid } = instance;
      const coded = await collect((await transcodeDataset(native, transferSyntaxUid, pool)).body);
      const [sent, decoded] = [join(folder, 'coded.dcm'), join(folder, 'decoded.dcm')];
      const meta = writePart10Meta({ sopClassUid, sopInstanceUid, transferSyntaxUid });
      writeFileSync(sent, Buffer.concat([meta, coded]));
      const { code, stderr } = await runDcmtk(tool, [sent, decoded]);
      expect({ code, stderr }).toMatchObject({ code: 0 });
      const file = readFileSync(decoded);
      const read = readPart10Meta(file, true);
      const back = source(file.subarray(read?.datasetOffset), read?.transferSyntaxUid ?? '');
      expect(back.transferSyntaxUid).toBe(`${P}.1`);
      expect(await pixelDigest(back, pool)).toEqual(await pixelDigest(native, pool));
    });
  });
});
