import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { PixelError, type DecodedFrame, type PixelAttributes, type PixelLimits } from './api';
import { checkAttributes, decodedFrameBytes, DEFAULT_LIMITS } from './attributes';
import { checkAgainstHeader, fewestBytes, probe, unwrapJp2, type CodestreamInfo } from './codestream';
import { decodeRle, encodeRle } from './rle';
import { pixelSyntax, type PixelSyntax } from './syntaxes';
import { loadLimited } from './wasm-limit';

/**
 * Coding of single frames, synchronously, in the calling thread. The service uses it through PixelPool; tests and the
 * generator call it directly after `loadCodecs`. JPEG, JPEG-LS and JPEG 2000 are dcmjs-codecs' WebAssembly build.
 */
type Native = typeof import('dcmjs-codecs');
let native: Native | undefined;
let loading: Promise<void> | undefined;

/** WebAssembly memory of one thread: enough for 50 million samples of JPEG 2000 (a mammogram has 28 million). */
export const CODEC_MEMORY_BYTES = 320 * 1024 * 1024;

/** Loads the WebAssembly module (4 MB, about 50 ms), once per thread; the first call's `memoryBytes` counts. */
export function loadCodecs(memoryBytes = CODEC_MEMORY_BYTES): Promise<void> {
  loading ??= (async () => {
    // A CommonJS bundle: a real dynamic import gives it as the default export, a compiled one as itself.
    const loaded = (await import('dcmjs-codecs')) as Native & { default?: Native };
    native = loaded.default ?? loaded;
    const { NativeCodecs } = native;
    await loadLimited(memoryBytes, () => NativeCodecs.initializeAsync({}));
  })();
  return loading;
}

function codecs(): Native {
  if (!native) throw new Error('loadCodecs() has not been awaited');
  return native;
}

function syntaxOf(uid: string): PixelSyntax & { codec: NonNullable<PixelSyntax['codec']> } {
  const syntax = pixelSyntax(uid);
  if (!syntax?.codec) throw new PixelError('unsupported-syntax', 'pixels of this transfer syntax are not decoded');
  return syntax as PixelSyntax & { codec: NonNullable<PixelSyntax['codec']> };
}

/**
 * Decodes one frame to little endian samples, interleaved by pixel.
 * @throws PixelError whatever the bytes are
 */
export function decodeFrame(
  transferSyntaxUid: string,
  a: PixelAttributes,
  coded: Buffer,
  limits: PixelLimits = {},
): DecodedFrame {
  const syntax = syntaxOf(transferSyntaxUid);
  checkAttributes(a, limits);
  if (coded.length > (limits.maxCodedFrameBytes ?? DEFAULT_LIMITS.maxCodedFrameBytes)) {
    throw new PixelError('too-large', 'a compressed frame is larger than allowed');
  }
  const samples = a.rows * a.columns * a.samplesPerPixel;
  if (coded.length < fewestBytes(syntax.codec, samples, a.bitsAllocated / 8)) {
    throw new PixelError('truncated', 'fewer bytes than this frame can need');
  }
  switch (syntax.codec) {
    case 'uncompressed':
      return decoded(a, interleave(a, exact(coded, a)), a.photometricInterpretation);
    case 'deflate':
      return decoded(a, interleave(a, exact(inflate(coded, a), a)), a.photometricInterpretation);
    case 'rle':
      if (a.bitsAllocated === 1) throw new PixelError('bad-attributes', 'RLE of single bits');
      return decoded(a, decodeRle(coded, a.rows * a.columns, a.samplesPerPixel, a.bitsAllocated / 8), full(a));
    default:
      return decodeNative(syntax, a, coded);
  }
}

function decoded(a: PixelAttributes, data: Buffer, photometricInterpretation: string): DecodedFrame {
  const { bitsAllocated, bitsStored, pixelRepresentation, samplesPerPixel } = a;
  return { data, photometricInterpretation, bitsAllocated, bitsStored, pixelRepresentation, samplesPerPixel };
}

/** Coded syntaxes have full resolution chroma after decoding. */
function full(a: PixelAttributes): string {
  return a.photometricInterpretation === 'YBR_FULL_422' ? 'YBR_FULL' : a.photometricInterpretation;
}

function exact(data: Buffer, a: PixelAttributes): Buffer {
  const bytes = decodedFrameBytes(a);
  if (data.length < bytes) throw new PixelError('truncated', 'fewer samples than the header says');
  return data.subarray(0, bytes);
}

function inflate(coded: Buffer, a: PixelAttributes): Buffer {
  try {
    // One byte more: the padding to even length that some writers put inside.
    return inflateRawSync(coded, { maxOutputLength: decodedFrameBytes(a) + 1 });
  } catch {
    throw new PixelError('bad-codestream', 'a deflated frame cannot be inflated to its size');
  }
}

/** By-plane samples to by-pixel ones. */
export function interleave(a: PixelAttributes, data: Buffer): Buffer {
  if (a.planarConfiguration === 0 || a.samplesPerPixel === 1) return data;
  const bytes = a.bitsAllocated / 8;
  const pixels = a.rows * a.columns;
  const out = Buffer.alloc(data.length);
  for (let sample = 0; sample < a.samplesPerPixel; sample++) {
    let from = sample * pixels * bytes;
    for (let pixel = 0; pixel < pixels; pixel++) {
      const to = (pixel * a.samplesPerPixel + sample) * bytes;
      for (let byte = 0; byte < bytes; byte++) out[to + byte] = data[from++]!;
    }
  }
  return out;
}

function decodeNative(syntax: PixelSyntax, a: PixelAttributes, raw: Buffer): DecodedFrame {
  const coded = syntax.codec === 'j2k' || syntax.codec === 'htj2k' ? unwrapJp2(raw) : raw;
  const info = probe(coded);
  checkAgainstHeader(info, a, syntax.codec!);
  const transform =
    info.kind === 'jpeg' && a.samplesPerPixel === 3 && (info.ycc ?? a.photometricInterpretation.startsWith('YBR'));
  const { NativeCodecs, Context } = codecs();
  const context = new Context({
    width: a.columns,
    height: a.rows,
    bitsAllocated: info.precision > 8 ? 16 : 8,
    bitsStored: info.precision,
    samplesPerPixel: a.samplesPerPixel,
    pixelRepresentation: a.pixelRepresentation,
    planarConfiguration: 0,
    photometricInterpretation: a.samplesPerPixel === 1 ? 'MONOCHROME2' : transform ? 'YBR_FULL_422' : 'RGB',
    encodedBuffer: coded,
  });
  let data: Buffer;
  try {
    const result =
      info.kind === 'jpeg-ls'
        ? NativeCodecs.decodeJpegLs(context)
        : info.kind === 'j2k'
          ? syntax.codec === 'htj2k'
            ? NativeCodecs.decodeHtJpeg2000(context)
            : NativeCodecs.decodeJpeg2000(context)
          : NativeCodecs.decodeJpeg(context, { convertColorspaceToRgb: transform });
    data = Buffer.from(result.getDecodedBuffer() ?? []);
  } catch (error) {
    throw new PixelError('codec-failed', message(error));
  }
  return decoded(a, widen(a, info, data), photometricAfter(syntax, a, info, transform));
}

/** A codestream of up to 8 bits under BitsAllocated 16 (legal): each byte becomes a word. */
function widen(a: PixelAttributes, info: CodestreamInfo, data: Buffer): Buffer {
  const samples = a.rows * a.columns * a.samplesPerPixel;
  const bytes = info.precision > 8 ? 2 : 1;
  if (data.length !== samples * bytes) throw new PixelError('codec-failed', 'the codec gave another number of samples');
  if (bytes * 8 === a.bitsAllocated) return data;
  if (bytes * 8 > a.bitsAllocated) throw new PixelError('codestream-mismatch', 'precision beyond BitsAllocated');
  const target = a.bitsAllocated / 8;
  const out = Buffer.alloc(samples * target);
  for (let i = 0; i < samples; i++) {
    const value = bytes === 1 ? data[i]! : data.readUInt16LE(2 * i);
    const signed = a.pixelRepresentation === 1 ? (value << (32 - info.precision)) >> (32 - info.precision) : value;
    out.writeIntLE(target >= 4 ? signed : (signed << (32 - 8 * target)) >> (32 - 8 * target), i * target, target);
  }
  return out;
}

function photometricAfter(syntax: PixelSyntax, a: PixelAttributes, info: CodestreamInfo, transform: boolean): string {
  if (a.samplesPerPixel !== 3) return a.photometricInterpretation;
  if (info.kind === 'jpeg') return transform ? 'RGB' : info.ycc === false ? 'RGB' : full(a);
  if (syntax.codec === 'j2k' || syntax.codec === 'htj2k') {
    const named = a.photometricInterpretation === 'YBR_ICT' || a.photometricInterpretation === 'YBR_RCT';
    return info.mct || named ? 'RGB' : full(a);
  }
  return full(a);
}

function message(error: unknown): string {
  return `codec: ${error instanceof Error ? error.message : String(error)}`.slice(0, 200);
}

/**
 * Compresses one frame (little endian, interleaved by pixel) without loss.
 * @throws PixelError 'unsupported-syntax' when the target cannot hold it, 'bad-attributes' when samples use bits
 *   beyond BitsStored that the target would drop
 */
export function encodeFrame(
  transferSyntaxUid: string,
  a: PixelAttributes,
  frame: Buffer,
  limits: PixelLimits = {},
): Buffer {
  const syntax = syntaxOf(transferSyntaxUid);
  checkAttributes(a, limits);
  if (!syntax.encodable) throw new PixelError('unsupported-syntax', 'this transfer syntax is not written');
  if (frame.length !== decodedFrameBytes(a))
    throw new PixelError('truncated', 'frame of another size than the header says');
  switch (syntax.codec) {
    case 'uncompressed':
      return frame;
    case 'deflate':
      return deflateRawSync(frame);
    case 'rle':
      if (a.bitsAllocated === 1) throw new PixelError('unsupported-syntax', 'RLE of single bits');
      return encodeRle(frame, a.rows, a.columns, a.samplesPerPixel, a.bitsAllocated / 8);
    default:
      return encodeNative(syntax, a, frame);
  }
}

function encodeNative(syntax: PixelSyntax, a: PixelAttributes, frame: Buffer): Buffer {
  if (![8, 16].includes(a.bitsAllocated))
    throw new PixelError('unsupported-syntax', 'only 8 and 16 bits can be compressed');
  if (a.highBit !== a.bitsStored - 1) throw new PixelError('unsupported-syntax', 'HighBit is not BitsStored - 1');
  if (a.samplesPerPixel !== 1 && a.samplesPerPixel !== 3) throw new PixelError('unsupported-syntax', 'SamplesPerPixel');
  checkSamples(a, frame);
  const { NativeCodecs, Context } = codecs();
  const context = new Context({
    width: a.columns,
    height: a.rows,
    bitsAllocated: a.bitsAllocated,
    bitsStored: a.bitsStored,
    samplesPerPixel: a.samplesPerPixel,
    pixelRepresentation: a.pixelRepresentation,
    planarConfiguration: 0,
    photometricInterpretation: a.photometricInterpretation,
    decodedBuffer: frame,
  });
  try {
    const result = encodeWith(NativeCodecs, syntax, context);
    const data = result.getEncodedBuffer();
    if (!data?.length) throw new Error('no output');
    return Buffer.from(data);
  } catch (error) {
    throw new PixelError('codec-failed', message(error));
  }
}

function encodeWith(
  codec: Native['NativeCodecs'],
  syntax: PixelSyntax,
  context: InstanceType<Native['Context']>,
): InstanceType<Native['Context']> {
  const RPCL = 2;
  if (syntax.codec === 'jpeg-ls') return codec.encodeJpegLs(context, { lossy: false });
  if (syntax.codec === 'jpeg-lossless')
    return codec.encodeJpeg(context, { lossy: false, predictor: 1, pointTransform: 0 });
  if (syntax.codec === 'j2k') return codec.encodeJpeg2000(context, { lossy: false });
  return codec.encodeHtJpeg2000(context, { lossy: false, progressionOrder: RPCL });
}

/** Bits beyond BitsStored (embedded overlays, for one) do not fit a codestream of BitsStored bits. */
function checkSamples(a: PixelAttributes, frame: Buffer): void {
  if (a.bitsStored === a.bitsAllocated) return;
  const mask = (0xffff << a.bitsStored) & (a.bitsAllocated === 16 ? 0xffff : 0xff);
  const signs =
    a.pixelRepresentation === 1 ? (0xffff << (a.bitsStored - 1)) & (a.bitsAllocated === 16 ? 0xffff : 0xff) : 0;
  const step = a.bitsAllocated / 8;
  for (let at = 0; at < frame.length; at += step) {
    const value = step === 2 ? frame[at]! | (frame[at + 1]! << 8) : frame[at]!;
    if ((value & mask) !== 0 && !(signs && (value & signs) === signs)) {
      throw new PixelError('bad-attributes', 'samples use bits beyond BitsStored, which this syntax would lose');
    }
  }
}
