import { existsSync, readFileSync, writeFileSync } from 'node:fs';

/** Writes each file, or with `check` compares it. Resolves to the exit status. */
export function writeOrCheck(
  files: readonly { file: string; text: string }[],
  check: boolean,
  command: string,
): number {
  let status = 0;
  for (const { file, text } of files) {
    const current = existsSync(file) ? readFileSync(file, 'utf8') : '';
    if (current === text) continue;
    if (!check) writeFileSync(file, text);
    else {
      process.stderr.write(`${file} is not what the code says: run ${command}\n`);
      status = 1;
    }
  }
  return status;
}
