import { code, commonModules, imagePixelModule, type BuiltObject, type InstanceContext } from '../context';
import type { Attributes } from '../dataset';
import { noisyAnatomy, type PixelPlan } from '../pixels';

const STORAGE = '1.2.840.10008.5.1.4.1.1';

/** Multi-frame Functional Groups and Dimension modules (PS3.3 C.7.6.16, C.7.6.17) of a stack of planes. */
function stack(context: InstanceContext, frames: number, thickness: number, frameType: Attributes): Attributes {
  const dimension = context.random.fork('dimension').uid();
  return {
    NumberOfFrames: String(frames),
    FrameOfReferenceUID: context.study.frameOfReferenceUid,
    PositionReferenceIndicator: '',
    DimensionOrganizationSequence: [{ DimensionOrganizationUID: dimension }],
    DimensionIndexSequence: [
      {
        DimensionOrganizationUID: dimension,
        DimensionIndexPointer: 0x00209057,
        FunctionalGroupPointer: 0x00209111,
        DimensionDescriptionLabel: 'In-Stack Position',
      },
    ],
    SharedFunctionalGroupsSequence: [
      {
        PixelMeasuresSequence: [{ SliceThickness: String(thickness), PixelSpacing: ['0.8', '0.8'] }],
        PlaneOrientationSequence: [{ ImageOrientationPatient: ['1', '0', '0', '0', '1', '0'] }],
        FrameAnatomySequence: [{ FrameLaterality: 'U', AnatomicRegionSequence: code('69536005', 'SCT', 'Head') }],
        PixelValueTransformationSequence: [{ RescaleIntercept: '0', RescaleSlope: '1', RescaleType: 'US' }],
        FrameVOILUTSequence: [{ WindowCenter: '1000', WindowWidth: '2000' }],
        ...frameType,
      },
    ],
    PerFrameFunctionalGroupsSequence: Array.from({ length: frames }, (_, i) => ({
      FrameContentSequence: [
        {
          FrameAcquisitionNumber: 1,
          StackID: '1',
          InStackPositionNumber: i + 1,
          DimensionIndexValues: [i + 1],
          TemporalPositionIndex: 1,
        },
      ],
      PlanePositionSequence: [{ ImagePositionPatient: ['-100', '-100', String(i * thickness)] }],
    })),
    PatientPosition: 'HFS',
    AcquisitionContextSequence: [],
    PresentationLUTShape: 'IDENTITY',
    BurnedInAnnotation: 'NO',
    LossyImageCompression: '00',
    ContentQualification: 'RESEARCH',
    AcquisitionDateTime: `${context.study.studyDate}${context.study.studyTime}`,
    AcquisitionDuration: 10,
    AcquisitionNumber: '1',
  };
}

export function buildEnhancedCt(context: InstanceContext): BuiltObject {
  const frames = context.frames ?? 10;
  const pixels = noisyAnatomy(context.random.fork(context.index), {
    rows: context.rows ?? 256,
    columns: context.columns ?? 256,
    frames,
    bitsStored: 12,
  });
  const header = commonModules(context, `${STORAGE}.2.1`, 'CT').put(imagePixelModule(pixels));
  const type = {
    FrameType: ['DERIVED', 'PRIMARY', 'VOLUME', 'NONE'],
    PixelPresentation: 'MONOCHROME',
    VolumetricProperties: 'VOLUME',
    VolumeBasedCalculationTechnique: 'NONE',
  };
  header.put(stack(context, frames, 1, { CTImageFrameTypeSequence: [type] }));
  header.put({
    ImageType: type.FrameType,
    PixelPresentation: 'MONOCHROME',
    VolumetricProperties: 'VOLUME',
    VolumeBasedCalculationTechnique: 'NONE',
  });
  return { header, pixels };
}

export function buildEnhancedMr(context: InstanceContext): BuiltObject {
  const frames = context.frames ?? 10;
  const pixels = noisyAnatomy(context.random.fork(context.index), {
    rows: context.rows ?? 128,
    columns: context.columns ?? 128,
    frames,
    bitsStored: 12,
  });
  const header = commonModules(context, `${STORAGE}.4.1`, 'MR').put(imagePixelModule(pixels));
  const type = {
    FrameType: ['DERIVED', 'PRIMARY', 'M', 'NONE'],
    PixelPresentation: 'MONOCHROME',
    VolumetricProperties: 'VOLUME',
    VolumeBasedCalculationTechnique: 'NONE',
    ComplexImageComponent: 'MAGNITUDE',
    AcquisitionContrast: 'T1',
  };
  header.put(stack(context, frames, 2, { MRImageFrameTypeSequence: [type] }));
  header.put({
    ...type,
    FrameType: undefined,
    ImageType: type.FrameType,
    ResonantNucleus: '1H',
    MagneticFieldStrength: '3',
    KSpaceFiltering: 'NONE',
  });
  return { header, pixels };
}

/** Binary segmentation: frames of single bits that follow each other without a gap (PS3.3 C.8.20, PS3.5 8.1.1). */
export function buildSeg(context: InstanceContext): BuiltObject {
  const frames = context.frames ?? 3;
  const rows = context.rows ?? 64;
  const columns = context.columns ?? 64;
  const pixels = bitPixels(rows, columns, frames);
  const header = commonModules(context, `${STORAGE}.66.4`, 'SEG').put(imagePixelModule(pixels));
  header.put(stack(context, frames, 1, { SegmentIdentificationSequence: [{ ReferencedSegmentNumber: 1 }] }));
  const reference = context.references[0]!;
  header.delete(0x20500020).put({
    ImageType: ['DERIVED', 'PRIMARY'],
    LossyImageCompression: '00',
    SegmentationType: 'BINARY',
    ContentLabel: 'SEGMENTATION',
    ContentDescription: 'Generated',
    ContentCreatorName: 'Generator^One',
    SegmentSequence: [
      {
        SegmentNumber: 1,
        SegmentLabel: 'Liver',
        SegmentAlgorithmType: 'MANUAL',
        SegmentedPropertyCategoryCodeSequence: code('123037004', 'SCT', 'Anatomical Structure'),
        SegmentedPropertyTypeCodeSequence: code('10200004', 'SCT', 'Liver'),
      },
    ],
    ReferencedSeriesSequence: [
      {
        SeriesInstanceUID: reference.seriesInstanceUid,
        ReferencedInstanceSequence: context.references.map((each) => ({
          ReferencedSOPClassUID: each.sopClassUid,
          ReferencedSOPInstanceUID: each.sopInstanceUid,
        })),
      },
    ],
  });
  return { header, pixels };
}

function bitPixels(rows: number, columns: number, frames: number): PixelPlan {
  if ((rows * columns) % 8) throw new Error('generator: rows x columns of a SEG must be a multiple of 8');
  const frameBytes = (rows * columns) / 8;
  return {
    rows,
    columns,
    frames,
    samplesPerPixel: 1,
    bitsAllocated: 1,
    bitsStored: 1,
    signed: false,
    photometric: 'MONOCHROME2',
    frameBytes,
    frame(index) {
      const out = Buffer.alloc(frameBytes);
      for (let i = 0; i < rows * columns; i++) {
        const x = (i % columns) / columns - 0.5;
        const y = Math.floor(i / columns) / rows - 0.5;
        if (x * x + y * y < 0.05 + 0.02 * (index % 5)) out[i >> 3]! |= 1 << (i & 7);
      }
      return out;
    },
  };
}

/** Whole-slide tiles, TILED_FULL (PS3.3 C.8.12.4, C.7.6.17.3). */
export function buildWsi(context: InstanceContext): BuiltObject {
  const frames = context.frames ?? 16;
  const across = Math.ceil(Math.sqrt(frames));
  const rows = context.rows ?? 128;
  const columns = context.columns ?? 128;
  const pixels = noisyAnatomy(context.random.fork(context.index), {
    rows,
    columns,
    frames,
    bitsAllocated: 8,
    samplesPerPixel: 3,
    noise: 6,
  });
  const header = commonModules(context, `${STORAGE}.77.1.6`, 'SM').put(imagePixelModule(pixels));
  const dimension = context.random.fork('dimension').uid();
  header.put({
    ImageType: ['ORIGINAL', 'PRIMARY', 'VOLUME', 'NONE'],
    NumberOfFrames: String(frames),
    FrameOfReferenceUID: context.study.frameOfReferenceUid,
    PositionReferenceIndicator: 'SLIDE_CORNER',
    DimensionOrganizationSequence: [{ DimensionOrganizationUID: dimension }],
    DimensionOrganizationType: 'TILED_FULL',
    TotalPixelMatrixColumns: across * columns,
    TotalPixelMatrixRows: Math.ceil(frames / across) * rows,
    ImagedVolumeWidth: 10,
    ImagedVolumeHeight: 10,
    ImagedVolumeDepth: 1,
    TotalPixelMatrixOriginSequence: [{ XOffsetInSlideCoordinateSystem: '0', YOffsetInSlideCoordinateSystem: '0' }],
    ImageOrientationSlide: ['0', '-1', '0', '-1', '0', '0'],
    SpecimenLabelInImage: 'NO',
    FocusMethod: 'AUTO',
    ExtendedDepthOfField: 'NO',
    VolumetricProperties: 'VOLUME',
    BurnedInAnnotation: 'NO',
    LossyImageCompression: '00',
    AcquisitionDateTime: `${context.study.studyDate}${context.study.studyTime}`,
    AcquisitionContextSequence: [],
    ContainerIdentifier: 'SLIDE1',
    IssuerOfTheContainerIdentifierSequence: [],
    ContainerTypeCodeSequence: code('433466003', 'SCT', 'Microscope slide'),
    NumberOfOpticalPaths: 1,
    TotalPixelMatrixFocalPlanes: 1,
    SpecimenDescriptionSequence: [
      {
        SpecimenIdentifier: 'S1',
        SpecimenUID: context.random.fork('specimen').uid(),
        IssuerOfTheSpecimenIdentifierSequence: [],
        SpecimenPreparationSequence: [],
      },
    ],
    OpticalPathSequence: [
      {
        OpticalPathIdentifier: '1',
        IlluminationTypeCodeSequence: code('111744', 'DCM', 'Brightfield illumination'),
        IlluminationColorCodeSequence: code('371251000', 'SCT', 'White'),
      },
    ],
    SharedFunctionalGroupsSequence: [
      {
        PixelMeasuresSequence: [{ SliceThickness: '0.001', PixelSpacing: ['0.0005', '0.0005'] }],
        WholeSlideMicroscopyImageFrameTypeSequence: [{ FrameType: ['ORIGINAL', 'PRIMARY', 'VOLUME', 'NONE'] }],
        OpticalPathIdentificationSequence: [{ OpticalPathIdentifier: '1' }],
      },
    ],
  });
  return { header, pixels };
}
