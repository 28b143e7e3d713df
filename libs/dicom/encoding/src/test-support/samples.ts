import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { readPart10Meta, type Part10MetaRead } from '../index';

/** The sample collection: where the variable says, else beside the checkout. Undefined when it is not there. */
export function samplesFolder(): string | undefined {
  const named = process.env.ARCHIPELAGO_SAMPLES;
  const folder = named ?? resolve(__dirname, '../../../../../../shared/dicom-samples');
  if (existsSync(join(folder, 'images'))) return folder;
  if (named !== undefined) throw new Error('ARCHIPELAGO_SAMPLES names no sample folder');
  return undefined;
}

/** Paths relative to `folder`, sorted; texts about the files are left out. */
export function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/\.(md|tsv|sha256|txt)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}

export interface SampleFile {
  meta: Part10MetaRead;
  dataset: Buffer;
}

export function readSample(path: string): SampleFile {
  const bytes = readFileSync(path);
  const meta = readPart10Meta(bytes, true) as Part10MetaRead;
  return { meta, dataset: bytes.subarray(meta.datasetOffset) };
}
