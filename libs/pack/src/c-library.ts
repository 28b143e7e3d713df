/** Functions of the C library, called through koffi: what Node has no call for. */

export const C_LIBRARIES: Readonly<Partial<Record<NodeJS.Platform, readonly string[]>>> = {
  linux: ['libc.so.6', 'libc.so', 'libc.musl-x86_64.so.1', 'libc.musl-aarch64.so.1'],
  darwin: ['libSystem.B.dylib'],
};

/** @throws when koffi, the library or the function is not there */
export function cFunction(library: string, signature: string): unknown {
  // Loaded here, so that those who only read packs do not need it.
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const koffi = require('koffi') as { load(name: string): { func(signature: string): unknown } };
  return koffi.load(library).func(signature);
}

/** Name of the library that has pwritev(2), or null. */
export function libraryWith(name: 'pwritev'): string | null {
  for (const library of C_LIBRARIES[process.platform] ?? []) {
    try {
      cFunction(library, `int64_t ${name}(int fd, const void *vector, int count, int64_t offset)`);
      return library;
    } catch {
      // the next name
    }
  }
  return null;
}
