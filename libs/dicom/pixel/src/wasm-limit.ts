/** WebAssembly pages are 64 KiB. */
const PAGE = 65_536;
const MEMORY_SECTION = 5;

/**
 * The same module with less memory to grow to. A codestream of 164 bytes can claim a frame for which a decoder takes
 * 2 GiB; no limit of a worker thread covers WebAssembly memory, only the maximum that the module itself declares
 * (WebAssembly core specification 5.5.8). Beyond it the codec's allocation fails, and with it the one frame.
 * @param maxBytes raised to what the module needs to start with, if less
 * @throws RangeError when the bytes are no module with one memory of a declared maximum
 */
export function withMemoryLimit(module: Uint8Array, maxBytes: number): Uint8Array {
  let at = 8;
  const number = (): { value: number; start: number; size: number } => {
    const start = at;
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = module[at++];
      if (byte === undefined || at - start > 5) throw new RangeError('no WebAssembly module');
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return { value, start, size: at - start };
    }
  };
  while (at < module.length) {
    const section = module[at++];
    const end = number().value + at;
    if (section === MEMORY_SECTION) {
      if (number().value !== 1 || ((module[at++] ?? 0) & 1) === 0) break;
      const least = number().value;
      const most = number();
      const pages = Math.min(most.value, Math.max(least, Math.floor(maxBytes / PAGE)));
      return replaceNumber(module, most, pages);
    }
    at = end;
  }
  throw new RangeError('no WebAssembly module with one memory of a declared maximum');
}

/** In as many bytes as before: LEB128 may be padded. */
function replaceNumber(module: Uint8Array, at: { start: number; size: number }, value: number): Uint8Array {
  const out = Uint8Array.from(module);
  let rest = value;
  for (let i = 0; i < at.size; i++) {
    out[at.start + i] = (rest % 128) | (i < at.size - 1 ? 0x80 : 0);
    rest = Math.floor(rest / 128);
  }
  return out;
}

type Source = ArrayBuffer | Uint8Array;
/** The one function of the global that is used; its types are with the DOM's, which are not ours. */
interface Global {
  WebAssembly: { instantiate(source: Source, imports?: unknown): Promise<unknown> };
}

/** Compiled already. By its tag, which is the same in every realm. */
function isModule(source: unknown): boolean {
  return Object.prototype.toString.call(source) === '[object WebAssembly.Module]';
}

/** Runs `load`, in which modules are instantiated from bytes, with their memory limited. */
export async function loadLimited(maxBytes: number, load: () => Promise<void>): Promise<void> {
  const { WebAssembly } = globalThis as unknown as Global;
  const instantiate = WebAssembly.instantiate;
  // compiled modules are others' (node's own HTTP parser is one, made whenever something first touches `fetch`)
  WebAssembly.instantiate = (source, imports) =>
    instantiate(isModule(source) ? source : withMemoryLimit(new Uint8Array(source), maxBytes), imports);
  try {
    await load();
  } finally {
    WebAssembly.instantiate = instantiate;
  }
}
