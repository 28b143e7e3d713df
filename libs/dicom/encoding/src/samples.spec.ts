import { join } from 'node:path';
import { EXPLICIT_VR_BE, EXPLICIT_VR_LE, IMPLICIT_VR_LE, transferSyntax } from '@archipelago/dicom-core';
import { DatasetError, readHeader, transcodeNative } from './index';
import { collect, essence, inPieces, readInChunks, readWhole } from './test-support/read';
import { filesBelow, readSample, samplesFolder } from './test-support/samples';

const samples = samplesFolder();
const withSamples = samples === undefined ? describe.skip : describe;
const GOOD = ['character-sets', 'documents', 'images', 'series', 'transfer-syntaxes'];

/** What becomes of each malformed file that is not simply read without warnings: the error's code, or the warnings. */
const EXPECTED: Record<string, { error: string } | { warnings: string[] }> = {
  'MR_truncated.dcm': { error: 'truncated' },
  'emri_j2k_too_short.dcm': { error: 'truncated' },
  'rtplan_truncated.dcm': { error: 'truncated' },
  // Bytes of the file were changed by a text conversion: not even the first tag is one.
  'no_meta.dcm': { error: 'not-dicom' },
  'meta_missing_tsyntax.dcm': { warnings: ['odd-length'] },
  'nested_priv_SQ.dcm': { warnings: ['odd-length'] },
  'derived/deep_nesting.dcm': { error: 'too-deep' },
  'derived/deflate_bomb.dcm': { error: 'inflate-limit' },
  'derived/element_length_past_eof.dcm': { error: 'truncated' },
  'derived/elements_out_of_order.dcm': { warnings: ['elements-out-of-order'] },
  'derived/item_longer_than_sequence.dcm': { error: 'value-past-container' },
  'derived/not_dicom_text.dcm': { error: 'not-dicom' },
  'derived/preamble_only.dcm': { error: 'truncated' },
  'derived/says_implicit_is_explicit.dcm': { warnings: ['transfer-syntax-mismatch'] },
  'derived/sequence_without_delimiter.dcm': { error: 'missing-item' },
  'derived/trailing_garbage.dcm': { warnings: ['trailing-bytes'] },
  'derived/truncated_in_header.dcm': { error: 'truncated' },
  'derived/unknown_charset.dcm': { warnings: ['unknown-charset'] },
  'derived/unknown_vr.dcm': { warnings: ['unknown-vr'] },
  'derived/zero_bytes.dcm': { error: 'not-dicom' },
};

withSamples('the sample files (ARCHIPELAGO_SAMPLES or beside the checkout)', () => {
  const root = samples as string;

  it.each(GOOD)('%s: every file reads, alike in one piece and in chunks, and as JSON', (folder) => {
    const files = filesBelow(join(root, folder));
    expect(files.length).toBeGreaterThan(10);
    for (const file of files) {
      const { meta, dataset } = readSample(join(root, folder, file));
      const whole = readWhole(dataset, meta.transferSyntaxUid);
      // One file has bytes behind its deflate stream, some older ones a stray odd length.
      const allowed = ['trailing-bytes', 'odd-length'];
      expect([file, whole.warnings.filter((warning) => !allowed.includes(warning))]).toEqual([file, []]);
      const chunked = readInChunks(dataset, meta.transferSyntaxUid, 16_381);
      expect([file, essence(chunked) === essence(whole)]).toEqual([file, true]);
      const view = readHeader(whole.header, { leftOut: whole.leftOut, pixel: whole.pixel });
      const json = view.toDicomJson({ bulkDataUri: () => 'x' });
      expect(Object.keys(json)).toHaveLength(new Set(view.tags()).size);
    }
  });

  it('every native file can be transcoded to every native syntax and back, its header unchanged', async () => {
    let transcoded = 0;
    for (const folder of ['character-sets', 'documents', 'images', 'transfer-syntaxes']) {
      for (const file of filesBelow(join(root, folder))) {
        const { meta, dataset } = readSample(join(root, folder, file));
        const from = meta.transferSyntaxUid;
        if (!transferSyntax(from).native) continue;
        const expected = readWhole(dataset, from);
        for (const to of [IMPLICIT_VR_LE, EXPLICIT_VR_LE, EXPLICIT_VR_BE]) {
          const bytes = await collect(transcodeNative(inPieces(dataset, 60_000), from, to));
          const result = readWhole(bytes, to);
          expect([file, to, result.headerDigest.equals(expected.headerDigest)]).toEqual([file, to, true]);
          const pixels = expected.pixel?.length;
          const even = pixels === undefined ? undefined : pixels + (pixels % 2);
          expect([file, to, result.pixel?.length]).toEqual([file, to, even]);
          transcoded++;
        }
      }
    }
    expect(transcoded).toBeGreaterThan(200);
  });

  it('one MR image has one header digest in explicit, implicit and big endian', () => {
    const digests = ['MR_small', 'MR_small_implicit', 'MR_small_bigendian', 'MR_small_padded'].map((name) => {
      const { meta, dataset } = readSample(join(root, 'transfer-syntaxes/mr-small-64', `${name}.dcm`));
      return readWhole(dataset, meta.transferSyntaxUid).headerDigest.toString('hex');
    });
    expect(new Set(digests).size).toBe(1);
  });

  it('every malformed file gives a result or a DatasetError within a second of processor time', () => {
    const files = filesBelow(join(root, 'malformed'));
    expect(files.length).toBeGreaterThan(50);
    for (const file of files) {
      const started = process.cpuUsage();
      let outcome: unknown;
      try {
        const { meta, dataset } = readSample(join(root, 'malformed', file));
        const result = readInChunks(dataset, meta.transferSyntaxUid, 8192);
        readHeader(result.header).toDicomJson();
        outcome = { warnings: result.warnings };
      } catch (error) {
        expect([file, error instanceof DatasetError]).toEqual([file, true]);
        outcome = { error: (error as DatasetError).code };
      }
      const { user, system } = process.cpuUsage(started);
      expect((user + system) / 1000).toBeLessThan(1000);
      expect([file, outcome]).toEqual([file, EXPECTED[file] ?? { warnings: [] }]);
    }
  });
});

if (samples === undefined) {
  it('says that the sample folder is not there', () => {
    process.stderr.write('dicom-encoding: no sample folder (ARCHIPELAGO_SAMPLES), its tests are skipped\n');
    expect(samples).toBeUndefined();
  });
}
