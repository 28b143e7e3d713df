import { judge, responses } from './durability';
import { parseTrace } from './trace';

const UID = '2.25.77';
const SEG = '/spool/open/0d3e2f3a.seg';

function hex(bytes: Buffer): string {
  return [...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
}

/** C-STORE-RSP as a P-DATA-TF. */
function response(status: number): string {
  const element = (number: number, value: Buffer): Buffer => {
    const head = Buffer.alloc(8);
    head.writeUInt16LE(number, 2);
    head.writeUInt32LE(value.length, 4);
    return Buffer.concat([head, value]);
  };
  const u16 = (value: number): Buffer => Buffer.from([value & 255, value >> 8]);
  const command = Buffer.concat([
    element(0x0100, u16(0x8001)),
    element(0x0900, u16(status)),
    element(0x1000, Buffer.from(`${UID}\0`)),
  ]);
  const head = Buffer.alloc(12);
  head[0] = 4;
  head.writeUInt32BE(command.length + 6, 2);
  head.writeUInt32BE(command.length + 2, 6);
  head[10] = 1;
  head[11] = 3;
  return hex(Buffer.concat([head, command]));
}

const MAKE = `10 openat(AT_FDCWD</>, "${SEG}", O_RDWR|O_CREAT|O_EXCL, 0640) = 21<${SEG}>`;
const FOLDER = '11 fsync(8</spool/open>) = 0';
const WRITE = `12 pwritev(21<${SEG}>, [{iov_base="meta ${UID} data", iov_len=17}, {iov_base="trailer", iov_len=7}], 2, 100) = 24`;
const SYNC = `13 fdatasync(21<${SEG}>) = 0`;
const ANSWER = `9 write(30<socket:[77]>, "${response(0)}", 60) = 60`;

const verdictOf = (...lines: string[]) => judge(parseTrace(lines.join('\n')));

describe('durability in a trace', () => {
  it('holds when write, fdatasync and fsync of the directory come before the response', () => {
    expect(verdictOf(MAKE, FOLDER, WRITE, SYNC, ANSWER)).toEqual({
      successes: 1,
      failures: 0,
      violations: [],
      failedSyncs: 0,
    });
  });

  it('reads calls that others interrupt', () => {
    const begun = `13 fdatasync(21<${SEG}> <unfinished ...>`;
    const back = '13 <... fdatasync resumed>) = 0';
    expect(verdictOf(MAKE, FOLDER, WRITE, begun, back, ANSWER).violations).toEqual([]);
    expect(verdictOf(MAKE, FOLDER, WRITE, begun, ANSWER, back).violations).toHaveLength(1);
    const writing = `12 pwritev(21<${SEG}>, [{iov_base="${UID}", iov_len=7}], 1, 100 <unfinished ...>`;
    const written = '12 <... pwritev resumed>) = 7';
    expect(verdictOf(MAKE, FOLDER, writing, written, SYNC, ANSWER).violations).toEqual([]);
    // the sync began before the write had come back: it need not cover it
    expect(verdictOf(MAKE, FOLDER, writing, SYNC, written, ANSWER).violations).toHaveLength(1);
  });

  it.each([
    ['no fdatasync', [MAKE, FOLDER, WRITE, ANSWER], 'no fdatasync'],
    ['fdatasync after the response', [MAKE, FOLDER, WRITE, ANSWER, SYNC], 'no fdatasync'],
    ['fdatasync before the write', [MAKE, FOLDER, SYNC, WRITE, ANSWER], 'no fdatasync'],
    ['fdatasync of another file', [MAKE, FOLDER, WRITE, SYNC.replaceAll('0d3e', '1d3e'), ANSWER], 'no fdatasync'],
    [
      'fdatasync that failed',
      [MAKE, FOLDER, WRITE, SYNC.replace('= 0', '= -1 EIO (Input/output error) (INJECTED)'), ANSWER],
      'no fdatasync',
    ],
    [
      'one that succeeds after one that failed',
      [MAKE, FOLDER, WRITE, SYNC.replace('= 0', '= -1 EIO'), SYNC, ANSWER],
      'had failed',
    ],
    ['no fsync of the directory', [MAKE, WRITE, SYNC, ANSWER], 'no fsync of the directory'],
    ['nothing written', [MAKE, FOLDER, SYNC, ANSWER], 'never written'],
  ])('fails: %s', (_, lines, why) => {
    const { violations } = verdictOf(...lines);
    expect(violations).toHaveLength(1);
    expect(violations[0]).toContain(why);
  });

  it('a failure status needs nothing', () => {
    const refused = `9 write(30<socket:[77]>, "${response(0xa701)}", 60) = 60`;
    expect(verdictOf(refused)).toMatchObject({ successes: 0, failures: 1, violations: [] });
    expect(responses(parseTrace(refused))).toMatchObject([{ sopInstanceUid: UID, status: 0xa701 }]);
  });
});
