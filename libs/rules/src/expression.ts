import { foldText, lookupKeyword, matchWildcard } from '@archipelago/dicom-core';
import type { ASTNode, Environment, ParseResult } from '@marcbachmann/cel-js' with { 'resolution-mode': 'import' };
import { CONTEXT_FIELDS, LIMITS } from './model';
import { tagSchema } from './tag-types';

/** The library is an ES module alone; Node loads it by require() from 20.19 on. */
// eslint-disable-next-line @typescript-eslint/no-require-imports
const library = require('@marcbachmann/cel-js') as { Environment: typeof Environment };

/** What an expression may call: nothing that takes patterns with backtracking, nor what makes long texts or lists. */
const FUNCTIONS = new Set(
  (
    'has size startsWith endsWith contains lowerAscii upperAscii trim indexOf lastIndexOf substring int double string ' +
    'all exists exists_one map filter like fold'
  ).split(' '),
);
/** Take time by the length of both texts. */
const SEARCHES = new Set(['contains', 'indexOf', 'lastIndexOf', 'like', 'fold']);
const MACROS = new Set(['all', 'exists', 'exists_one', 'map', 'filter']);

export interface ExpressionProblem {
  message: string;
  offset: number;
  /** Set when an element is the reason. */
  code: 'expression' | 'unknown-tag';
}

export interface Expression {
  source: string;
  /** Elements and context fields that it looks at. */
  keywords: readonly string[];
  context: readonly string[];
  /** CEL type of the result. */
  type: string;
  /** Looks at nothing: always the same. */
  constant: boolean;
  run(input: { tags: object; ctx: object }): unknown;
}

let environment: Environment | undefined;

/** The one environment: `tags`, `ctx`, and the functions like(text, pattern) and fold(text). */
function celEnvironment(): Environment {
  if (environment) return environment;
  const made = new library.Environment({
    limits: {
      maxAstNodes: LIMITS.expressionNodes,
      maxDepth: LIMITS.expressionDepth,
      maxListElements: 100,
      maxMapEntries: 0,
      maxCallArguments: 4,
    },
  });
  made.registerVariable('tags', { schema: tagSchema() });
  made.registerVariable('ctx', { schema: Object.fromEntries(CONTEXT_FIELDS.map((field) => [field, 'string'])) });
  made.registerFunction('like(string, string): bool', (text: string, pattern: string) => {
    if (pattern.length > LIMITS.patternCharacters) throw new RangeError('pattern too long');
    return matchWildcard(pattern, text);
  });
  made.registerFunction('fold(string): string', (text: string) => foldText(text));
  environment = made;
  return made;
}

/** Parses and type-checks; every problem that can be told apart is in `problems`. */
export function compileExpression(source: string): { expression?: Expression; problems: ExpressionProblem[] } {
  if (source.length > LIMITS.expressionCharacters) {
    const message = `longer than ${LIMITS.expressionCharacters} characters`;
    return { problems: [{ code: 'expression', message, offset: LIMITS.expressionCharacters }] };
  }
  let parsed: ParseResult;
  try {
    parsed = celEnvironment().parse(source);
  } catch (error) {
    return { problems: [problemOf(error, source)] };
  }
  const walker = new Walker();
  walker.walk(parsed.ast, 0, new Set());
  if (walker.problems.length > 0) return { problems: walker.problems };
  const checked = parsed.check();
  if (!checked.valid) return { problems: [problemOf(checked.error, source)] };
  return {
    problems: [],
    expression: {
      source,
      keywords: [...walker.keywords],
      context: [...walker.context],
      type: checked.type ?? 'dyn',
      constant: walker.keywords.size === 0 && walker.context.size === 0,
      run: (input) => parsed(input) as unknown,
    },
  };
}

/** Where the library's errors say that they happened. */
export function celError(error: unknown): { message: string; offset: number; code: string } {
  const { summary, message, range, code } = error as {
    summary?: string;
    message?: string;
    range?: { start: number };
    code?: string;
  };
  return { message: summary ?? message ?? 'error', offset: range?.start ?? 0, code: code ?? 'unknown' };
}

function problemOf(error: unknown, source: string): ExpressionProblem {
  const { message, offset } = celError(error);
  return { code: 'expression', message, offset: Math.min(offset, source.length) };
}

/** Collects what an expression looks at, and what it may not do. */
class Walker {
  readonly keywords = new Set<string>();
  readonly context = new Set<string>();
  readonly problems: ExpressionProblem[] = [];

  /** `loops`: open comprehensions; `bound`: their variables. */
  walk(node: ASTNode, loops: number, bound: ReadonlySet<string>): void {
    switch (node.op) {
      case 'value':
        return;
      case 'id':
        if (bound.has(node.args)) return;
        if (node.args === 'tags' || node.args === 'ctx') {
          this.refuse(node.start, `${node.args} is used with one of its fields only`);
        }
        return;
      case '.':
        return this.member(node.args[0], node.args[1], node.end - node.args[1].length, loops, bound);
      case '[]': {
        const [object, key] = node.args;
        if (isRoot(object, bound)) {
          if (key.op !== 'value' || typeof key.args !== 'string') {
            return this.refuse(key.start, `${String(object.args)}[...] takes a constant text only`);
          }
          return this.member(object, key.args, key.start, loops, bound);
        }
        this.walk(object, loops, bound);
        return this.walk(key, loops, bound);
      }
      case 'call':
        return this.call(node.args[0], undefined, node.args[1], node.start, loops, bound);
      case 'rcall': {
        const [name, receiver, args] = node.args;
        this.walk(receiver, loops, bound);
        return this.call(name, receiver, args, node.start, loops, bound);
      }
      case 'map':
        return this.refuse(node.start, 'map literals are not supported');
      default:
        for (const child of children(node.args)) this.walk(child, loops, bound);
    }
  }

  private call(
    name: string,
    receiver: ASTNode | undefined,
    args: readonly ASTNode[],
    at: number,
    loops: number,
    bound: ReadonlySet<string>,
  ): void {
    if (!FUNCTIONS.has(name)) {
      const hint = name === 'matches' ? '; use like(text, pattern) with * and ?' : '';
      return this.refuse(at, `no function ${name}${hint}`);
    }
    const [first] = args;
    // So the texts of a list are gone through once per loop, and no text once per value of a list.
    if (loops > 0 && SEARCHES.has(name) && mentionsRoot(receiver ?? first, bound)) {
      return this.refuse(at, `inside a loop, ${name} is for the values of the list only`);
    }
    if (name === 'has' && first?.op === '.' && isRoot(first.args[0], bound) && first.args[0].args === 'ctx') {
      return this.refuse(at, 'fields of ctx are always there: what is not known is ""');
    }
    if (!MACROS.has(name)) {
      for (const argument of args) this.walk(argument, loops, bound);
      return;
    }
    if (loops > 0) this.refuse(at, 'a loop inside a loop');
    const [variable, ...bodies] = args;
    const inner = new Set(bound);
    if (variable?.op === 'id') {
      if (variable.args === 'tags' || variable.args === 'ctx') this.refuse(variable.start, `${variable.args} is taken`);
      inner.add(variable.args);
    }
    for (const body of bodies) this.walk(body, loops + 1, inner);
  }

  private member(object: ASTNode, field: string, at: number, loops: number, bound: ReadonlySet<string>): void {
    if (!isRoot(object, bound)) return this.walk(object, loops, bound);
    if (object.args === 'ctx') {
      if (!(CONTEXT_FIELDS as readonly string[]).includes(field)) {
        return this.refuse(at, `no field ${field} in ctx; one of ${CONTEXT_FIELDS.join(', ')}`);
      }
      this.context.add(field);
      return;
    }
    const entry = lookupKeyword(field);
    if (!entry) this.problems.push({ code: 'unknown-tag', message: `no attribute ${field}`, offset: at });
    else if (!(field in schema())) this.refuse(at, `${field} is ${entry.vr}: conditions cannot look at it`);
    else this.keywords.add(field);
  }

  private refuse(offset: number, message: string): void {
    this.problems.push({ code: 'expression', message, offset });
  }
}

let known: Record<string, string> | undefined;

function schema(): Record<string, string> {
  return (known ??= tagSchema());
}

function isRoot(node: ASTNode, bound: ReadonlySet<string>): node is ASTNode & { args: string } {
  return node.op === 'id' && (node.args === 'tags' || node.args === 'ctx') && !bound.has(node.args);
}

function mentionsRoot(node: ASTNode | undefined, bound: ReadonlySet<string>): boolean {
  return node !== undefined && (isRoot(node, bound) || children(node.args).some((child) => mentionsRoot(child, bound)));
}

function children(args: unknown): ASTNode[] {
  if (Array.isArray(args)) return args.flatMap(children);
  return args !== null && typeof args === 'object' && 'op' in args ? [args as ASTNode] : [];
}
