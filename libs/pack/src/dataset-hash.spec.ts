import { datasetDigest, datasetHash, portableDatasetHash } from './dataset-hash';

/** From the test vectors of BLAKE3: input of n bytes 0, 1, …, 250, 0, …; the first 32 bytes of the output. */
const VECTORS: readonly [number, string][] = [
  [0, 'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262'],
  [1, '2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213'],
  [1024, '42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7'],
];

const input = (length: number): Buffer => Buffer.from(Array.from({ length }, (_, i) => i % 251));

describe('the wire digest', () => {
  it.each(VECTORS)('of %i bytes is BLAKE3', (length, expected) => {
    expect(datasetDigest(input(length))).toBe(expected);
  });

  it('is the same in pieces, of shared memory, and without the native library', () => {
    const bytes = input(200_000);
    const shared = Buffer.from(new SharedArrayBuffer(bytes.length));
    bytes.copy(shared);
    const hashes = [datasetHash(), portableDatasetHash()];
    for (const hash of hashes)
      for (let at = 0; at < bytes.length; at += 65_537) hash.update(shared.subarray(at, at + 65_537));
    const expected = datasetDigest(bytes);
    expect(hashes.map((hash) => hash.digest().toString('hex'))).toEqual([expected, expected]);
  });
});
