/** Decoded samples compared with pydicom and pylibjpeg (libjpeg, OpenJPEG, its own RLE): code that we did not write. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { readPart10Meta } from '@archipelago/dicom-encoding';
import {
  decodedFrames,
  type InstanceSource,
  openInstance,
  type OpenInstance,
  type PixelAttributes,
  PixelError,
  PixelPool,
  probe,
} from '@archipelago/dicom-pixel';
import { repositoryRoot } from '@archipelago/platform-embedded';
import { runPython } from '../run-command';

interface Decoded {
  path: string;
  raw?: string;
  rgb?: string;
  error?: string;
}
type Verdict = 'equal' | 'near' | 'only ours' | 'only theirs' | 'neither' | string;

/** Lossy JPEG: inverse transforms may round another way, and chroma may be enlarged another way. */
const NEAR = { mono: 2, colour: 40, mean: 2 };

const samples = process.env.ARCHIPELAGO_SAMPLES ?? resolve(repositoryRoot(), '../shared/dicom-samples');
if (!existsSync(samples))
  process.stderr.write('dicom-samples absent: pixels are compared over the files of pydicom only\n');

describe('pixels as pydicom and pylibjpeg decode them', () => {
  jest.setTimeout(400_000);
  const pool = new PixelPool({ size: 1, timeoutMs: 30_000 });
  const folder = mkdtempSync(join(tmpdir(), 'archipelago-pixels-'));
  afterAll(async () => {
    await pool.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const theirs = async (args: string[], input = ''): Promise<Decoded[]> => {
    const script = join(__dirname, 'pydicom-pixels.py');
    const { code, stdout, stderr } = await runPython(script, [folder, ...args], { input, timeoutMs: 300_000 });
    if (code !== 0) throw new Error(stderr);
    return stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Decoded);
  };

  async function compare(list: Decoded[]): Promise<Map<string, Verdict>> {
    const verdicts = new Map<string, Verdict>();
    for (const one of list) verdicts.set(one.path, await verdict(one));
    return verdicts;
  }

  async function verdict(one: Decoded): Promise<Verdict> {
    const source = sourceOf(one.path);
    const ours = source && (await decode(source).catch((error: unknown) => expectPixelError(error)));
    if (!ours) return one.error ? 'neither' : 'only theirs';
    if (one.error) return 'only ours';
    const isRgb = ours.photometric === 'RGB' && ours.attributes.photometricInterpretation !== 'RGB';
    const other = readFileSync((isRgb ? one.rgb : one.raw) as string);
    // Native subsampled colour stays as it is with us; pydicom doubles its chroma.
    if (ours.coding === undefined && ours.attributes.photometricInterpretation === 'YBR_FULL_422')
      return 'other layout';
    return difference(ours, other, ours.coding === 'jpeg');
  }

  async function decode(source: InstanceSource) {
    const open = await openInstance(source);
    const parts: Buffer[] = [];
    let photometric = '';
    for await (const frame of decodedFrames(open, pool)) {
      parts.push(Buffer.from(frame.data));
      photometric = frame.photometricInterpretation;
    }
    const first = open.scan.pixel?.encapsulated ? open.scan.pixel.fragments[0] : undefined;
    return {
      data: Buffer.concat(parts),
      photometric,
      attributes: open.attributes,
      coding: first && (await codingOf(open, first)),
    };
  }

  const summary = (verdicts: Map<string, Verdict>): Record<string, number> => {
    const counts: Record<string, number> = {};
    for (const value of verdicts.values()) counts[value] = (counts[value] ?? 0) + 1;
    return counts;
  };
  const wrong = (verdicts: Map<string, Verdict>): string[] =>
    [...verdicts].filter(([, value]) => value.startsWith('differs')).map(([path, value]) => `${path}: ${value}`);

  it('the files of pydicom: no sample differs', async () => {
    const verdicts = await compare(await theirs(['--package']));
    expect(wrong(verdicts)).toEqual([]);
    expect(summary(verdicts).equal).toBeGreaterThan(20);
  });

  (existsSync(samples) ? it : it.skip)('the samples: no sample differs', async () => {
    const paths = ['images', 'transfer-syntaxes'].flatMap((name) => filesBelow(join(samples, name)));
    const verdicts = await compare(await theirs([], paths.join('\n')));
    expect(wrong(verdicts)).toEqual([]);
    expect(summary(verdicts).equal).toBeGreaterThan(40);
  });
});

function expectPixelError(error: unknown): undefined {
  if (error instanceof PixelError) return undefined;
  throw error;
}

/** What the codestream is, whatever the transfer syntax says: a lossy one under a lossless syntax is found in the field. */
async function codingOf(open: OpenInstance, first: { offset: number; length: number }): Promise<string> {
  const bytes = await open.reader.read(first.offset, first.offset + first.length);
  try {
    return probe(bytes).kind;
  } catch {
    return 'other';
  }
}

/** Undefined where the file's own meta information cannot be read. */
function sourceOf(path: string): InstanceSource | undefined {
  const file = readFileSync(path);
  try {
    const meta = readPart10Meta(file, true);
    const dataset = file.subarray(meta?.datasetOffset ?? 0);
    const transferSyntaxUid = meta?.transferSyntaxUid ?? '1.2.840.10008.1.2';
    return {
      transferSyntaxUid,
      datasetLength: dataset.length,
      read: (from, to) => Promise.resolve(dataset.subarray(from, to)),
    };
  } catch {
    return undefined;
  }
}

/** Bits beyond BitsStored are no samples: overlays, signs extended or not. */
function difference(ours: { data: Buffer; attributes: PixelAttributes }, theirs: Buffer, lossy: boolean): Verdict {
  const { data, attributes: a } = ours;
  if (data.length !== theirs.length) return `differs: ${data.length} bytes and ${theirs.length}`;
  if (data.equals(theirs)) return 'equal';
  const step = a.bitsAllocated / 8;
  const mask = 2 ** Math.min(a.bitsStored, 32) - 1;
  const shift = a.highBit + 1 - a.bitsStored;
  let most = 0;
  let sum = 0;
  for (let at = 0; at + step <= data.length; at += step) {
    const [x, y] = [data, theirs].map((bytes) => ((bytes.readUIntLE(at, Math.min(step, 4)) >>> shift) & mask) >>> 0);
    const delta = Math.abs((x ?? 0) - (y ?? 0));
    most = Math.max(most, delta);
    sum += delta;
  }
  if (most === 0) return 'equal';
  const mean = (sum * step) / data.length;
  if (lossy && most <= (a.samplesPerPixel === 1 ? NEAR.mono : NEAR.colour) && mean <= NEAR.mean) return 'near';
  return `differs: by up to ${most}, ${mean.toFixed(3)} on average`;
}

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? filesBelow(path) : [path];
  });
}
