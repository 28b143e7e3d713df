import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { repositoryRoot } from '@archipelago/testing';
import { pythonPeer, type Pair, type SampleFile, type Values } from './python-peer';

/** Folder of the shared samples: ARCHIPELAGO_SAMPLES, else `../shared/dicom-samples` beside the checkout. */
export function samplesFolder(): string | undefined {
  const named = process.env['ARCHIPELAGO_SAMPLES'];
  if (named !== undefined && named !== '') {
    if (!existsSync(named)) throw new Error(`ARCHIPELAGO_SAMPLES names no folder: ${named}`);
    return named;
  }
  const beside = join(repositoryRoot(), '..', 'shared', 'dicom-samples');
  return existsSync(beside) ? beside : undefined;
}

/** One line for the log of the run: what the suite runs over. */
export function samplesNotice(): string {
  const folder = samplesFolder();
  return folder
    ? 'samples: the shared folder and the files of the pydicom package'
    : 'samples: NO shared sample folder (set ARCHIPELAGO_SAMPLES): only the files of the pydicom package are tested';
}

/** Files of the pydicom package that are broken on purpose; they are tested with the malformed ones. */
const BROKEN_IN_PYDICOM = new Set(['rtplan_truncated.dcm', 'MR_truncated.dcm', 'bad_sequence.dcm', 'UN_sequence.dcm']);

/** Every C-STORE object, `malformed/` apart, each content once. */
export async function sampleObjects(): Promise<SampleFile[]> {
  const folder = samplesFolder();
  const { files } = await pythonPeer.inventory([...(folder ? [folder] : []), 'pydicom'], ['malformed']);
  const contents = new Map<string, SampleFile>();
  for (const file of files) {
    if (BROKEN_IN_PYDICOM.has(basename(file.path))) continue;
    const key = `${file.sopInstance} ${file.syntax} ${file.sha256}`;
    if (!contents.has(key)) contents.set(key, file);
  }
  return [...contents.values()];
}

/** Layers in which no SOP Instance UID occurs twice: files that share one go to separate runs. */
export function layersOf(files: SampleFile[]): SampleFile[][] {
  const layers: SampleFile[][] = [];
  const seen = new Map<string, number>();
  for (const file of files) {
    const layer = seen.get(file.sopInstance) ?? 0;
    seen.set(file.sopInstance, layer + 1);
    (layers[layer] ??= []).push(file);
  }
  return layers;
}

export function pairsOf(files: readonly SampleFile[]): Pair[] {
  const pairs = new Map(
    files.map((file) => [`${file.sopClass} ${file.syntax}`, [file.sopClass, file.syntax] as const]),
  );
  return [...pairs.values()];
}

export function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group) group.push(item);
    else groups.set(key(item), [item]);
  }
  return groups;
}

/** storescu's option that proposes the syntax; absent: storescu cannot send it. */
export const STORESCU_SYNTAX: Readonly<Record<string, string>> = {
  '1.2.840.10008.1.2': '-xi',
  '1.2.840.10008.1.2.1': '-xe',
  '1.2.840.10008.1.2.2': '-xb',
  '1.2.840.10008.1.2.1.99': '-xd',
  '1.2.840.10008.1.2.4.50': '-xy',
  '1.2.840.10008.1.2.4.51': '-xx',
  '1.2.840.10008.1.2.4.70': '-xs',
  '1.2.840.10008.1.2.4.80': '-xt',
  '1.2.840.10008.1.2.4.81': '-xu',
  '1.2.840.10008.1.2.4.90': '-xv',
  '1.2.840.10008.1.2.4.91': '-xw',
  '1.2.840.10008.1.2.4.102': '-xn',
  '1.2.840.10008.1.2.5': '-xr',
};

/** SOP classes without a patient, with the FIND class of their own query/retrieve models (PS3.4 U, X). */
export const PATIENTLESS_FIND: Readonly<Record<string, string>> = {
  '1.2.840.10008.5.1.4.38.1': '1.2.840.10008.5.1.4.38.2',
  '1.2.840.10008.5.1.4.39.1': '1.2.840.10008.5.1.4.39.2',
};

/** All values that the files say for one keyword at one level. */
export function saidBy(files: readonly SampleFile[], level: keyof SampleFile['levels'], keyword: string): unknown[] {
  const said = files.filter((file) => keyword in file.levels[level]).map((file) => file.levels[level][keyword]);
  return [...new Map(said.map((value) => [JSON.stringify(value ?? null), value ?? null])).values()];
}

export function universal(keywords: readonly string[]): Values {
  return Object.fromEntries(keywords.map((keyword) => [keyword, '']));
}
