import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findDebianCommand, repositoryRoot, toolsCache } from '@archipelago/platform-embedded';
import { runCommand } from '@archipelago/testing';
import { readFileSync } from 'node:fs';

export interface Target {
  aet: string;
  port: number;
}

/** Splits files over so many associations, in order. */
export function share<T>(items: readonly T[], parts: number): T[][] {
  const each = Math.ceil(items.length / parts);
  return Array.from({ length: parts }, (_, i) => items.slice(i * each, (i + 1) * each)).filter(
    (part) => part.length > 0,
  );
}

/** DCMTK's storescu, an association for each list of files. @returns seconds until the last has released */
export async function storescu(target: Target, lists: readonly string[][], tuned: boolean): Promise<number> {
  const command = findDebianCommand('storescu', 'dcmtk');
  const env = { TCP_NODELAY: tuned ? '1' : undefined };
  const started = performance.now();
  const runs = lists.map((files) =>
    runCommand(command, ['-q', '-aet', 'BENCH', '-aec', target.aet, '127.0.0.1', String(target.port), ...files], {
      env,
      timeoutMs: 600_000,
    }),
  );
  for (const run of await Promise.all(runs)) {
    if (run.code !== 0) throw new Error(`storescu to ${target.aet} failed (${run.code}): ${run.output.slice(0, 500)}`);
  }
  return (performance.now() - started) / 1000;
}

/** A dicom-rs tool of the pinned version on PATH or in the tools cache; undefined where it is not installed. */
export function findDicomRs(tool: 'dicom-storescu' | 'dicom-storescp'): string | undefined {
  const folders = [join(toolsCache(), 'dicom-rs', 'bin'), ...(process.env.PATH ?? '').split(':')];
  return folders.map((folder) => join(folder, tool)).find((path) => existsSync(path));
}

export function dicomRsVersion(): string {
  const pins = JSON.parse(readFileSync(join(repositoryRoot(), 'tools', 'versions.json'), 'utf8')) as {
    optional: { dicomRs: { crates: Record<string, string> } };
  };
  return pins.optional.dicomRs.crates['dicom-storescu'] ?? 'unknown';
}

export async function dicomRsStorescu(command: string, target: Target, files: readonly string[]): Promise<number> {
  const args = ['--calling-ae-title', 'BENCH', '--called-ae-title', target.aet, `127.0.0.1:${target.port}`, ...files];
  const started = performance.now();
  const run = await runCommand(command, args, { timeoutMs: 600_000 });
  if (run.code !== 0)
    throw new Error(`dicom-storescu to ${target.aet} failed (${run.code}): ${run.output.slice(0, 500)}`);
  return (performance.now() - started) / 1000;
}
