import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Node,
  type Scalar,
  type YAMLMap,
} from 'yaml';
import type { Problem, ProblemCode } from './model';

/** Where something stands, for problems. */
export interface Place {
  node: Node | undefined;
  path: string;
}

/** Characters of an escape in double quotes; two for all others. */
const ESCAPES: Record<string, number> = { x: 4, u: 6, U: 10 };

/** A YAML (or JSON) text, read node by node, so that every problem has its place; collects the problems. */
export class Source {
  readonly problems: Problem[] = [];
  /** The rule that is being read. */
  rule: string | undefined;
  readonly root: Node | null;
  private readonly lines = new LineCounter();

  constructor(private readonly input: string) {
    const document = parseDocument(input, {
      lineCounter: this.lines,
      schema: 'core',
      uniqueKeys: true,
      logLevel: 'silent',
    });
    for (const error of [...document.errors, ...document.warnings]) {
      this.add('syntax', error.message.split('\n')[0].replace(/ at line \d+, column \d+:?$/, ''), error.pos[0], '');
    }
    this.root = document.contents as Node | null;
  }

  get hasErrors(): boolean {
    return this.problems.some(({ severity }) => severity === 'error');
  }

  error(code: ProblemCode, message: string, place: Place): void {
    this.add(code, message, place.node?.range?.[0] ?? 0, place.path);
  }

  warn(code: ProblemCode, message: string, place: Place): void {
    this.add(code, message, place.node?.range?.[0] ?? 0, place.path, 'warning');
  }

  /** A problem at a character of a text that stands in the source, e.g. inside an expression. */
  errorInside(code: ProblemCode, message: string, place: Place, offset: number): void {
    const at = isScalar(place.node) ? this.offsetInside(place.node, offset) : (place.node?.range?.[0] ?? 0);
    this.add(code, message, at, place.path);
    this.problems[this.problems.length - 1].expressionOffset = offset;
  }

  /** The pairs of a map with known keys. Null (and a problem) when it is none. */
  fields(place: Place, known: readonly string[], what: string): Map<string, Place> | null {
    const map = this.pairs(place, what);
    if (!map) return null;
    for (const [key, value] of map) {
      if (known.includes(key.name)) continue;
      this.error('unknown-key', `${what} has no ${key.name}; known: ${known.join(', ')}`, {
        node: key.node,
        path: value.path,
      });
    }
    return new Map([...map].map(([key, value]) => [key.name, value]));
  }

  /** The pairs of a map with any keys. */
  pairs(place: Place, what: string): Map<{ name: string; node: Node }, Place> | null {
    const node = this.plain(place);
    if (!node) return null;
    if (!isMap(node)) return this.wrongType(place, `${what} is a map`);
    const result = new Map<{ name: string; node: Node }, Place>();
    for (const pair of (node as YAMLMap<Node, Node | null>).items) {
      const key = pair.key;
      if (!isScalar(key) || typeof key.value === 'object') {
        this.error('wrong-type', 'a key is a plain text', { node: key, path: place.path });
        continue;
      }
      // The text as written: 001 and true are names here.
      const name = key.type === 'PLAIN' && key.source !== undefined ? key.source : String(key.value);
      const path = place.path === '' ? name : `${place.path}.${name}`;
      result.set({ name, node: key }, { node: pair.value ?? key, path });
    }
    return result;
  }

  list(place: Place, what: string): Place[] | null {
    const node = this.plain(place);
    if (!node) return null;
    if (!isSeq(node)) return this.wrongType(place, `${what} is a list`);
    return (node.items as Node[]).map((item, i) => ({ node: item, path: `${place.path}[${i}]` }));
  }

  /** A text, or a number as it was written; null (and a problem) for anything else. */
  text(place: Place, what: string): string | null {
    const node = this.plain(place);
    if (!node) return null;
    if (!isScalar(node) || node.value === null) return this.wrongType(place, `${what} is a text`);
    if (typeof node.value === 'string') return node.value;
    return (node as Scalar).source ?? String(node.value);
  }

  /** One text, or a list of them. */
  texts(place: Place, what: string): { text: string; place: Place }[] | null {
    if (!isSeq(place.node)) {
      const one = this.text(place, what);
      return one === null ? null : [{ text: one, place }];
    }
    const result: { text: string; place: Place }[] = [];
    for (const item of this.list(place, what) ?? []) {
      const text = this.text(item, what);
      if (text !== null) result.push({ text, place: item });
    }
    return result;
  }

  integer(place: Place, what: string, least: number, most: number): number | null {
    const node = this.plain(place);
    if (!node) return null;
    const value = isScalar(node) ? node.value : undefined;
    if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
    return this.wrongType(place, `${what} is an integer from ${least} to ${most}`);
  }

  flag(place: Place, what: string): boolean | null {
    const node = this.plain(place);
    if (!node) return null;
    if (isScalar(node) && typeof node.value === 'boolean') return node.value;
    return this.wrongType(place, `${what} is true or false`);
  }

  isNull(place: Place): boolean {
    return isScalar(place.node) && place.node.value === null;
  }

  /** Aliases and anchors are refused: they make a small text large. */
  private plain(place: Place): Node | null {
    const { node } = place;
    if (!node) return null;
    if (isAlias(node) || (node as { anchor?: string }).anchor !== undefined) {
      this.error('syntax', 'anchors and aliases are not supported', place);
      return null;
    }
    return node;
  }

  private wrongType(place: Place, message: string): null {
    this.error('wrong-type', message, place);
    return null;
  }

  private add(
    code: ProblemCode,
    message: string,
    offset: number,
    path: string,
    severity: Problem['severity'] = 'error',
  ) {
    const { line, col } = this.lines.linePos(offset);
    const rule = this.rule === undefined ? {} : { rule: this.rule };
    this.problems.push({ severity, code, message, line: Math.max(1, line), column: Math.max(1, col), ...rule, path });
  }

  /**
   * Offset in the source of a character of a scalar's value. Quotes, escapes, indentation and folding stand between: the
   * value's characters are looked for one after the other.
   */
  private offsetInside(node: Scalar, offset: number): number {
    const [start, end] = node.range ?? [0, 0];
    const value = String(node.value);
    let at = start;
    if (node.type === 'BLOCK_LITERAL' || node.type === 'BLOCK_FOLDED') at = this.input.indexOf('\n', start) + 1;
    else if (node.type === 'QUOTE_DOUBLE' || node.type === 'QUOTE_SINGLE') at++;
    const escapes = node.type === 'QUOTE_DOUBLE';
    for (let i = 0; i <= offset && i < value.length; i++) {
      const blank = /\s/.test(value[i]);
      const escaped = escapes && this.input[at] === '\\' && this.input[at + 1] !== '\n';
      if (!escaped) {
        while (at < end && (blank ? !/\s/.test(this.input[at]) : this.input[at] !== value[i])) at++;
      }
      if (i === offset) return at;
      at += escaped ? (ESCAPES[this.input[at + 1]] ?? 2) : 1;
    }
    return Math.min(at, end);
  }
}
