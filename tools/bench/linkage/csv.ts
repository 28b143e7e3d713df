/**
 * CSV as RFC 4180 has it: quoted fields with commas, quotes and line ends; a byte order mark, CR LF, blank lines and a missing
 * last line end are accepted. The separator is a comma, else what the header has more of: semicolon or tab.
 * Throws for a quote that is never closed.
 */
export function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  const start = text.charCodeAt(0) === 0xfeff ? 1 : 0;
  const separator = separatorOf(text.slice(start, text.indexOf('\n') < 0 ? undefined : text.indexOf('\n')));
  let row: string[] = [];
  let at = start;
  while (at < text.length) {
    let value: string;
    if (text[at] === '"') {
      const end = closingQuote(text, at);
      value = text.slice(at + 1, end).replaceAll('""', '"');
      at = end + 1;
      // What stands between the closing quote and the separator is kept, as most readers do.
      const rest = endOfField(text, at, separator);
      value += text.slice(at, rest);
      at = rest;
    } else {
      const end = endOfField(text, at, separator);
      value = text.slice(at, end);
      at = end;
    }
    if (at >= text.length || text[at] !== separator) {
      row.push(value.endsWith('\r') ? value.slice(0, -1) : value);
      if (row.length > 1 || row[0]!.trim() !== '') rows.push(row);
      row = [];
    } else {
      row.push(value);
      // A separator at the very end is followed by one more empty field.
      if (at + 1 >= text.length) rows.push([...row, '']);
    }
    at++;
  }
  return rows;
}

function separatorOf(header: string): string {
  const count = (separator: string): number => header.split(separator).length;
  const best = [',', ';', '\t'].sort((a, b) => count(b) - count(a))[0]!;
  return count(',') >= count(best) ? ',' : best;
}

function closingQuote(text: string, open: number): number {
  for (let at = open + 1; ; at++) {
    at = text.indexOf('"', at);
    if (at < 0) throw new Error(`a quote is never closed (offset ${open})`);
    if (text[at + 1] !== '"') return at;
    at++;
  }
}

function endOfField(text: string, from: number, separator: string): number {
  let at = from;
  while (at < text.length && text[at] !== separator && text[at] !== '\n') at++;
  return at;
}

export function formatCsv(rows: readonly (readonly string[])[]): string {
  const cell = (value: string): string => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  return rows.map((row) => `${row.map(cell).join(',')}\n`).join('');
}
