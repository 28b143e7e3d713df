/** The language's shapes. Everything of a RuleSet is plain data: it may be stored and sent as JSON. */

/** What a rule is limited to. An empty list, or none, is no limit. Names are compared as they are, exactly. */
export interface Scope {
  archive?: readonly string[];
  site?: readonly string[];
  /** A device's name, or a value of Modality (0008,0060). */
  modality?: readonly string[];
  person?: readonly string[];
  workstation?: readonly string[];
  user?: readonly string[];
  step?: readonly string[];
}

export type ScopePart = keyof Scope;
/** Where the data came from. */
export const SOURCE_PARTS: readonly ScopePart[] = ['archive', 'site', 'modality', 'person'];
/** Who asks, and for what. */
export const REQUESTER_PARTS: readonly ScopePart[] = ['workstation', 'user', 'step'];
export const SCOPE_PARTS: readonly ScopePart[] = [...SOURCE_PARTS, ...REQUESTER_PARTS];

/** What is known around an object. Absent: unknown, or nobody in particular. */
export type RuleContext = { readonly [part in ScopePart | 'origin']?: string };
export const CONTEXT_FIELDS: readonly (ScopePart | 'origin')[] = [...SCOPE_PARTS, 'origin'];

/**
 * When a rule acts. receipt: once, when an object comes in. material: on stored originals, kept with the rule version.
 * trigger: where copies go. outbound: each time somebody asks.
 */
export type Phase = 'receipt' | 'material' | 'trigger' | 'outbound';
export const PHASES: readonly Phase[] = ['receipt', 'material', 'trigger', 'outbound'];

/** A value for an element: constants (empty: no value), a CEL expression, or its removal. */
export type ValueSource =
  { kind: 'constant'; values: readonly string[] } | { kind: 'expression'; cel: string } | { kind: 'remove' };

export type Destination = { archive: string } | { workstation: string };

export type Action =
  | { kind: 'coerce' | 'set'; values: Readonly<Record<string, ValueSource>> }
  | { kind: 'map'; tag: string; table: string; from: MapSource; otherwise: 'keep' | 'empty' }
  | { kind: 'route'; to: readonly Destination[] }
  | { kind: 'prefetch'; studies: number; maxAgeYears?: number; modalities: readonly string[]; same: readonly string[] }
  | { kind: 'deny'; reason: string }
  | { kind: 'hide'; tags: readonly string[] }
  | { kind: 'obscure'; tags: readonly string[]; by: ObscureMethod; level?: string }
  | { kind: 'compress'; transferSyntax: string; quality?: number };

export type ActionKind = Action['kind'];
export type ObscureMethod = 'blank' | 'initials' | 'year';
/** What is looked up in a table: an element, or a field of the context. */
export type MapSource = { tag: string } | { ctx: string };

export interface Table {
  match: 'exact' | 'prefix' | 'wildcard';
  ignoreCase: boolean;
  /** From and to, in the order of the source. */
  rows: readonly (readonly [string, string])[];
}

export interface Rule {
  id: string;
  description: string;
  enabled: boolean;
  /** Higher goes first; equal ones in the order of the source. */
  priority: number;
  scope: Scope;
  /** CEL; absent: always. */
  when?: string;
  /** The author says that it is meant for everything. */
  everything: boolean;
  phase: Phase;
  actions: readonly Action[];
}

export interface RuleSet {
  /** The author's number; rises with every change. */
  version: number;
  /** SHA-256 of the content, in hex: two sets with one digest do the same. */
  digest: string;
  tables: Readonly<Record<string, Table>>;
  rules: readonly Rule[];
}

export type ProblemCode =
  | 'syntax'
  | 'too-large'
  | 'unknown-key'
  | 'missing'
  | 'wrong-type'
  | 'duplicate'
  | 'unknown-tag'
  | 'forbidden-tag'
  | 'value'
  | 'unknown-table'
  | 'unknown-name'
  | 'expression'
  | 'scope'
  | 'matches-everything'
  | 'matches-nothing'
  | 'loop'
  | 'not-idempotent'
  | 'not-acting';

export interface Problem {
  severity: 'error' | 'warning';
  code: ProblemCode;
  message: string;
  /** In the source, from 1. */
  line: number;
  column: number;
  rule?: string;
  /** Where in the document, e.g. `rules[2].actions[0].set.PatientID`. */
  path: string;
  /** In a CEL expression: characters from its start, from 0. */
  expressionOffset?: number;
}

/** Bounds, so that no rule set costs more than it should. */
export const LIMITS = {
  sourceCharacters: 2_000_000,
  rules: 2_000,
  actionsPerRule: 32,
  tables: 500,
  /** Exact and prefix tables cost one look-up per length, wildcard tables one match per row. */
  rows: 50_000,
  wildcardRows: 500,
  scopeNames: 1_000,
  expressionCharacters: 2_000,
  expressionNodes: 200,
  expressionDepth: 24,
  /** Of one element, as a condition sees it. */
  valuesPerTag: 1_000,
  charactersPerTag: 16_384,
  /** Of like(). */
  patternCharacters: 1_000,
} as const;
