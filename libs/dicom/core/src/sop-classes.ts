import { UIDS } from './generated/uids';

export type QueryRetrieveModel =
  | 'patient-root'
  | 'study-root'
  | 'patient-study-only'
  | 'composite-instance-root'
  | 'composite-instance-without-bulk'
  | 'hanging-protocol'
  | 'color-palette'
  | 'generic-implant-template'
  | 'implant-assembly-template'
  | 'implant-template-group'
  | 'defined-procedure-protocol'
  | 'protocol-approval'
  | 'inventory';

/** A class that instances are stored under by C-STORE (PS3.4 Annexes B and GG). */
export interface StorageSopClass {
  uid: string;
  name: string;
  keyword: string;
  retired: boolean;
  /** Belongs to no patient, study or series (PS3.4 GG.3): found and fetched by its own model only. */
  patientless: boolean;
  /** The model of a patientless class; undefined for classes of the patient hierarchy. */
  model?: QueryRetrieveModel;
  /** 'DICOS' or 'DICONDE' where another body defines it in the same UID root. */
  body: 'DICOM' | 'DICOS' | 'DICONDE';
}

export interface QueryRetrieveSopClass {
  uid: string;
  name: string;
  model: QueryRetrieveModel;
  operation: 'FIND' | 'MOVE' | 'GET';
  retired: boolean;
  /** Storage classes of a patientless model; empty for the models of the patient hierarchy, which cover all others. */
  storageClasses: readonly string[];
}

/** PS3.4 table GG.3-1 and the annexes of each model: root UID of the model -> the storage classes it covers. */
const PATIENTLESS: readonly (readonly [QueryRetrieveModel, readonly [string, string, string], readonly string[]])[] = [
  ['hanging-protocol', operations('1.2.840.10008.5.1.4.38.', 2), ['1.2.840.10008.5.1.4.38.1']],
  ['color-palette', operations('1.2.840.10008.5.1.4.39.', 2), ['1.2.840.10008.5.1.4.39.1']],
  ['generic-implant-template', operations('1.2.840.10008.5.1.4.43.', 2), ['1.2.840.10008.5.1.4.43.1']],
  ['implant-assembly-template', operations('1.2.840.10008.5.1.4.44.', 2), ['1.2.840.10008.5.1.4.44.1']],
  ['implant-template-group', operations('1.2.840.10008.5.1.4.45.', 2), ['1.2.840.10008.5.1.4.45.1']],
  [
    'defined-procedure-protocol',
    operations('1.2.840.10008.5.1.4.20.', 1),
    ['1.2.840.10008.5.1.4.1.1.200.1', '1.2.840.10008.5.1.4.1.1.200.7'],
  ],
  ['protocol-approval', operations('1.2.840.10008.5.1.4.1.1.200.', 4), ['1.2.840.10008.5.1.4.1.1.200.3']],
  ['inventory', operations('1.2.840.10008.5.1.4.1.1.201.', 2), ['1.2.840.10008.5.1.4.1.1.201.1']],
];

const HIERARCHY: readonly (readonly [QueryRetrieveModel, readonly [string, string, string]])[] = [
  ['patient-root', operations('1.2.840.10008.5.1.4.1.2.1.', 1)],
  ['study-root', operations('1.2.840.10008.5.1.4.1.2.2.', 1)],
  ['patient-study-only', operations('1.2.840.10008.5.1.4.1.2.3.', 1)],
  ['composite-instance-root', ['', '1.2.840.10008.5.1.4.1.2.4.2', '1.2.840.10008.5.1.4.1.2.4.3']],
  ['composite-instance-without-bulk', ['', '', '1.2.840.10008.5.1.4.1.2.5.3']],
];

function operations(root: string, first: number): readonly [string, string, string] {
  return [root + first, root + (first + 1), root + (first + 2)];
}

/** Classes named '... Storage' that are no objects of C-STORE. */
const NOT_STORED = new Set([
  '1.2.840.10008.1.3.10', // Media Storage Directory: files on media only (PS3.4 Annex I)
  '1.2.840.10008.1.20.1', // Storage Commitment
  '1.2.840.10008.1.20.2',
]);

/** Retired classes that PS3.6 lists without a name: they were storage. */
const UNNAMED: ReadonlyMap<string, string> = new Map([
  ['1.2.840.10008.5.1.4.1.1.12.77', 'Zeiss OPT Storage (Retired)'],
  ['1.2.840.10008.5.1.4.1.1.40', 'MR Image Storage Zero Padded (Retired)'],
]);

interface Registry {
  storage: Map<string, StorageSopClass>;
  queryRetrieve: Map<string, QueryRetrieveSopClass>;
  names: Map<string, string>;
}

let registry: Registry | undefined;

function load(): Registry {
  const result: Registry = { storage: new Map(), queryRetrieve: new Map(), names: new Map() };
  const retiredUids = new Set<string>();
  const models = new Map(PATIENTLESS.flatMap(([model, , classes]) => classes.map((uid) => [uid, model] as const)));
  for (const line of UIDS.split('\n')) {
    const [uid, kind, info, keyword, listedName] = line.split('\t');
    const name = listedName || (UNNAMED.get(uid) ?? uid);
    if (!kind.includes('SOP Class')) continue;
    result.names.set(uid, name);
    if (info === 'Retired') retiredUids.add(uid);
    const stored = / Storage\b/.test(name) && !/ - (FIND|MOVE|GET)$/.test(name) && !NOT_STORED.has(uid);
    if (!stored) continue;
    const model = models.get(uid);
    const body = info === 'DICOS' ? 'DICOS' : info.startsWith('DICONDE') ? 'DICONDE' : 'DICOM';
    result.storage.set(uid, {
      uid,
      name,
      keyword,
      retired: info === 'Retired',
      patientless: model !== undefined,
      model,
      body,
    });
  }
  const all: (readonly [QueryRetrieveModel, readonly string[], readonly string[]])[] = [
    ...HIERARCHY.map(([model, uids]) => [model, uids, []] as const),
    ...PATIENTLESS,
  ];
  const names = ['FIND', 'MOVE', 'GET'] as const;
  for (const [model, uids, storageClasses] of all) {
    uids.forEach((uid, index) => {
      if (uid === '') return;
      const name = result.names.get(uid) ?? uid;
      const retired = retiredUids.has(uid);
      result.queryRetrieve.set(uid, { uid, name, model, operation: names[index], retired, storageClasses });
    });
  }
  return result;
}

/** Every storage SOP class of the standard, retired ones included. */
export function storageSopClasses(): StorageSopClass[] {
  registry ??= load();
  return [...registry.storage.values()];
}

export function storageSopClass(uid: string): StorageSopClass | undefined {
  registry ??= load();
  return registry.storage.get(uid);
}

export function isStorageSopClass(uid: string): boolean {
  registry ??= load();
  return registry.storage.has(uid);
}

/** Unknown (private) classes are taken to belong to a patient. */
export function isPatientless(sopClassUid: string): boolean {
  return storageSopClass(sopClassUid)?.patientless ?? false;
}

export function queryRetrieveSopClasses(): QueryRetrieveSopClass[] {
  registry ??= load();
  return [...registry.queryRetrieve.values()];
}

export function queryRetrieveSopClass(uid: string): QueryRetrieveSopClass | undefined {
  registry ??= load();
  return registry.queryRetrieve.get(uid);
}

/** Name of any SOP class of the standard. */
export function sopClassName(uid: string): string | undefined {
  registry ??= load();
  return registry.names.get(uid);
}

export const VERIFICATION_SOP_CLASS = '1.2.840.10008.1.1';
export const MODALITY_WORKLIST_FIND = '1.2.840.10008.5.1.4.31';
export const MODALITY_PERFORMED_PROCEDURE_STEP = '1.2.840.10008.3.1.2.3.3';
export const STORAGE_COMMITMENT_PUSH_MODEL = '1.2.840.10008.1.20.1';
