/** AE titles (PS3.5 table 6.2-1, VR AE; PS3.8 9.3.2): 16 bytes of ISO 646 without control characters and backslash. */
import { UsageError } from '../errors';

/** Trailing NULs are taken as padding, which some devices use in the place of spaces. */
export function decodeAeTitle(bytes: Buffer): string {
  return bytes
    .toString('latin1')
    .replace(/\0+$/, '')
    .replace(/^ +| +$/g, '');
}

/** Why a title cannot be used, or undefined. */
export function aeTitleProblem(title: string): string | undefined {
  if (title.length === 0) return 'empty';
  if (title.length > 16) return 'longer than 16 bytes';
  for (let i = 0; i < title.length; i++) {
    const code = title.charCodeAt(i);
    if (code < 0x20 || code > 0x7e || code === 0x5c) return 'forbidden character';
  }
  return undefined;
}

/** Writes the title into 16 bytes at offset. Throws UsageError for a title that no peer could take. */
export function writeAeTitle(target: Buffer, offset: number, title: string): void {
  const problem = aeTitleProblem(title);
  if (problem) throw new UsageError(`AE title: ${problem}`);
  target.fill(0x20, offset, offset + 16);
  target.write(title, offset, 'latin1');
}
