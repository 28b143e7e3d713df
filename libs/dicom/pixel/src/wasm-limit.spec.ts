import { loadLimited } from './wasm-limit';

interface Wasm {
  Module: new (bytes: Uint8Array) => object;
  instantiate(source: unknown): Promise<unknown>;
}
const { WebAssembly } = globalThis as unknown as { WebAssembly: Wasm };

/** The empty module, and one with a memory of 1 to 16384 pages (WebAssembly core specification 5.5). */
const EMPTY = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
const WITH_MEMORY = Uint8Array.of(...EMPTY, 5, 6, 1, 1, 1, 0x80, 0x80, 1, 7, 7, 1, 3, 0x6d, 0x65, 0x6d, 2, 0);

type Instantiated = { instance: { exports: { mem: { grow(pages: number): number } } } };

it('limits the memory of modules that are loaded from bytes', async () => {
  let loaded: Instantiated | undefined;
  await loadLimited(4 * 65_536, async () => {
    loaded = (await WebAssembly.instantiate(WITH_MEMORY)) as Instantiated;
  });
  const memory = loaded!.instance.exports.mem;
  expect(memory.grow(3)).toBe(1);
  expect(() => memory.grow(1)).toThrow(RangeError);
});

it('leaves compiled modules alone: node instantiates its HTTP parser at any time', async () => {
  const compiled = new WebAssembly.Module(EMPTY);
  await loadLimited(65_536, async () => {
    await expect(WebAssembly.instantiate(compiled)).resolves.toBeDefined();
  });
});

it('is gone afterwards', async () => {
  const before = WebAssembly.instantiate;
  await loadLimited(65_536, () => Promise.resolve());
  expect(WebAssembly.instantiate).toBe(before);
});
