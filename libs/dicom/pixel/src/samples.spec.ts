import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DatasetError, readPart10Meta } from '@archipelago/dicom-encoding';
import { PixelError, type InstanceSource } from './api';
import { pixelDigest } from './digest';
import { decodedFrames, openInstance } from './open';
import { PixelPool } from './pool';

const root = resolve(__dirname, '../../../..');
const samples = process.env.ARCHIPELAGO_SAMPLES ?? resolve(root, '../shared/dicom-samples');
const present = existsSync(samples);
if (!present)
  process.stderr.write('dicom-samples absent: set ARCHIPELAGO_SAMPLES to run the sample tests of dicom-pixel\n');
const withSamples = present ? describe : describe.skip;

function open(path: string): InstanceSource {
  const file = readFileSync(path);
  const meta = file.toString('latin1', 128, 132) === 'DICM' ? readPart10Meta(file, true) : null;
  const dataset = file.subarray(meta?.datasetOffset ?? 0);
  const transferSyntaxUid = meta?.transferSyntaxUid ?? '1.2.840.10008.1.2';
  return {
    transferSyntaxUid,
    datasetLength: dataset.length,
    read: (start, end) => Promise.resolve(dataset.subarray(start, end)),
  };
}

function files(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? files(path) : [path];
  });
}

withSamples('real files', () => {
  const pool = new PixelPool({ size: 1, timeoutMs: 10_000 });
  jest.setTimeout(120_000);
  afterAll(() => pool.close());
  const at = (path: string): string => join(samples, 'transfer-syntaxes', path);
  const digest = async (path: string): Promise<string> => (await pixelDigest(open(at(path)), pool)).sha256;
  const pixels = async (path: string): Promise<Buffer> => {
    const parts: Buffer[] = [];
    for await (const frame of decodedFrames(await openInstance(open(at(path))), pool))
      parts.push(Buffer.from(frame.data));
    return Buffer.concat(parts);
  };

  it.each(['jpeg_ls_lossless', 'bigendian', 'padded', 'RLE', 'jp2klossless', 'implicit'])(
    'MR_small %s: the pixels of the reference',
    async (name) => {
      expect(await digest(`mr-small-64/MR_small_${name}.dcm`)).toBe(await digest('mr-small-64/MR_small.dcm'));
    },
  );

  it.each(['jpegls_lossless', 'rle', 'jpeg_lossless_sv1', 'j2k_lossless'])(
    'mr3 %s: the pixels of the reference',
    async (name) => {
      const reference = await pixels('mr3-512/mr3_reference_uncompressed.dcm');
      expect((await pixels(`mr3-512/mr3_${name}.dcm`)).equals(reference)).toBe(true);
    },
  );

  it.each(['j2k_lossy', 'jpegls_near', 'jpeg_extended_12bit'])('mr3 %s: near the reference', async (name) => {
    const reference = await pixels('mr3-512/mr3_reference_uncompressed.dcm');
    const lossy = await pixels(`mr3-512/mr3_${name}.dcm`);
    expect(lossy.length).toBe(reference.length);
    let sum = 0;
    for (let i = 0; i < lossy.length; i += 2) sum += Math.abs(lossy.readInt16LE(i) - reference.readInt16LE(i));
    expect(sum / (lossy.length / 2)).toBeLessThan(30);
  });

  it.each(['jpeg_ls_lossless', 'jpeg_2k_lossless', 'RLE'])(
    'emri_small %s: the frames of the big endian original',
    async (name) => {
      expect(await digest(`multiframe/emri_small_${name}.dcm`)).toBe(
        await digest('multiframe/emri_small_big_endian.dcm'),
      );
    },
  );

  it('every file, malformed ones too: a digest or a PixelError', async () => {
    let digests = 0;
    let errors = 0;
    for (const folder of ['malformed', 'transfer-syntaxes']) {
      for (const path of files(join(samples, folder))) {
        const outcome = await (async () => pixelDigest(open(path), pool))().then(
          (result) => result.basis,
          (error: unknown) => error,
        );
        // DatasetError: the file meta information, which the test reads, is itself damaged.
        if (outcome instanceof PixelError || outcome instanceof DatasetError) errors++;
        else if (typeof outcome === 'string') digests++;
        else throw new Error(`${path}: ${String(outcome)}`);
      }
    }
    expect(digests).toBeGreaterThan(40);
    expect(errors).toBeGreaterThan(5);
  });
});
