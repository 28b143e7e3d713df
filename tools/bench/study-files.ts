import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateStudy, writeInstance } from '@archipelago/testing';

export interface StudyFiles {
  folder: string;
  files: string[];
  /** Sum of the file sizes. */
  bytes: number;
  patientId: string;
  studyInstanceUid: string;
  sopClassUid: string;
  remove(): void;
}

export interface StudyFileOptions {
  name: string;
  seed: string;
  count: number;
  rows?: number;
  columns?: number;
  frames?: number;
  kind?: string;
  /** Large files: on disk instead of in memory. */
  folder?: string;
}

/** Memory if the system has a folder for it: what is measured is the receiver, not the disk that the sender reads. */
function sourceFolder(): string {
  return existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
}

/** Where the files of the study with this name are. */
export function studyFolder(name: string, within = sourceFolder()): string {
  return join(within, `archipelago-bench-${process.pid}-${name}`);
}

/** A study of the project's generator as files; another seed gives other UIDs and another patient. */
export function writeStudy(options: StudyFileOptions): StudyFiles {
  const folder = studyFolder(options.name, options.folder);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const { count, seed, rows, columns, frames, kind } = options;
  const files: string[] = [];
  let bytes = 0;
  let first: { patientId: string; studyInstanceUid: string; sopClassUid: string } | undefined;
  for (const instance of generateStudy({ kind: kind ?? 'ct', count, seed, rows, columns, frames })) {
    const path = join(folder, `${String(files.length).padStart(5, '0')}.dcm`);
    bytes += writeInstance(path, instance);
    files.push(path);
    first ??= instance;
  }
  if (!first) throw new Error('a study has at least one instance');
  const { patientId, studyInstanceUid, sopClassUid } = first;
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  return { folder, files, bytes, patientId, studyInstanceUid, sopClassUid, remove };
}
