import { encodeFrame as encodeLossless, loadCodecs, type PixelAttributes } from '@archipelago/dicom-pixel';
import { registerFrameEncoder } from './frames';
import type { PixelPlan } from './pixels';
import { TRANSFER_SYNTAXES, type TransferSyntaxInfo } from './transfer-syntaxes';

type Codecs = typeof import('dcmjs-codecs');

const LOSSY: Record<
  string,
  (codecs: Codecs, context: InstanceType<Codecs['Context']>) => InstanceType<Codecs['Context']>
> = {
  'jpeg-baseline': (codecs, context) =>
    codecs.NativeCodecs.encodeJpeg(context, { lossy: true, quality: 90, sampleFactor: 0 }),
  'jpeg-extended': (codecs, context) =>
    codecs.NativeCodecs.encodeJpeg(context, { lossy: true, quality: 90, sampleFactor: 0 }),
  'jpeg-ls-near': (codecs, context) => codecs.NativeCodecs.encodeJpegLs(context, { lossy: true, allowedLossyError: 2 }),
  j2k: (codecs, context) => codecs.NativeCodecs.encodeJpeg2000(context, { lossy: true, rate: 10 }),
  htj2k: (codecs, context) => codecs.NativeCodecs.encodeHtJpeg2000(context, { lossy: true }),
};

/** Must be awaited once before objects are generated in a syntax other than native and deflated ones. */
export async function prepareGenerator(): Promise<void> {
  await loadCodecs();
  const loaded = (await import('dcmjs-codecs')) as Codecs & { default?: Codecs };
  const codecs = loaded.default ?? loaded;
  await codecs.NativeCodecs.initializeAsync({});
  for (const syntax of TRANSFER_SYNTAXES.filter((each) => each.encapsulated)) {
    registerFrameEncoder(syntax.uid, (info, pixels, frame) => encode(codecs, info, pixels, frame));
  }
}

function encode(codecs: Codecs, syntax: TransferSyntaxInfo, pixels: PixelPlan, frame: Buffer): Buffer {
  const lossy = LOSSY[syntax.name];
  if (!lossy) return encodeLossless(syntax.uid, attributesOf(pixels), frame);
  if (syntax.name.startsWith('jpeg-') && !syntax.name.startsWith('jpeg-ls') && pixels.bitsAllocated !== 8) {
    throw new Error(`generator: ${syntax.name} is written for 8-bit images only`);
  }
  // JPEG-LS knows no sign: an error of one level around zero would become one of 65535.
  if (syntax.name === 'jpeg-ls-near' && pixels.signed)
    throw new Error('generator: near-lossless JPEG-LS is for unsigned images');
  if (pixels.bitsAllocated !== 8 && pixels.bitsAllocated !== 16)
    throw new Error(`generator: ${syntax.name} is for 8 and 16 bits`);
  const context = new codecs.Context({
    width: pixels.columns,
    height: pixels.rows,
    bitsAllocated: pixels.bitsAllocated,
    bitsStored: pixels.bitsStored,
    samplesPerPixel: pixels.samplesPerPixel,
    pixelRepresentation: pixels.signed ? 1 : 0,
    planarConfiguration: 0,
    photometricInterpretation: pixels.photometric,
    decodedBuffer: frame,
  });
  return Buffer.from(lossy(codecs, context).getEncodedBuffer() ?? []);
}

export function attributesOf(pixels: PixelPlan): PixelAttributes {
  return {
    rows: pixels.rows,
    columns: pixels.columns,
    samplesPerPixel: pixels.samplesPerPixel,
    bitsAllocated: pixels.bitsAllocated,
    bitsStored: pixels.bitsStored,
    highBit: pixels.bitsStored - 1,
    pixelRepresentation: pixels.signed ? 1 : 0,
    photometricInterpretation: pixels.photometric,
    planarConfiguration: 0,
    numberOfFrames: pixels.frames,
  };
}
