/** What a harvest asks for: the identifiers of its C-FIND requests (PS3.4 C.4.1.1.3, C.6.2.1). */
import { dictionaryVr, requireTag, type DicomJson } from '@archipelago/dicom-core';
import type { StudyScopeV1 } from '@archipelago/contracts';

/** PS3.4 C.6.2.3: Study Root Query/Retrieve Information Model. */
export const STUDY_ROOT_FIND = '1.2.840.10008.5.1.4.1.2.2.1';
export const PATIENT_ROOT_FIND = '1.2.840.10008.5.1.4.1.2.1.1';
export const STUDY_ROOT_MOVE = '1.2.840.10008.5.1.4.1.2.2.2';
export const STUDY_ROOT_GET = '1.2.840.10008.5.1.4.1.2.2.3';
/** PS3.4 Z.5: Composite Instance Retrieve Without Bulk Data. */
export const GET_WITHOUT_BULK = '1.2.840.10008.5.1.4.1.2.5.3';
export const VERIFICATION = '1.2.840.10008.1.1';

export type QueryLevelName = 'STUDY' | 'SERIES' | 'IMAGE';

/** What changes without the object changing (availability, where to retrieve from) is not asked for. */
const RETURN_KEYS: Record<QueryLevelName, readonly string[]> = {
  STUDY: [
    'StudyDate',
    'StudyTime',
    'AccessionNumber',
    'ModalitiesInStudy',
    'SOPClassesInStudy',
    'ReferringPhysicianName',
    'StudyDescription',
    'NameOfPhysiciansReadingStudy',
    'AdmittingDiagnosesDescription',
    'PatientName',
    'PatientID',
    'IssuerOfPatientID',
    'PatientBirthDate',
    'PatientBirthTime',
    'PatientSex',
    'OtherPatientIDs',
    'OtherPatientNames',
    'PatientAge',
    'PatientSize',
    'PatientWeight',
    'EthnicGroup',
    'Occupation',
    'AdditionalPatientHistory',
    'PatientComments',
    'StudyInstanceUID',
    'StudyID',
    'NumberOfStudyRelatedSeries',
    'NumberOfStudyRelatedInstances',
    'TimezoneOffsetFromUTC',
  ],
  SERIES: [
    'SeriesDate',
    'SeriesTime',
    'Modality',
    'Manufacturer',
    'InstitutionName',
    'StationName',
    'SeriesDescription',
    'InstitutionalDepartmentName',
    'PerformingPhysicianName',
    'OperatorsName',
    'ManufacturerModelName',
    'BodyPartExamined',
    'ProtocolName',
    'PatientPosition',
    'StudyInstanceUID',
    'SeriesInstanceUID',
    'SeriesNumber',
    'Laterality',
    'NumberOfSeriesRelatedInstances',
    'PerformedProcedureStepStartDate',
    'PerformedProcedureStepStartTime',
    'PerformedProcedureStepID',
    'PerformedProcedureStepDescription',
  ],
  IMAGE: [
    'SOPClassUID',
    'SOPInstanceUID',
    'ContentDate',
    'ContentTime',
    'AcquisitionDate',
    'AcquisitionTime',
    'ImageType',
    'StudyInstanceUID',
    'SeriesInstanceUID',
    'AcquisitionNumber',
    'InstanceNumber',
    'NumberOfFrames',
    'Rows',
    'Columns',
    'BitsAllocated',
    'ContentLabel',
    'ContentDescription',
  ],
};

export function identifier(level: QueryLevelName, matching: Record<string, string[]>): DicomJson {
  const json: DicomJson = { '00080005': { vr: 'CS', Value: ['ISO_IR 192'] }, '00080052': { vr: 'CS', Value: [level] } };
  for (const keyword of new Set([...RETURN_KEYS[level], ...Object.keys(matching)])) {
    const tag = requireTag(keyword);
    const vr = (dictionaryVr(tag) ?? 'UN').split('/')[0] as string;
    const values = matching[keyword];
    const key = tag.toString(16).toUpperCase().padStart(8, '0');
    if (!values) json[key] = { vr };
    else json[key] = { vr, Value: vr === 'PN' ? values.map((Alphabetic) => ({ Alphabetic })) : values };
  }
  return json;
}

/** Matching keys of a part of the archive's studies. */
export function scopeKeys(scope: StudyScopeV1): Record<string, string[]> {
  const keys: Record<string, string[]> = {};
  const range = (from?: string, to?: string): string => (from === to ? (from ?? '') : `${from ?? ''}-${to ?? ''}`);
  if (scope.from !== undefined || scope.to !== undefined) keys['StudyDate'] = [range(scope.from, scope.to)];
  if (scope.timeFrom !== undefined || scope.timeTo !== undefined)
    keys['StudyTime'] = [range(scope.timeFrom, scope.timeTo)];
  // only the last one may be a beginning: what is above it is whole already
  const { patientId, patientName, exact, modality } = scope;
  const star = (isLast: boolean): string => (isLast && exact !== true ? '*' : '');
  if (patientId !== undefined) keys['PatientID'] = [patientId + star(patientName === undefined)];
  if (patientName !== undefined) keys['PatientName'] = [patientName + star(true)];
  if (modality !== undefined) keys['ModalitiesInStudy'] = [modality];
  return keys;
}
