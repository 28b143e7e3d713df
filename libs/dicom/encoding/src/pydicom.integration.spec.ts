import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import {
  EXPLICIT_VR_BE,
  EXPLICIT_VR_LE,
  DEFLATED_EXPLICIT_VR_LE,
  IMPLICIT_VR_LE,
  transferSyntax,
  type DicomJson,
  type DicomJsonElement,
} from '@archipelago/dicom-core';
import { DatasetError, readHeader, transcodeNative, writePart10Meta } from './index';
import { collect, inPieces, readWhole } from './test-support/read';
import { peersPython, runPython } from './test-support/python';
import { filesBelow, readSample, samplesFolder } from './test-support/samples';

const SCRIPT = join(__dirname, 'test-support', 'pydicom-json.py');
const GOOD = ['character-sets', 'documents', 'images', 'series', 'transfer-syntaxes'];

interface Described {
  path: string;
  syntax?: string;
  json?: DicomJson;
  error?: string;
}

function describeFiles(paths: string[] | undefined): Described[] {
  const output = runPython(SCRIPT, paths ? [] : ['--package'], paths?.join('\n') ?? '');
  return output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Described);
}

function ourJson(path: string): DicomJson {
  const { meta, dataset } = readSample(path);
  const result = readWhole(dataset, meta.transferSyntaxUid);
  const view = readHeader(result.header, { leftOut: result.leftOut, pixel: result.pixel });
  return view.toDicomJson({ bulkDataUri: () => 'bulk' });
}

/**
 * What may differ, because pydicom does otherwise and both are right or ours is: the VR of values that pydicom leaves
 * as UN, bulk thresholds of nested values, how numbers are written, spaces at the end of text, empty values.
 */
function simplify(value: unknown): unknown {
  if (typeof value === 'string') {
    const text = value.replace(/\0/g, '').trim();
    return text !== '' && Number.isFinite(Number(text)) ? Number(Number(text).toPrecision(12)) : text;
  }
  if (typeof value === 'number') return Number(value.toPrecision(12));
  if (value === null || value === undefined) return '';
  const group = value as Record<string, unknown>;
  return Object.fromEntries(
    Object.keys(group)
      .sort()
      .map((key) => [key, simplify(group[key])]),
  );
}

/** Ours are in little endian and made even; pydicom's as they stand in the file. */
function sameBytes(ours: string, theirs: string): boolean {
  const [a, b] = [ours, theirs].map((text) => Buffer.from(text, 'base64'));
  return (
    b.equals(a.subarray(0, b.length)) && (a.length === b.length || (b.length % 2 === 1 && a.length === b.length + 1))
  );
}

function differences(ours: DicomJson, theirs: DicomJson, where: string, found: string[]): void {
  for (const tag of new Set([...Object.keys(ours), ...Object.keys(theirs)])) {
    if (tag.endsWith('0000')) continue;
    const place = `${where}${tag}`;
    const [a, b] = [ours[tag], theirs[tag]] as (DicomJsonElement & { failed?: string })[];
    if (!a || !b) found.push(`${place}: only ${a ? 'ours' : "pydicom's"}`);
    else if (a.vr !== b.vr && b.vr !== 'UN' && a.vr !== 'UN') found.push(`${place}: VR ${a.vr} and ${b.vr}`);
    else if ((b as { failed?: string }).failed) continue;
    else if (a.vr === 'SQ' && b.vr === 'SQ') {
      const [items, others] = [a.Value ?? [], b.Value ?? []] as DicomJson[][];
      if (items.length !== others.length) found.push(`${place}: ${items.length} and ${others.length} items`);
      else items.forEach((item, i) => differences(item, others[i], `${place}/${i}/`, found));
    } else if (a.vr === b.vr && a.BulkDataURI === undefined && b.BulkDataURI === undefined) {
      if (a.InlineBinary !== undefined || b.InlineBinary !== undefined) {
        if (!sameBytes(a.InlineBinary ?? '', b.InlineBinary ?? '')) found.push(`${place}: bytes`);
      } else {
        const [x, y] = [a.Value ?? [], b.Value ?? []].map((values) => JSON.stringify(values.map(simplify)));
        if (x !== y && x.replace(/""/g, '') !== y.replace(/""/g, '')) found.push(`${place}: ${x} and ${y}`);
      }
    }
  }
}

describe('DICOM JSON beside pydicom', () => {
  const samples = samplesFolder();

  it('the generated dictionaries are what the generator writes', () => {
    const generator = resolve(__dirname, '../../core/generator/generate.py');
    const result = spawnSync(peersPython(), ['-B', generator, '--check'], { encoding: 'utf8' });
    expect([result.status, result.stderr]).toEqual([0, '']);
  });

  it('every test file of the pydicom package', () => {
    const described = describeFiles(undefined);
    expect(described.length).toBeGreaterThan(100);
    const found: string[] = [];
    let compared = 0;
    for (const { path, json } of described) {
      const name = path.replace(/.*data\//, '');
      let ours: DicomJson;
      try {
        ours = ourJson(path);
      } catch (error) {
        expect([name, error instanceof DatasetError]).toEqual([name, true]);
        if (!REFUSED.has(name)) found.push(`${name}: refused, ${(error as Error).message}`);
        continue;
      }
      if (!json) continue;
      compared++;
      differences(ours, json, `${name} `, found);
    }
    expect(found).toEqual([]);
    expect(compared).toBeGreaterThan(100);
  });

  (samples === undefined ? it.skip : it)('every sample file', () => {
    const paths = GOOD.flatMap((folder) => filesBelow(join(samples as string, folder)).map((f) => join(folder, f)));
    const described = describeFiles(paths.map((path) => join(samples as string, path)));
    const found: string[] = [];
    described.forEach(({ path, json, error }, i) => {
      expect([paths[i], error]).toEqual([paths[i], undefined]);
      differences(ourJson(path), json as DicomJson, `${paths[i]} `, found);
    });
    expect(found).toEqual([]);
  });

  (samples === undefined ? it.skip : it)('what we transcode reads in pydicom as the original does', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'archipelago-transcode-'));
    try {
      const names = ['images/ct/ct_small_128.dcm', 'transfer-syntaxes/mr-small-64/MR_small_bigendian.dcm'];
      names.push('documents/rt/rtplan.dcm', 'documents/sr/sr_comprehensive.dcm', 'images/ecg/ecg_12lead.dcm');
      const made: { path: string; original: string }[] = [];
      for (const name of names) {
        const original = join(samples as string, name);
        const { meta, dataset } = readSample(original);
        for (const to of [IMPLICIT_VR_LE, EXPLICIT_VR_LE, EXPLICIT_VR_BE, DEFLATED_EXPLICIT_VR_LE]) {
          const bytes = await collect(transcodeNative(inPieces(dataset, 5000), meta.transferSyntaxUid, to));
          const path = join(folder, `${made.length}.dcm`);
          writeFileSync(path, Buffer.concat([writePart10Meta({ ...meta, transferSyntaxUid: to }), bytes]));
          made.push({ path, original });
        }
      }
      const described = describeFiles(made.map(({ path }) => path));
      const found: string[] = [];
      described.forEach(({ json, error, syntax }, i) => {
        expect([made[i].path, error, transferSyntax(syntax ?? '').native]).toEqual([made[i].path, undefined, true]);
        const place = `${made[i].original} as ${syntax} `;
        const different: string[] = [];
        differences(ourJson(made[i].original), json as DicomJson, place, different);
        // pydicom gives binary values in the file's byte order.
        found.push(...different.filter((text) => syntax !== EXPLICIT_VR_BE || !text.endsWith(': bytes')));
      });
      expect(found).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

/** Files of the package that are broken on purpose (truncated, no DICOM, an item longer than its sequence): refused. */
const REFUSED = new Set([
  'test_files/MR_truncated.dcm',
  'test_files/dicomdirtests/DICOMDIR-nooffset',
  'test_files/dicomdirtests/TINY_ALPHA/README',
  'test_files/no_meta.dcm',
  'test_files/rtplan_truncated.dcm',
]);
