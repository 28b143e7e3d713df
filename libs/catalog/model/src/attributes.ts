import { dictionaryVr, lookupKeyword } from '@archipelago/dicom-core';
import { tagKey } from './header-view';

export type CatalogLevel = 'PATIENT' | 'STUDY' | 'SERIES' | 'IMAGE';
export const LEVELS: readonly CatalogLevel[] = ['PATIENT', 'STUDY', 'SERIES', 'IMAGE'];
export function levelRank(level: CatalogLevel): number {
  return LEVELS.indexOf(level);
}

/**
 * An attribute that can be matched and returned. `computed` ones are derived by the catalog, not read from a header.
 * `items`: the attributes kept of each item of a sequence.
 */
export interface QueryAttribute {
  tag: number;
  key: string;
  vr: string;
  keyword: string;
  level: CatalogLevel;
  computed: boolean;
  items?: readonly QueryAttribute[];
}

/** One line of configuration: a further attribute that the catalog keeps (re-index needed for what is stored already). */
export interface FurtherAttribute {
  tag: number;
  vr: string;
  keyword: string;
  level: CatalogLevel;
  items?: readonly FurtherAttribute[];
}

type Row = [tag: number, vr: string, keyword: string, items?: readonly Row[]];

const CODE: readonly Row[] = [
  [0x00080100, 'SH', 'CodeValue'],
  [0x00080102, 'SH', 'CodingSchemeDesignator'],
  [0x00080103, 'SH', 'CodingSchemeVersion'],
  [0x00080104, 'LO', 'CodeMeaning'],
  [0x00080119, 'UC', 'LongCodeValue'],
  [0x00080120, 'UR', 'URNCodeValue'],
];
const SOP_REFERENCE: readonly Row[] = [
  [0x00081150, 'UI', 'ReferencedSOPClassUID'],
  [0x00081155, 'UI', 'ReferencedSOPInstanceUID'],
];
const ENTITY: readonly Row[] = [
  [0x00400031, 'UT', 'LocalNamespaceEntityID'],
  [0x00400032, 'UT', 'UniversalEntityID'],
  [0x00400033, 'CS', 'UniversalEntityIDType'],
];

/** PS3.4 C.6.1.1.2 and C.3.4: the patient's attributes. */
const PATIENT: readonly Row[] = [
  [0x00100010, 'PN', 'PatientName'],
  [0x00100020, 'LO', 'PatientID'],
  [0x00100021, 'LO', 'IssuerOfPatientID'],
  [0x00100022, 'CS', 'TypeOfPatientID'],
  [0x00100024, 'SQ', 'IssuerOfPatientIDQualifiersSequence', ENTITY.slice(1)],
  [0x00100030, 'DA', 'PatientBirthDate'],
  [0x00100032, 'TM', 'PatientBirthTime'],
  [0x00100040, 'CS', 'PatientSex'],
  [0x00101001, 'PN', 'OtherPatientNames'],
  [0x00101000, 'LO', 'OtherPatientIDs'],
  [
    0x00101002,
    'SQ',
    'OtherPatientIDsSequence',
    [
      [0x00100020, 'LO', 'PatientID'],
      [0x00100021, 'LO', 'IssuerOfPatientID'],
      [0x00100022, 'CS', 'TypeOfPatientID'],
    ],
  ],
  [0x00101040, 'LO', 'PatientAddress'],
  [0x00102154, 'SH', 'PatientTelephoneNumbers'],
  [0x00102160, 'SH', 'EthnicGroup'],
  [0x00104000, 'LT', 'PatientComments'],
  [0x00081120, 'SQ', 'ReferencedPatientSequence', SOP_REFERENCE],
  [0x00102201, 'LO', 'PatientSpeciesDescription'],
  [0x00102292, 'LO', 'PatientBreedDescription'],
  [0x00102297, 'PN', 'ResponsiblePerson'],
  [0x00102299, 'LO', 'ResponsibleOrganization'],
];
/** PS3.4 C.6.2.1.2 */
const STUDY: readonly Row[] = [
  [0x0020000d, 'UI', 'StudyInstanceUID'],
  [0x00080020, 'DA', 'StudyDate'],
  [0x00080030, 'TM', 'StudyTime'],
  [0x00080050, 'SH', 'AccessionNumber'],
  [0x00080051, 'SQ', 'IssuerOfAccessionNumberSequence', ENTITY],
  [0x00200010, 'SH', 'StudyID'],
  [0x00080090, 'PN', 'ReferringPhysicianName'],
  [0x00081030, 'LO', 'StudyDescription'],
  [0x00081032, 'SQ', 'ProcedureCodeSequence', CODE],
  [0x00081060, 'PN', 'NameOfPhysiciansReadingStudy'],
  [0x00081048, 'PN', 'PhysiciansOfRecord'],
  [0x00081080, 'LO', 'AdmittingDiagnosesDescription'],
  [0x00081084, 'SQ', 'AdmittingDiagnosesCodeSequence', CODE],
  [0x00081110, 'SQ', 'ReferencedStudySequence', SOP_REFERENCE],
  [0x00101010, 'AS', 'PatientAge'],
  [0x00101020, 'DS', 'PatientSize'],
  [0x00101030, 'DS', 'PatientWeight'],
  [0x00102180, 'SH', 'Occupation'],
  [0x001021b0, 'LT', 'AdditionalPatientHistory'],
  [0x00380010, 'LO', 'AdmissionID'],
  [0x00321032, 'PN', 'RequestingPhysician'],
  [0x00321060, 'LO', 'RequestedProcedureDescription'],
  [0x00321064, 'SQ', 'RequestedProcedureCodeSequence', CODE],
  [0x00080201, 'SH', 'TimezoneOffsetFromUTC'],
];
/** PS3.4 C.6.1.1.4 */
const SERIES: readonly Row[] = [
  [0x0020000e, 'UI', 'SeriesInstanceUID'],
  [0x00080060, 'CS', 'Modality'],
  [0x00200011, 'IS', 'SeriesNumber'],
  [0x00080021, 'DA', 'SeriesDate'],
  [0x00080031, 'TM', 'SeriesTime'],
  [0x0008103e, 'LO', 'SeriesDescription'],
  [0x0008103f, 'SQ', 'SeriesDescriptionCodeSequence', CODE],
  [0x00180015, 'CS', 'BodyPartExamined'],
  [0x00082218, 'SQ', 'AnatomicRegionSequence', CODE],
  [0x00200060, 'CS', 'Laterality'],
  [0x00181030, 'LO', 'ProtocolName'],
  [0x00185100, 'CS', 'PatientPosition'],
  [0x00080070, 'LO', 'Manufacturer'],
  [0x00081090, 'LO', 'ManufacturerModelName'],
  [0x00080080, 'LO', 'InstitutionName'],
  [0x00081040, 'LO', 'InstitutionalDepartmentName'],
  [0x00081010, 'SH', 'StationName'],
  [0x00181000, 'LO', 'DeviceSerialNumber'],
  [0x00181020, 'LO', 'SoftwareVersions'],
  [0x00181210, 'SH', 'ConvolutionKernel'],
  [0x00180024, 'SH', 'SequenceName'],
  [0x00180010, 'LO', 'ContrastBolusAgent'],
  [0x00180050, 'DS', 'SliceThickness'],
  [0x00180087, 'DS', 'MagneticFieldStrength'],
  [0x00180060, 'DS', 'KVP'],
  [0x00081050, 'PN', 'PerformingPhysicianName'],
  [0x00081070, 'PN', 'OperatorsName'],
  [0x00200052, 'UI', 'FrameOfReferenceUID'],
  [0x00200200, 'UI', 'SynchronizationFrameOfReferenceUID'],
  [0x00081111, 'SQ', 'ReferencedPerformedProcedureStepSequence', SOP_REFERENCE],
  [0x00400244, 'DA', 'PerformedProcedureStepStartDate'],
  [0x00400245, 'TM', 'PerformedProcedureStepStartTime'],
  [0x00400250, 'DA', 'PerformedProcedureStepEndDate'],
  [0x00400251, 'TM', 'PerformedProcedureStepEndTime'],
  [0x00400253, 'SH', 'PerformedProcedureStepID'],
  [0x00400254, 'LO', 'PerformedProcedureStepDescription'],
  [0x00400260, 'SQ', 'PerformedProtocolCodeSequence', CODE],
  [
    0x00400275,
    'SQ',
    'RequestAttributesSequence',
    [
      [0x00401001, 'SH', 'RequestedProcedureID'],
      [0x00400009, 'SH', 'ScheduledProcedureStepID'],
      [0x00400007, 'LO', 'ScheduledProcedureStepDescription'],
      [0x00080050, 'SH', 'AccessionNumber'],
      [0x0020000d, 'UI', 'StudyInstanceUID'],
      [0x00321060, 'LO', 'RequestedProcedureDescription'],
      [0x00321064, 'SQ', 'RequestedProcedureCodeSequence', CODE],
      [0x00400008, 'SQ', 'ScheduledProtocolCodeSequence', CODE],
    ],
  ],
];
/** PS3.4 C.6.1.1.5 */
const IMAGE: readonly Row[] = [
  [0x00080018, 'UI', 'SOPInstanceUID'],
  [0x00080016, 'UI', 'SOPClassUID'],
  [0x00200013, 'IS', 'InstanceNumber'],
  [0x00080008, 'CS', 'ImageType'],
  [0x00080022, 'DA', 'AcquisitionDate'],
  [0x00080032, 'TM', 'AcquisitionTime'],
  [0x0008002a, 'DT', 'AcquisitionDateTime'],
  [0x00080023, 'DA', 'ContentDate'],
  [0x00080033, 'TM', 'ContentTime'],
  [0x00080012, 'DA', 'InstanceCreationDate'],
  [0x00080013, 'TM', 'InstanceCreationTime'],
  [0x00200012, 'IS', 'AcquisitionNumber'],
  [0x00280008, 'IS', 'NumberOfFrames'],
  [0x00280010, 'US', 'Rows'],
  [0x00280011, 'US', 'Columns'],
  [0x00280100, 'US', 'BitsAllocated'],
  [0x00280002, 'US', 'SamplesPerPixel'],
  [0x00280004, 'CS', 'PhotometricInterpretation'],
  [0x00200032, 'DS', 'ImagePositionPatient'],
  [0x00200037, 'DS', 'ImageOrientationPatient'],
  [0x00201041, 'DS', 'SliceLocation'],
  [0x00280030, 'DS', 'PixelSpacing'],
  [0x00700080, 'CS', 'ContentLabel'],
  [0x00700081, 'LO', 'ContentDescription'],
  [0x00700084, 'PN', 'ContentCreatorName'],
  [0x0040a043, 'SQ', 'ConceptNameCodeSequence', CODE],
  [0x0040a491, 'CS', 'CompletionFlag'],
  [0x0040a493, 'CS', 'VerificationFlag'],
  [0x00420010, 'ST', 'DocumentTitle'],
  [0x00420012, 'LO', 'MIMETypeOfEncapsulatedDocument'],
  [0x00081199, 'SQ', 'ReferencedSOPSequence', SOP_REFERENCE],
];
/** Attributes of objects without a patient (PS3.4 U.6, X.6, BB.6): kept with the instance. */
const PATIENTLESS: readonly Row[] = [
  [0x00720002, 'SH', 'HangingProtocolName'],
  [0x00720004, 'LO', 'HangingProtocolDescription'],
  [0x00720006, 'CS', 'HangingProtocolLevel'],
  [0x00720008, 'LO', 'HangingProtocolCreator'],
  [0x0072000a, 'DT', 'HangingProtocolCreationDateTime'],
  [0x00720010, 'LO', 'HangingProtocolUserGroupName'],
  [0x00720014, 'US', 'NumberOfPriorsReferenced'],
  [0x00720100, 'US', 'NumberOfScreens'],
  [0x0072000e, 'SQ', 'HangingProtocolUserIdentificationCodeSequence', CODE],
  [
    0x0072000c,
    'SQ',
    'HangingProtocolDefinitionSequence',
    [
      [0x00080060, 'CS', 'Modality'],
      [0x00081030, 'LO', 'StudyDescription'],
      [0x00180015, 'CS', 'BodyPartExamined'],
      [0x00200060, 'CS', 'Laterality'],
      [0x00082218, 'SQ', 'AnatomicRegionSequence', CODE],
      [0x00081032, 'SQ', 'ProcedureCodeSequence', CODE],
      [0x0040100a, 'SQ', 'ReasonForRequestedProcedureCodeSequence', CODE],
    ],
  ],
  [0x006863a0, 'SQ', 'MaterialsCodeSequence', CODE],
  [0x00686210, 'LO', 'ImplantSize'],
  [0x00686221, 'LO', 'ImplantTemplateVersion'],
  [0x00686226, 'DT', 'EffectiveDateTime'],
  [0x00221095, 'LO', 'ImplantName'],
  [0x00221097, 'LO', 'ImplantPartNumber'],
  [0x00760001, 'LO', 'ImplantAssemblyTemplateName'],
  [0x00760003, 'LO', 'ImplantAssemblyTemplateIssuer'],
  [0x00760006, 'LO', 'ImplantAssemblyTemplateVersion'],
  [0x0076000a, 'CS', 'ImplantAssemblyTemplateType'],
  [0x00780001, 'LO', 'ImplantTemplateGroupName'],
  [0x00780010, 'ST', 'ImplantTemplateGroupDescription'],
  [0x00780020, 'LO', 'ImplantTemplateGroupIssuer'],
  [0x00780024, 'LO', 'ImplantTemplateGroupVersion'],
];
/** Derived by the catalog (PS3.4 C.3.4). */
const COMPUTED: readonly [tag: number, vr: string, keyword: string, level: CatalogLevel][] = [
  [0x00201200, 'IS', 'NumberOfPatientRelatedStudies', 'PATIENT'],
  [0x00201202, 'IS', 'NumberOfPatientRelatedSeries', 'PATIENT'],
  [0x00201204, 'IS', 'NumberOfPatientRelatedInstances', 'PATIENT'],
  [0x00080061, 'CS', 'ModalitiesInStudy', 'STUDY'],
  [0x00080062, 'UI', 'SOPClassesInStudy', 'STUDY'],
  [0x00201206, 'IS', 'NumberOfStudyRelatedSeries', 'STUDY'],
  [0x00201208, 'IS', 'NumberOfStudyRelatedInstances', 'STUDY'],
  [0x00201209, 'IS', 'NumberOfSeriesRelatedInstances', 'SERIES'],
  [0x00083002, 'UI', 'AvailableTransferSyntaxUID', 'IMAGE'],
];

function attribute(row: Row, level: CatalogLevel): QueryAttribute {
  const [tag, vr, keyword, items] = row;
  const base = { tag, key: tagKey(tag), vr, keyword, level, computed: false };
  return items ? { ...base, items: items.map((item) => attribute(item, level)) } : base;
}

function further(line: FurtherAttribute): QueryAttribute {
  const base = {
    tag: line.tag,
    key: tagKey(line.tag),
    vr: line.vr,
    keyword: line.keyword,
    level: line.level,
    computed: false,
  };
  return line.items ? { ...base, items: line.items.map(further) } : base;
}

/** The attributes that this catalog keeps, by tag and by level. */
export class AttributeSet {
  private readonly byKey = new Map<string, QueryAttribute>();
  private readonly read = new Map<CatalogLevel, QueryAttribute[]>();
  /** Kept of an object without a patient, all in one row. */
  readonly patientless: readonly QueryAttribute[];

  constructor(furtherAttributes: readonly FurtherAttribute[] = []) {
    const all = [
      ...PATIENT.map((row) => attribute(row, 'PATIENT')),
      ...STUDY.map((row) => attribute(row, 'STUDY')),
      ...SERIES.map((row) => attribute(row, 'SERIES')),
      ...[...IMAGE, ...PATIENTLESS].map((row) => attribute(row, 'IMAGE')),
      ...COMPUTED.map(([tag, vr, keyword, level]) => ({ ...attribute([tag, vr, keyword], level), computed: true })),
    ];
    for (const one of all) this.byKey.set(one.key, one);
    for (const line of furtherAttributes)
      if (!this.byKey.has(tagKey(line.tag))) this.byKey.set(tagKey(line.tag), further(line));
    const kept = [...this.byKey.values()].filter((one) => !one.computed);
    const patientlessTags = new Set(PATIENTLESS.map(([tag]) => tag));
    for (const level of LEVELS) {
      this.read.set(
        level,
        kept.filter((one) => one.level === level && !patientlessTags.has(one.tag)),
      );
    }
    this.patientless = kept.filter((one) => one.level !== 'PATIENT');
  }

  /** Every attribute, computed ones and those of objects without a patient too. */
  all(): readonly QueryAttribute[] {
    return [...this.byKey.values()];
  }

  get(key: string): QueryAttribute | undefined {
    return this.byKey.get(key);
  }

  /** Read from headers for a row of the level. */
  ofLevel(level: CatalogLevel): readonly QueryAttribute[] {
    return this.read.get(level) ?? [];
  }
}

export const DEFAULT_ATTRIBUTES = new AttributeSet();

/** VRs that `strings()` of a header reads as one value after another, and that are short. */
const CONFIGURABLE = new Set([
  'AE',
  'AS',
  'CS',
  'DA',
  'DS',
  'DT',
  'FD',
  'FL',
  'IS',
  'LO',
  'PN',
  'SH',
  'SL',
  'SS',
  'TM',
  'UC',
  'UI',
  'UL',
  'UR',
  'US',
]);

/**
 * The attributes of this version with those of `queryAttributes` in archipelago.yaml.
 * @throws RangeError naming every keyword that is not in the dictionary, or of a VR that is not kept
 */
export function configuredAttributes(lines: readonly { keyword: string; level: CatalogLevel }[]): AttributeSet {
  if (lines.length === 0) return DEFAULT_ATTRIBUTES;
  const wrong: string[] = [];
  const further = lines.flatMap(({ keyword, level }): FurtherAttribute[] => {
    const tag = lookupKeyword(keyword)?.tag;
    // one of several ("US or SS"): they are read alike
    const vr = tag === undefined ? undefined : dictionaryVr(tag)?.split('/')[0];
    if (tag === undefined || vr === undefined || !CONFIGURABLE.has(vr)) {
      wrong.push(tag === undefined ? `${keyword} (not in the dictionary)` : `${keyword} (VR ${vr ?? 'unknown'})`);
      return [];
    }
    return [{ tag, vr, keyword, level }];
  });
  if (wrong.length > 0) throw new RangeError(`archipelago.yaml: queryAttributes cannot have ${wrong.join(', ')}`);
  return new AttributeSet(further);
}
