/** A Markdown table; cells must not hold a vertical bar. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

export function list(items: readonly string[]): string {
  return items.map((item) => `- ${item}`).join('\n');
}

export function names(rows: readonly { uid: string; name: string; retired: boolean }[]): string {
  const shown = (name: string, retired: boolean): string =>
    retired ? `${name.replace(/ \(Retired\)$/, '')} (retired)` : name;
  return table(
    ['Name', 'UID'],
    rows.map((row) => [shown(row.name, row.retired), row.uid]),
  );
}
