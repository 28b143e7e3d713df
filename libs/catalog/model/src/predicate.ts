import type { QueryAttribute } from './attributes';

/** A text pattern: `like` is a SQL LIKE pattern (escape character backslash), `prefix` the literal text before it. */
export interface TextPattern {
  like: string;
  prefix: string;
  /** No wildcard in it: `prefix` is the whole value. */
  exact: boolean;
}

/** One test of one value. Several tests of a predicate are alternatives (PS3.4 C.2.2.2). */
export type ValueTest =
  | { test: 'text'; pattern: TextPattern }
  /** Each given group must match in its place; `anyGroup`: the one pattern matches whichever group. */
  | { test: 'name'; groups: (TextPattern | null)[]; anyGroup: boolean }
  /** Fuzzy: every word begins some word of the name. */
  | { test: 'words'; words: string[] }
  | { test: 'number'; value: number }
  /** Bounds inclusive, an absent one open: DA as YYYYMMDD, TM as microseconds. */
  | { test: 'range'; from?: number; to?: number }
  /** DT: bounds as 20 digits YYYYMMDDHHMMSSFFFFFF. */
  | { test: 'moment'; from?: string; to?: string }
  /** Empty value matching: the attribute is absent or empty. */
  | { test: 'empty' };

export type Predicate =
  | { kind: 'value'; attribute: QueryAttribute; tests: ValueTest[] }
  /** Some item fulfils all of the inner predicates; `empty`: there is no item. */
  | { kind: 'sequence'; attribute: QueryAttribute; inner: Predicate[]; empty: boolean }
  /** Combined date and time range (PS3.4 C.2.2.2.5.4): bounds as date * 10^11 + microseconds. */
  | { kind: 'combined'; date: QueryAttribute; time: QueryAttribute; from?: bigint; to?: bigint };
