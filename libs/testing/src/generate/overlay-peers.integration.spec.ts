/** Overlaid objects read by pydicom and DCMTK: every transfer syntax, character set and kind, and real files. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { overlayDataset, peekHeader, readPart10Meta, writePart10Meta } from '@archipelago/dicom-encoding';
import { repositoryRoot } from '@archipelago/platform-embedded';
import { runCommand, runPython, runPythonCode } from '../run-command';
import { CHARACTER_SETS } from './charset';
import { prepareGenerator } from './codecs';
import { KINDS } from './kinds';
import { generateInstance, type GenerateOptions } from './study';
import { TRANSFER_SYNTAXES } from './transfer-syntaxes';

const samples = process.env.ARCHIPELAGO_SAMPLES ?? resolve(repositoryRoot(), '../shared/dicom-samples');
const withSamples = existsSync(samples) ? it : it.skip;
if (!existsSync(samples))
  process.stderr.write('dicom-samples absent: overlay is tried on generated and package files\n');

/** One that every character set holds, one that none but Unicode's do. */
const NAMES = ['OVERLAY^SHOWN', 'Ἀθηνᾶ^한글'];

/** pydicom 3 does not know ISO_IR 203, and leaves the escapes of ISO 2022 IR 58 in the text. Unit tests read these. */
const UNREAD = ['latin9', 'chinese-2022'];

const LIST = `
import pydicom, pathlib
folder = pathlib.Path(pydicom.__file__).parent / 'data'
for kind in ('test_files', 'charset_files'):
    for p in sorted((folder / kind).glob('*.dcm')):
        print(p)
`;

interface Job {
  original: string;
  shown: string;
  name: string;
  id: string;
  texts: boolean;
}

describe('overlaid objects in pydicom and DCMTK', () => {
  jest.setTimeout(400_000);
  const folder = mkdtempSync(join(tmpdir(), 'archipelago-overlay-'));
  let count = 0;
  beforeAll(() => prepareGenerator());
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  }

  /** Writes what is shown for a file under both names. @throws DatasetError for what is no dataset */
  async function overlay(original: string, texts = true): Promise<Job[]> {
    const file = readFileSync(original);
    const meta = readPart10Meta(file, true)!;
    const dataset = file.subarray(meta.datasetOffset);
    const jobs: Job[] = [];
    for (const name of NAMES) {
      const peeked = await peekHeader(pieces(dataset, 40_961), meta.transferSyntaxUid);
      const parts = [writePart10Meta(meta)];
      const body = overlayDataset(peeked.dataset, meta.transferSyntaxUid, {
        header: peeked.header,
        leftOut: peeked.leftOut,
        changes: [
          { tag: 'PatientName', values: [name] },
          { tag: 'PatientID', values: ['ARC-0001'] },
        ],
        modifyingSystem: 'ARCHIPELAGO',
        dateTime: '20261126120000+0000',
      });
      for await (const part of body) parts.push(Buffer.from(part));
      const shown = join(folder, `shown-${count++}.dcm`);
      writeFileSync(shown, Buffer.concat(parts));
      jobs.push({ original, shown, name, id: 'ARC-0001', texts });
    }
    return jobs;
  }

  async function check(jobs: Job[]): Promise<{ converted: number }> {
    const input = jobs.map((job) => JSON.stringify(job)).join('\n');
    const script = join(__dirname, 'pydicom-overlay.py');
    const { code, stdout, stderr } = await runPython(script, [], { input, timeoutMs: 300_000 });
    if (code !== 0) throw new Error(stderr);
    const results = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { problems: string[]; converted: boolean });
    const bad = jobs
      .map((job, i) => [basename(job.original), job.name, ...results[i].problems])
      .filter(([, , ...problems]) => problems.length > 0);
    expect(bad).toEqual([]);
    await byDcmtk(jobs);
    return { converted: results.filter(({ converted }) => converted).length };
  }

  /** dcmftest knows them as files, dcmdump reads them to the end wherever it reads the original. */
  async function byDcmtk(jobs: Job[]): Promise<void> {
    const known = await runCommand(
      'dcmftest',
      jobs.map(({ shown }) => shown),
    );
    expect(known.stdout.split('\n').filter((line) => line.startsWith('no:'))).toEqual([]);
    expect(known.stdout.match(/^yes:/gm)).toHaveLength(jobs.length);
    for (const job of jobs) {
      const { code, stdout } = await runCommand('dcmdump', ['-q', '+P', '0010,0020', job.shown]);
      if (code === 0) expect(stdout).toContain('[ARC-0001]');
      else {
        const original = await runCommand('dcmdump', ['-q', job.original]);
        expect([basename(job.original), original.code]).toEqual([basename(job.original), code]);
      }
    }
  }

  async function generated(list: GenerateOptions[]): Promise<{ converted: number }> {
    const jobs: Job[] = [];
    for (const options of list) {
      const path = join(folder, `generated-${count++}.dcm`);
      writeFileSync(path, generateInstance({ seed: count, rows: 32, columns: 32, ...options }).part10());
      jobs.push(...(await overlay(path, !UNREAD.includes(options.charset ?? ''))));
    }
    return check(jobs);
  }

  it('every transfer syntax', async () => {
    const { converted } = await generated(
      TRANSFER_SYNTAXES.map(({ name, lossy }) => ({
        transferSyntax: name,
        charset: 'latin1',
        kind: lossy ? 'us-cine' : 'ct',
        frames: lossy ? 2 : 1,
      })),
    );
    expect(converted).toBe(TRANSFER_SYNTAXES.length);
  });

  it('every character set, in each native syntax', async () => {
    const sets = Object.keys(CHARACTER_SETS);
    expect(sets.length).toBeGreaterThan(10);
    const list = ['implicit-le', 'explicit-le', 'explicit-be', 'deflated-le'].flatMap((transferSyntax) =>
      sets.map((charset) => ({ charset, transferSyntax })),
    );
    const { converted } = await generated(list);
    expect(converted).toBeGreaterThan(sets.length * 3);
  });

  it('every kind of object that has a patient', async () => {
    const kinds = Object.keys(KINDS).filter((kind) => kind !== 'hanging-protocol' && kind !== 'color-palette');
    await generated(kinds.map((kind) => ({ kind })));
  });

  it('every file of the pydicom package', async () => {
    const { stdout } = await runPythonCode(LIST);
    const jobs: Job[] = [];
    const refused: string[] = [];
    for (const path of stdout.trim().split('\n')) {
      try {
        jobs.push(...(await overlay(path)));
      } catch {
        refused.push(basename(path));
      }
    }
    expect(refused).toEqual(['MR_truncated.dcm', 'no_meta.dcm', 'rtplan_truncated.dcm']);
    expect(jobs.length).toBeGreaterThan(150);
    await check(jobs);
  });

  withSamples('every sample file', async () => {
    const { stdout } = await runCommand('find', [samples, '-name', '*.dcm', '-not', '-path', '*/malformed/*']);
    const jobs: Job[] = [];
    for (const path of stdout.trim().split('\n').sort()) jobs.push(...(await overlay(path)));
    expect(jobs.length).toBeGreaterThan(150);
    await check(jobs);
  });
});
