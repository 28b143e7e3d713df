/**
 * Reads what `strace -f -y -x` wrote: one line for a call that nothing interrupted, else `<unfinished ...>` at its entry
 * and `<... resumed>` at its exit. The order of the lines is the order in which the kernel let the calls go on: strace
 * holds each thread at entry and exit until it has written its line.
 */
export interface Call {
  name: string;
  /** Path or `socket:[n]` behind the first descriptor; for openat the path opened. */
  target: string;
  /** Bytes written, as far as strace kept them. */
  data: Buffer;
  /** Line numbers. */
  entered: number;
  /** Infinity: it never came back. */
  left: number;
  /** Undefined: it never came back. */
  result: number | undefined;
  injected: boolean;
}

const COMPLETE = /^(\d+)\s+(?:[\d:.]+\s+)?(\w+)\((.*)\)\s+=\s+(-?\d+)(.*)$/s;
const UNFINISHED = /^(\d+)\s+(?:[\d:.]+\s+)?(\w+)\((.*)<unfinished \.\.\.>$/s;
const RESUMED = /^(\d+)\s+(?:[\d:.]+\s+)?<\.\.\. (\w+) resumed>(.*)\)\s+=\s+(-?\d+)(.*)$/s;

export function parseTrace(text: string): Call[] {
  const calls: Call[] = [];
  const open = new Map<string, Call>();
  text.split('\n').forEach((line, number) => {
    const complete = COMPLETE.exec(line);
    if (complete) {
      const [, , name, args, result, rest] = complete as unknown as string[];
      calls.push({ ...begun(name!, args!, number), ...ended(number, result!, rest!) });
      return;
    }
    const unfinished = UNFINISHED.exec(line);
    if (unfinished) {
      const [, thread, name, args] = unfinished as unknown as string[];
      const call = begun(name!, args!, number);
      calls.push(call);
      open.set(thread!, call);
      return;
    }
    const resumed = RESUMED.exec(line);
    if (resumed) {
      const [, thread, name, args, result, rest] = resumed as unknown as string[];
      const call = open.get(thread!);
      if (call?.name !== name) return;
      open.delete(thread!);
      if (call!.data.length === 0) call!.data = strings(args!);
      Object.assign(call!, ended(number, result!, rest!));
    }
  });
  return calls;
}

function begun(name: string, args: string, line: number): Call {
  const target = name === 'openat' ? /"((?:[^"\\]|\\.)*)"/.exec(args)?.[1] : /^\d+<([^>]*)>/.exec(args)?.[1];
  const data = name === 'openat' ? Buffer.from(args) : strings(args);
  return { name, target: target ?? '', data, entered: line, left: Infinity, result: undefined, injected: false };
}

function ended(line: number, result: string, rest: string): Pick<Call, 'left' | 'result' | 'injected'> {
  return { left: line, result: Number(result), injected: rest.includes('(INJECTED)') };
}

/** All quoted strings of the arguments, one after the other. */
function strings(args: string): Buffer {
  return Buffer.concat([...args.matchAll(/"((?:[^"\\]|\\.)*)"/gs)].map((match) => unescape(match[1] as string)));
}

const LETTERS: Record<string, number> = { n: 10, t: 9, r: 13, v: 11, f: 12, '"': 34, '\\': 92 };

function unescape(text: string): Buffer {
  const bytes: number[] = [];
  for (const [, hex, octal, letter, plain] of text.matchAll(/\\x([0-9a-f]{2})|\\([0-7]{1,3})|\\(.)|([^\\])/gs)) {
    if (hex !== undefined) bytes.push(parseInt(hex, 16));
    else if (octal !== undefined) bytes.push(parseInt(octal, 8));
    else if (letter !== undefined) bytes.push(LETTERS[letter] ?? letter.charCodeAt(0));
    else bytes.push((plain as string).charCodeAt(0));
  }
  return Buffer.from(bytes);
}
