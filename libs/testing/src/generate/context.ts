import { CHARACTER_SETS } from './charset';
import { GenDataset, type Attributes } from './dataset';
import type { PixelPlan } from './pixels';
import type { Random } from './random';

/** What every object of a study shares; drawn once from the seed. */
export interface StudyContext {
  seed: string | number;
  charset: string;
  patientName: string;
  patientId: string;
  issuer: string;
  sex: 'F' | 'M' | 'O';
  birthDate: string;
  age: string;
  weight: string;
  studyInstanceUid: string;
  studyDate: string;
  studyTime: string;
  accessionNumber: string;
  studyId: string;
  description: string;
  referrer: string;
  institution: string;
  frameOfReferenceUid: string;
}

/** Where an object stands in its series, and the sizes asked for. */
export interface InstanceContext {
  study: StudyContext;
  random: Random;
  seriesInstanceUid: string;
  seriesNumber: number;
  sopInstanceUid: string;
  /** 0-based position in the series, of `count`. */
  index: number;
  count: number;
  rows?: number;
  columns?: number;
  frames?: number;
  /** UIDs of the objects that a derived one (SEG, SR, KOS, GSPS, RT) refers to. */
  references: readonly Reference[];
}

export interface Reference {
  sopClassUid: string;
  sopInstanceUid: string;
  seriesInstanceUid: string;
}

/** What a kind builds. */
export interface BuiltObject {
  header: GenDataset;
  pixels?: PixelPlan;
}

export type KindBuilder = (context: InstanceContext) => BuiltObject;

export function makeStudy(
  random: Random,
  seed: string | number,
  charset: string,
  overrides: Partial<StudyContext> = {},
): StudyContext {
  const set = CHARACTER_SETS[charset];
  if (!set)
    throw new Error(`generator: character set not known: ${charset}; one of ${Object.keys(CHARACTER_SETS).join(', ')}`);
  const birthYear = random.int(1930, 2015);
  const year = random.int(2018, 2025);
  return {
    seed,
    charset,
    patientName: random.pick(set.names),
    patientId: `PID${String(random.int(0, 99999999)).padStart(8, '0')}`,
    issuer: 'GENERATED',
    sex: random.pick(['F', 'M', 'O'] as const),
    birthDate: `${birthYear}${two(random.int(1, 12))}${two(random.int(1, 28))}`,
    age: `${String(year - birthYear).padStart(3, '0')}Y`,
    weight: String(random.int(45, 110)),
    studyInstanceUid: random.uid(),
    studyDate: `${year}${two(random.int(1, 12))}${two(random.int(1, 28))}`,
    studyTime: `${two(random.int(6, 20))}${two(random.int(0, 59))}${two(random.int(0, 59))}.${String(random.int(0, 999999)).padStart(6, '0')}`,
    accessionNumber: `A${String(random.int(0, 999999999)).padStart(9, '0')}`,
    studyId: String(random.int(1, 99999)),
    description: random.pick(['THORAX', 'ABDOMEN ROUTINE', 'HEAD W/O CONTRAST', 'FOLLOW-UP', 'SCREENING']),
    referrer: random.pick(set.names),
    institution: set.place,
    frameOfReferenceUid: random.uid(),
    ...overrides,
  };
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

/** Patient, General Study, General Series, General Equipment and SOP Common modules (PS3.3 C.7, C.12.1). */
export function commonModules(context: InstanceContext, sopClassUid: string, modality: string): GenDataset {
  const { study } = context;
  const terms = CHARACTER_SETS[study.charset]?.terms ?? [];
  const time = `${study.studyTime.slice(0, 6)}.${String(context.index % 1000000).padStart(6, '0')}`;
  const attributes: Attributes = {
    SpecificCharacterSet: terms.length ? terms : undefined,
    InstanceCreationDate: study.studyDate,
    InstanceCreationTime: time,
    SOPClassUID: sopClassUid,
    SOPInstanceUID: context.sopInstanceUid,
    StudyDate: study.studyDate,
    SeriesDate: study.studyDate,
    ContentDate: study.studyDate,
    StudyTime: study.studyTime,
    SeriesTime: study.studyTime,
    ContentTime: time,
    AccessionNumber: study.accessionNumber,
    Modality: modality,
    Manufacturer: 'Archipelago Generator',
    InstitutionName: study.institution,
    ReferringPhysicianName: study.referrer,
    StationName: `${modality}01`,
    StudyDescription: study.description,
    SeriesDescription: `${modality} series ${context.seriesNumber}`,
    ManufacturerModelName: 'Phantom 1',
    PatientName: study.patientName,
    PatientID: study.patientId,
    IssuerOfPatientID: study.issuer,
    PatientBirthDate: study.birthDate,
    PatientSex: study.sex,
    PatientAge: study.age,
    PatientWeight: study.weight,
    DeviceSerialNumber: '000001',
    SoftwareVersions: '1.0',
    StudyInstanceUID: study.studyInstanceUid,
    SeriesInstanceUID: context.seriesInstanceUid,
    StudyID: study.studyId,
    SeriesNumber: String(context.seriesNumber),
    InstanceNumber: String(context.index + 1),
  };
  return GenDataset.of(attributes);
}

/** Image Pixel module (PS3.3 C.7.6.3) for a plan, as native. */
export function imagePixelModule(pixels: PixelPlan): Attributes {
  return {
    SamplesPerPixel: pixels.samplesPerPixel,
    PhotometricInterpretation: pixels.photometric,
    PlanarConfiguration: pixels.samplesPerPixel > 1 ? 0 : undefined,
    Rows: pixels.rows,
    Columns: pixels.columns,
    BitsAllocated: pixels.bitsAllocated,
    BitsStored: pixels.bitsStored,
    HighBit: pixels.bitsStored - 1,
    PixelRepresentation: pixels.signed ? 1 : 0,
  };
}

export function code(value: string, scheme: string, meaning: string): Attributes[] {
  return [{ CodeValue: value, CodingSchemeDesignator: scheme, CodeMeaning: meaning }];
}
