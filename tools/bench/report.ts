import { load, type Machine } from './machine';

/** One figure that the project has promised, and whether this run kept it. */
export interface Verdict {
  figure: string;
  measured: string;
  required: string;
  holds: boolean;
}

export interface Table {
  title: string;
  columns: string[];
  rows: string[][];
}

export interface BenchResult {
  tables: Table[];
  verdicts: Verdict[];
  notes: string[];
  /** Every single measurement, for machines. */
  raw: unknown;
}

export interface BenchContext {
  rounds: number;
  instances: number;
  /** Folder for what is stored; on the disk that is to be measured. */
  folder: string;
  note(line: string): void;
  /** Further options of one benchmark, by name. */
  option(name: string): string | undefined;
}

export interface Benchmark {
  name: string;
  summary: string;
  run(context: BenchContext): Promise<BenchResult>;
}

export const seconds = (value: number): string => (Number.isFinite(value) ? `${value.toFixed(3)} s` : '-');
export const millis = (value: number, digits = 2): string =>
  Number.isFinite(value) ? `${value.toFixed(digits)} ms` : '-';
export const times = (value: number): string => (Number.isFinite(value) ? `${value.toFixed(2)}x` : '-');

export function atLeast(
  figure: string,
  value: number,
  limit: number,
  show: (value: number) => string = times,
): Verdict {
  return { figure, measured: show(value), required: `at least ${show(limit)}`, holds: value >= limit };
}

export function atMost(figure: string, value: number, limit: number, show: (value: number) => string): Verdict {
  return { figure, measured: show(value), required: `at most ${show(limit)}`, holds: value <= limit };
}

function renderTable({ title, columns, rows }: Table): string {
  const widths = columns.map((column, i) => Math.max(column.length, ...rows.map((row) => (row[i] ?? '').length)));
  const line = (cells: string[]): string => `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`;
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
  return [`### ${title}`, '', line(columns), rule, ...rows.map((row) => line(row))].join('\n');
}

/** Markdown, so that it can be pasted where figures are kept. */
export function render(name: string, machine: Machine, result: BenchResult): string {
  const { cpu, cores, memoryGiB, kernel, node, fileSystem } = machine;
  const verdicts: Table = {
    title: 'Promised figures',
    columns: ['figure', 'measured', 'required', 'holds'],
    rows: result.verdicts.map((each) => [each.figure, each.measured, each.required, each.holds ? 'yes' : 'NO']),
  };
  return [
    `## bench ${name}, ${new Date().toISOString().slice(0, 16)}Z`,
    `${cores} x ${cpu}, ${memoryGiB} GiB, Linux ${kernel}, Node ${node}, ${fileSystem}; load at the end ${load().toFixed(1)}`,
    ...result.tables.map(renderTable),
    ...(verdicts.rows.length > 0 ? [renderTable(verdicts)] : []),
    ...result.notes.map((note) => `- ${note}`),
  ].join('\n\n');
}
