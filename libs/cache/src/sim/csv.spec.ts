import { formatTrace, parseTrace } from './csv';
import { zipfDrift } from './generators';

describe('parseTrace', () => {
  it('reads what it writes', () => {
    const trace = zipfDrift({ studies: 50, accesses: 300, alpha: 1, drift: 0, seed: 1 });
    const { trace: read, notes } = parseTrace(formatTrace(trace), 'zipf');
    expect(notes).toEqual([]);
    expect(Array.from(read.study, (each) => read.names[each])).toEqual(
      Array.from(trace.study, (each) => trace.names[each]),
    );
    expect(read.bytes).toEqual(trace.bytes);
    expect(read.fetchMs).toEqual(trace.fetchMs);
  });

  it('takes other orders, separators, quotes, line ends, a byte order mark, and further columns', () => {
    const text = '\ufeffStudy;TIME;fetch_ms;Bytes;who\r\n"a;""b""";2.5;3;4;x\r\n\r\n# remark\r\nc;3;;1e6;y';
    const { trace, notes } = parseTrace(Buffer.from(text), 't');
    expect(trace.names).toEqual(['a;"b"', 'c']);
    expect([...trace.time]).toEqual([2.5, 3]);
    expect([...trace.bytes]).toEqual([4, 1e6]);
    expect([...trace.fetchMs]).toEqual([3, 0]);
    expect(notes).toEqual([]);
  });

  it.each([
    ['2026-01-02T03:04:05Z', 1767323045],
    ['2026-01-02T03:04:05.5+02:00', 1767315845.5],
    ['2026-01-02 03:04:05', 1767323045],
    ['2026-01-02', 1767312000],
    ['1767323045000', 1767323045],
    ['1767323045', 1767323045],
    ['0', 0],
  ])('time %s', (text, expected) => {
    expect(parseTrace(`time,study,bytes,fetch_ms\n${text},a,1,1`, 't').trace.time[0]).toBe(expected);
  });

  it('sorts by time, and leaves out and counts what it cannot read', () => {
    const rows = ['5,a,1,1', 'x,a,1,1', '4,,1,1', '3,b,-1,1', '3,c', '1,d,2,2', '1,e,2,2'];
    const { trace, notes } = parseTrace(`time,study,bytes,fetch_ms\n${rows.join('\n')}`, 't');
    expect(Array.from(trace.study, (each) => trace.names[each])).toEqual(['d', 'e', 'a']);
    expect(notes.join('; ')).toMatch(/^4 lines could not be read and were left out, line 3 the first; .*sorted/);
  });

  it('says what is missing', () => {
    expect(() => parseTrace('', 'T.csv')).toThrow('T.csv: empty');
    expect(() => parseTrace('time,study\n1,a', 'T.csv')).toThrow('T.csv, line 1: the header lacks bytes, fetch_ms');
    expect(() => parseTrace('time,study,bytes,fetch_ms\nx', 'T.csv')).toThrow('no access could be read');
  });
});
