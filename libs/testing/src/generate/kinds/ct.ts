import { code, commonModules, imagePixelModule, type BuiltObject, type InstanceContext } from '../context';
import { noisyAnatomy } from '../pixels';

export const CT_IMAGE_STORAGE = '1.2.840.10008.5.1.4.1.1.2';

/** CT Image (PS3.3 A.3): a header of about 110 elements as scanners write it, with private groups. */
export function buildCt(context: InstanceContext): BuiltObject {
  const { study, index, count } = context;
  const rows = context.rows ?? 512;
  const columns = context.columns ?? 512;
  const spacing = 360 / Math.max(rows, columns);
  const thickness = 1.25;
  const z = -(index * thickness);
  const pixels = noisyAnatomy(context.random, {
    rows,
    columns,
    z: count > 1 ? index / (count - 1) : 0.5,
    noise: 14,
    bitsStored: 12,
  });
  const header = commonModules(context, CT_IMAGE_STORAGE, 'CT');
  header.put(imagePixelModule(pixels)).put({
    ImageType: ['ORIGINAL', 'PRIMARY', 'AXIAL', 'CT_SOM5 SPI'],
    AcquisitionDate: study.studyDate,
    AcquisitionTime: study.studyTime,
    AcquisitionDateTime: `${study.studyDate}${study.studyTime}`,
    InstitutionAddress: 'Harbour Street 1',
    InstitutionalDepartmentName: 'Radiology',
    PerformingPhysicianName: study.referrer,
    OperatorsName: 'OP^One',
    ProcedureCodeSequence: code('CTCHEST', '99GEN', 'CT Chest'),
    PatientSize: '1.75',
    EthnicGroup: '',
    AdditionalPatientHistory: '',
    PregnancyStatus: study.sex === 'F' ? 4 : undefined,
    ContrastBolusAgent: 'OMNIPAQUE',
    BodyPartExamined: 'CHEST',
    ScanOptions: 'HELICAL MODE',
    SliceThickness: String(thickness),
    KVP: '120',
    DataCollectionDiameter: '500',
    ProtocolName: '5.1 Chest Routine',
    ContrastBolusRoute: 'IV',
    ContrastBolusVolume: '80',
    ReconstructionDiameter: '360',
    DistanceSourceToDetector: '949.075',
    DistanceSourceToPatient: '541',
    GantryDetectorTilt: '0',
    TableHeight: '153.5',
    RotationDirection: 'CW',
    ExposureTime: '500',
    XRayTubeCurrent: String(180 + (index % 40)),
    Exposure: String(90 + (index % 20)),
    FilterType: 'BODY FILTER',
    GeneratorPower: '24000',
    FocalSpots: '1.2',
    ConvolutionKernel: 'B31f',
    PatientPosition: 'HFS',
    DateOfLastCalibration: study.studyDate,
    TimeOfLastCalibration: '060000',
    RevolutionTime: 0.5,
    SingleCollimationWidth: 0.625,
    TotalCollimationWidth: 40,
    TableSpeed: 110,
    TableFeedPerRotation: 55,
    SpiralPitchFactor: 1.375,
    ExposureModulationType: 'XYZ_EC',
    CTDIvol: 7.21,
    CTDIPhantomTypeCodeSequence: code('113691', 'DCM', 'IEC Body Dosimetry Phantom'),
    AcquisitionNumber: '1',
    ImagePositionPatient: ['-180', '-180', String(z)],
    ImageOrientationPatient: ['1', '0', '0', '0', '1', '0'],
    FrameOfReferenceUID: study.frameOfReferenceUid,
    ImagesInAcquisition: String(count),
    PositionReferenceIndicator: 'SN',
    SliceLocation: String(z),
    PixelSpacing: [spacing.toFixed(6), spacing.toFixed(6)],
    SmallestImagePixelValue: 0,
    LargestImagePixelValue: 4095,
    WindowCenter: ['40', '-600'],
    WindowWidth: ['400', '1200'],
    WindowCenterWidthExplanation: ['WINDOW1', 'WINDOW2'],
    RescaleIntercept: '-1024',
    RescaleSlope: '1',
    RescaleType: 'HU',
    RequestingPhysician: study.referrer,
    RequestedProcedureDescription: study.description,
    PerformedProcedureStepStartDate: study.studyDate,
    PerformedProcedureStepStartTime: study.studyTime,
    PerformedProcedureStepID: `PPS${study.studyId}`,
    PerformedProcedureStepDescription: study.description,
    RequestAttributesSequence: [
      { RequestedProcedureID: `RP${study.studyId}`, ScheduledProcedureStepID: `SPS${study.studyId}` },
    ],
    CommentsOnThePerformedProcedureStep: '',
  });
  addPrivate(context, header);
  return { header, pixels };
}

/** Private blocks like those of real scanners (PS3.5 7.8.1), of several VRs and one of UN. */
function addPrivate(context: InstanceContext, header: BuiltObject['header']): void {
  header
    .set(0x00090010, 'LO', 'ARCHIPELAGO ACQ')
    .set(0x00091001, 'LO', 'GEN_HELIOS_01')
    .set(0x00091002, 'SH', `CT0${context.seriesNumber}`)
    .set(0x00091027, 'SL', context.index)
    .set(0x00190010, 'LO', 'ARCHIPELAGO TUBE')
    .set(0x00191002, 'SL', 912)
    .set(0x00191003, 'DS', '389.75')
    .set(0x00191018, 'LO', 'S')
    .set(0x00191042, 'SS', 0)
    .set(0x0019109e, 'UN', Buffer.from('opaque private bytes'))
    .set(0x00290010, 'LO', 'ARCHIPELAGO CSA')
    .set(0x00291008, 'CS', 'IMAGE NUM 4')
    .set(0x00291010, 'OB', context.random.fork(`csa-${context.index}`).bytes(1024))
    .set(0x00430010, 'LO', 'ARCHIPELAGO PARM')
    .set(0x00431012, 'SS', [14, 2, 3])
    .set(0x00431025, 'FL', [1.5, 2.5, 3.5]);
}
