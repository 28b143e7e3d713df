/** Inputs that once showed a fault: replayed by every run of the campaign and by a unit test. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '@archipelago/testing';

export interface CorpusEntry {
  /** Folder: a target of fuzz-targets.ts, or `session` (bytes for the DICOM port, in one write). */
  target: string;
  name: string;
  bytes: Buffer;
}

export function readCorpus(): CorpusEntry[] {
  const root = join(repositoryRoot(), 'tools', 'campaign', 'corpus');
  return readdirSync(root, { withFileTypes: true })
    .filter((each) => each.isDirectory() && existsSync(join(root, each.name)))
    .flatMap(({ name: target }) =>
      readdirSync(join(root, target))
        .sort()
        .map((name) => ({ target, name, bytes: readFileSync(join(root, target, name)) })),
    );
}
