import { code, commonModules, imagePixelModule, type BuiltObject, type InstanceContext, type KindBuilder } from '../context';
import type { Attributes } from '../dataset';
import { noisyAnatomy, type PixelOptions } from '../pixels';

const STORAGE = '1.2.840.10008.5.1.4.1.1';

interface ImageKind {
  sopClass: string;
  modality: string;
  rows: number;
  columns: number;
  frames?: number;
  pixels: Partial<PixelOptions>;
  attributes: (context: InstanceContext, frames: number) => Attributes;
}

function imageKind(kind: ImageKind): KindBuilder {
  return (context: InstanceContext): BuiltObject => {
    const rows = context.rows ?? kind.rows;
    const columns = context.columns ?? kind.columns;
    const frames = kind.frames ? (context.frames ?? kind.frames) : 1;
    const z = context.count > 1 ? context.index / (context.count - 1) : 0.4;
    const pixels = noisyAnatomy(context.random.fork(context.index), { ...kind.pixels, rows, columns, frames, z });
    const header = commonModules(context, `${STORAGE}.${kind.sopClass}`, kind.modality);
    header.put(imagePixelModule(pixels)).put(kind.attributes(context, frames));
    if (kind.frames) header.put({ NumberOfFrames: String(frames) });
    return { header, pixels };
  };
}

const plane = (context: InstanceContext, spacing: string, thickness: number): Attributes => ({
  PixelSpacing: [spacing, spacing],
  SliceThickness: String(thickness),
  ImagePositionPatient: ['-120', '-120', String(context.index * thickness)],
  ImageOrientationPatient: ['1', '0', '0', '0', '1', '0'],
  FrameOfReferenceUID: context.study.frameOfReferenceUid,
  PositionReferenceIndicator: '',
  SliceLocation: String(context.index * thickness),
});

const projection = (type: string): Attributes => ({
  ImageType: ['ORIGINAL', 'PRIMARY'],
  BodyPartExamined: 'CHEST',
  PatientOrientation: ['L', 'F'],
  ImagerPixelSpacing: ['0.148', '0.148'],
  PresentationIntentType: type,
  PixelIntensityRelationship: 'LOG',
  PixelIntensityRelationshipSign: -1,
  RescaleIntercept: '0',
  RescaleSlope: '1',
  RescaleType: 'US',
  PresentationLUTShape: 'IDENTITY',
  BurnedInAnnotation: 'NO',
  LossyImageCompression: '00',
  ImageLaterality: 'U',
  AcquisitionContextSequence: [],
  AnatomicRegionSequence: code('51185008', 'SCT', 'Chest'),
  ViewCodeSequence: code('399348003', 'SCT', 'antero-posterior'),
  DetectorType: 'DIRECT',
  PositionerType: '',
  KVP: '110',
  Exposure: '4',
  WindowCenter: '2048',
  WindowWidth: '4096',
});

export const IMAGE_KINDS: Record<string, KindBuilder> = {
  mr: imageKind({
    sopClass: '4', modality: 'MR', rows: 256, columns: 256, pixels: { bitsStored: 12, noise: 20 },
    attributes: (context) => ({
      ...plane(context, '0.9375', 3),
      ImageType: ['ORIGINAL', 'PRIMARY', 'M', 'ND'],
      ScanningSequence: ['SE', 'IR'], SequenceVariant: 'SK', ScanOptions: 'PFP', MRAcquisitionType: '2D', SequenceName: '*tir2d1_15',
      RepetitionTime: '4500', EchoTime: '92', InversionTime: '180', NumberOfAverages: '1', ImagingFrequency: '63.68', ImagedNucleus: '1H',
      EchoNumbers: '1', MagneticFieldStrength: '1.5', SpacingBetweenSlices: '3.3', EchoTrainLength: '15', PercentSampling: '100',
      PixelBandwidth: '130', TransmitCoilName: 'Body', FlipAngle: '150', PatientPosition: 'HFS', BodyPartExamined: 'HEAD',
      WindowCenter: '1000', WindowWidth: '2000', AcquisitionNumber: '1',
    }),
  }),
  cr: imageKind({
    sopClass: '1', modality: 'CR', rows: 1024, columns: 840, pixels: { bitsStored: 10, photometric: 'MONOCHROME1' },
    attributes: () => ({
      ImageType: ['ORIGINAL', 'PRIMARY'], BodyPartExamined: 'ANKLE', ViewPosition: 'AP', PlateType: 'IP', PatientOrientation: ['L', 'F'],
      ImagerPixelSpacing: ['0.2', '0.2'], WindowCenter: '512', WindowWidth: '1024', KVP: '55', CassetteOrientation: 'PORTRAIT',
      AcquisitionNumber: '1', Laterality: 'L',
    }),
  }),
  dx: imageKind({
    sopClass: '1.1', modality: 'DX', rows: 1280, columns: 1024, pixels: { bitsStored: 12 },
    attributes: () => ({ ...projection('FOR PRESENTATION') }),
  }),
  mg: imageKind({
    sopClass: '1.2', modality: 'MG', rows: 1664, columns: 1280, pixels: { bitsStored: 12, noise: 8 },
    attributes: () => ({
      ...projection('FOR PRESENTATION'), BodyPartExamined: 'BREAST', ImageLaterality: 'L', OrganExposed: 'BREAST', PositionerType: 'MAMMOGRAPHIC',
      AnatomicRegionSequence: code('76752008', 'SCT', 'Breast'), ViewPosition: 'CC',
      ViewCodeSequence: [{ ...code('399162004', 'SCT', 'cranio-caudal')[0], ViewModifierCodeSequence: [] }], KVP: '28', BreastImplantPresent: 'NO',
      PartialView: 'NO',
    }),
  }),
  us: imageKind({
    sopClass: '6.1', modality: 'US', rows: 480, columns: 640, pixels: { bitsAllocated: 8, samplesPerPixel: 3, noise: 10 },
    attributes: () => ({
      ImageType: ['ORIGINAL', 'PRIMARY', 'ABDOMINAL', '0001'], BodyPartExamined: 'ABDOMEN', PatientOrientation: null, TransducerData: '', UltrasoundColorDataPresent: 1, LossyImageCompression: '00',
      SequenceOfUltrasoundRegions: [{
        RegionSpatialFormat: 1, RegionDataType: 1, RegionFlags: 0, RegionLocationMinX0: 0, RegionLocationMinY0: 0, RegionLocationMaxX1: 639,
        RegionLocationMaxY1: 479, PhysicalUnitsXDirection: 3, PhysicalUnitsYDirection: 3, PhysicalDeltaX: 0.03, PhysicalDeltaY: 0.03,
      }],
    }),
  }),
  'us-cine': imageKind({
    sopClass: '3.1', modality: 'US', rows: 240, columns: 320, frames: 20, pixels: { bitsAllocated: 8, samplesPerPixel: 3, noise: 10 },
    attributes: () => ({
      ImageType: ['ORIGINAL', 'PRIMARY', 'CARDIAC', '0001'], BodyPartExamined: 'HEART', PatientOrientation: null, FrameTime: '33.33', FrameIncrementPointer: 0x00181063, LossyImageCompression: '00',
      CineRate: '30', RecommendedDisplayFrameRate: '30', HeartRate: '72',
    }),
  }),
  xa: imageKind({
    sopClass: '12.1', modality: 'XA', rows: 512, columns: 512, frames: 12, pixels: { bitsAllocated: 8, noise: 3 },
    attributes: () => ({
      ImageType: ['ORIGINAL', 'PRIMARY', 'SINGLE PLANE'], PixelIntensityRelationship: 'LIN', FrameTime: '66.6', FrameIncrementPointer: 0x00181063,
      KVP: '80', XRayTubeCurrent: '700', ExposureTime: '6', RadiationSetting: 'GR', PositionerMotion: 'STATIC', PositionerPrimaryAngle: '-30',
      PositionerSecondaryAngle: '12', LossyImageCompression: '00', BodyPartExamined: 'HEART', PatientOrientation: ['L', 'F'],
      DistanceSourceToDetector: '1100', DistanceSourceToPatient: '780', IntensifierSize: '200', ImagerPixelSpacing: ['0.2', '0.2'],
    }),
  }),
  nm: imageKind({
    sopClass: '20', modality: 'NM', rows: 64, columns: 64, frames: 16, pixels: { bitsAllocated: 16, bitsStored: 16, noise: 60 },
    attributes: (context, frames) => ({
      ImageType: ['ORIGINAL', 'PRIMARY', 'STATIC', 'EMISSION'], BodyPartExamined: 'HEART', FrameIncrementPointer: [0x00540010, 0x00540020], CountsAccumulated: '512000',
      EnergyWindowVector: Array.from({ length: frames }, () => 1), NumberOfEnergyWindows: 1,
      DetectorVector: Array.from({ length: frames }, (_, i) => i + 1), NumberOfDetectors: frames, PixelSpacing: ['6.4', '6.4'],
      EnergyWindowInformationSequence: [{ EnergyWindowRangeSequence: [{ EnergyWindowLowerLimit: '126', EnergyWindowUpperLimit: '154' }], EnergyWindowName: 'Tc99m' }],
      RadiopharmaceuticalInformationSequence: [{ RadionuclideCodeSequence: code('72454007', 'SCT', '99m Technetium'), RadiopharmaceuticalRoute: 'INTRAVENOUS' }],
      DetectorInformationSequence: Array.from({ length: frames }, () => ({ CollimatorType: 'PARA', ImagePositionPatient: ['0', '0', '0'], ImageOrientationPatient: ['1', '0', '0', '0', '1', '0'] })),
      PatientOrientationCodeSequence: [], PatientGantryRelationshipCodeSequence: [], FrameOfReferenceUID: context.study.frameOfReferenceUid,
      PositionReferenceIndicator: '', ActualFrameDuration: '15000',
    }),
  }),
  pt: imageKind({
    sopClass: '128', modality: 'PT', rows: 168, columns: 168, pixels: { bitsStored: 16, signed: true, noise: 300 },
    attributes: (context) => ({
      ...plane(context, '4.0728', 5), ImageType: ['ORIGINAL', 'PRIMARY'], BodyPartExamined: 'CHEST', Units: 'BQML', CountsSource: 'EMISSION', SeriesType: ['WHOLE BODY', 'IMAGE'],
      DecayCorrection: 'START', CorrectedImage: ['NORM', 'DTIM', 'ATTN', 'SCAT', 'DECY', 'RAN'], NumberOfSlices: context.count, ImageIndex: context.index + 1,
      RescaleIntercept: '0', RescaleSlope: '0.412', FrameReferenceTime: '0', ActualFrameDuration: '180000', AcquisitionDate: context.study.studyDate,
      AcquisitionTime: context.study.studyTime, DecayFactor: '1.02', CollimatorType: 'NONE', PatientOrientationCodeSequence: [],
      PatientGantryRelationshipCodeSequence: [], RandomsCorrectionMethod: 'DLYD', ScatterCorrectionMethod: 'Model-based', AttenuationCorrectionMethod: 'CT-derived',
      RadiopharmaceuticalInformationSequence: [{
        Radiopharmaceutical: 'FDG', RadiopharmaceuticalStartTime: '080000', RadionuclideTotalDose: '350000000', RadionuclideHalfLife: '6586.2',
        RadionuclideCodeSequence: code('77004003', 'SCT', '18 Fluorine'),
      }],
    }),
  }),
  sc: imageKind({
    sopClass: '7', modality: 'OT', rows: 600, columns: 800, pixels: { bitsAllocated: 8, samplesPerPixel: 3, noise: 4 },
    attributes: () => ({ ConversionType: 'WSD', DateOfSecondaryCapture: '20240101', TimeOfSecondaryCapture: '120000', ImageType: ['DERIVED', 'SECONDARY'], PatientOrientation: null, Laterality: '' }),
  }),
  'sc-multiframe': imageKind({
    sopClass: '7.2', modality: 'OT', rows: 512, columns: 512, frames: 8, pixels: { bitsAllocated: 8, noise: 4 },
    attributes: () => ({
      ConversionType: 'WSD', BodyPartExamined: 'CHEST', ImageType: ['DERIVED', 'SECONDARY'], BurnedInAnnotation: 'NO', FrameIncrementPointer: 0x00181063, FrameTime: '40',
      RescaleIntercept: '0', RescaleSlope: '1', RescaleType: 'US', PresentationLUTShape: 'IDENTITY', PatientOrientation: null,
    }),
  }),
  op: imageKind({
    sopClass: '77.1.5.1', modality: 'OP', rows: 768, columns: 768, frames: 1, pixels: { bitsAllocated: 8, samplesPerPixel: 3, noise: 3 },
    attributes: (context) => ({
      ImageType: ['ORIGINAL', 'PRIMARY'], PatientOrientation: ['L', 'F'], ImageLaterality: 'R', BurnedInAnnotation: 'NO', LossyImageCompression: '00',
      AcquisitionDateTime: '20240101120000', PatientEyeMovementCommanded: 'NO', HorizontalFieldOfView: 45, RefractiveStateSequence: [], EmmetropicMagnification: null,
      IntraOcularPressure: null, PupilDilated: 'NO', AcquisitionDeviceTypeCodeSequence: code('409898007', 'SCT', 'Fundus Camera'), IlluminationTypeCodeSequence: [],
      LightPathFilterTypeStackCodeSequence: [], ImagePathFilterTypeStackCodeSequence: [], LensesCodeSequence: [], DetectorType: 'CCD',
      AnatomicRegionSequence: code('81745001', 'SCT', 'Eye'), AcquisitionContextSequence: [],
      SynchronizationFrameOfReferenceUID: context.random.fork('sync').uid(), SynchronizationTrigger: 'NO TRIGGER', AcquisitionTimeSynchronized: 'N', FrameIncrementPointer: 0x00181063, FrameTime: '0',
    }),
  }),
};
