import { commonModules, imagePixelModule, type BuiltObject, type InstanceContext } from '../context';
import { noisyAnatomy } from '../pixels';

const STORAGE = '1.2.840.10008.5.1.4.1.1.481';

export function buildRtDose(context: InstanceContext): BuiltObject {
  const frames = context.frames ?? 15;
  const pixels = noisyAnatomy(context.random.fork(context.index), {
    rows: context.rows ?? 40,
    columns: context.columns ?? 40,
    frames,
    bitsAllocated: 32,
    bitsStored: 32,
    noise: 1000,
  });
  const header = commonModules(context, `${STORAGE}.2`, 'RTDOSE').put(imagePixelModule(pixels));
  header.put({
    NumberOfFrames: String(frames),
    FrameIncrementPointer: 0x3004000c,
    FrameOfReferenceUID: context.study.frameOfReferenceUid,
    PositionReferenceIndicator: '',
    ImagePositionPatient: ['-100', '-100', '0'],
    ImageOrientationPatient: ['1', '0', '0', '0', '1', '0'],
    PixelSpacing: ['5', '5'],
    SliceThickness: '5',
    DoseUnits: 'GY',
    DoseType: 'PHYSICAL',
    DoseSummationType: 'PLAN',
    GridFrameOffsetVector: Array.from({ length: frames }, (_, i) => String(i * 5)),
    DoseGridScaling: '0.0000001',
    ReferencedRTPlanSequence: [
      { ReferencedSOPClassUID: `${STORAGE}.5`, ReferencedSOPInstanceUID: context.references[0]!.sopInstanceUid },
    ],
    OperatorsName: '',
  });
  return { header, pixels };
}

export function buildRtStruct(context: InstanceContext): BuiltObject {
  const { study, references } = context;
  const header = commonModules(context, `${STORAGE}.3`, 'RTSTRUCT');
  const contour = (z: number): string[] =>
    Array.from({ length: 40 }, (_, i) =>
      [Math.cos(i / 6.366) * 40, Math.sin(i / 6.366) * 40, z].map((v) => v.toFixed(2)),
    ).flat();
  header.put({
    OperatorsName: '',
    FrameOfReferenceUID: study.frameOfReferenceUid,
    PositionReferenceIndicator: '',
    StructureSetLabel: 'RTSTRUCT',
    StructureSetDate: study.studyDate,
    StructureSetTime: study.studyTime,
    ReferencedFrameOfReferenceSequence: [
      {
        FrameOfReferenceUID: study.frameOfReferenceUid,
        RTReferencedStudySequence: [
          {
            ReferencedSOPClassUID: '1.2.840.10008.3.1.2.3.1',
            ReferencedSOPInstanceUID: study.studyInstanceUid,
            RTReferencedSeriesSequence: [
              {
                SeriesInstanceUID: references[0]!.seriesInstanceUid,
                ContourImageSequence: references.map((each) => ({
                  ReferencedSOPClassUID: each.sopClassUid,
                  ReferencedSOPInstanceUID: each.sopInstanceUid,
                })),
              },
            ],
          },
        ],
      },
    ],
    StructureSetROISequence: ['BODY', 'HEART'].map((name, i) => ({
      ROINumber: String(i + 1),
      ReferencedFrameOfReferenceUID: study.frameOfReferenceUid,
      ROIName: name,
      ROIGenerationAlgorithm: 'MANUAL',
    })),
    ROIContourSequence: [1, 2].map((n) => ({
      ReferencedROINumber: String(n),
      ROIDisplayColor: ['255', String(n * 60), '0'],
      ContourSequence: references.map((each, i) => ({
        ContourImageSequence: [
          { ReferencedSOPClassUID: each.sopClassUid, ReferencedSOPInstanceUID: each.sopInstanceUid },
        ],
        ContourGeometricType: 'CLOSED_PLANAR',
        NumberOfContourPoints: '40',
        ContourData: contour(i * 3),
      })),
    })),
    RTROIObservationsSequence: [1, 2].map((n) => ({
      ObservationNumber: String(n),
      ReferencedROINumber: String(n),
      RTROIInterpretedType: 'ORGAN',
      ROIInterpreter: '',
    })),
    ApprovalStatus: 'UNAPPROVED',
  });
  return { header };
}

export function buildRtPlan(context: InstanceContext): BuiltObject {
  const { study } = context;
  const header = commonModules(context, `${STORAGE}.5`, 'RTPLAN');
  header.put({
    OperatorsName: '',
    RTPlanLabel: 'PLAN1',
    RTPlanDate: study.studyDate,
    RTPlanTime: study.studyTime,
    PlanIntent: 'CURATIVE',
    RTPlanGeometry: 'PATIENT',
    FrameOfReferenceUID: study.frameOfReferenceUid,
    PositionReferenceIndicator: '',
    PrescriptionDescription: 'Generated',
    ApprovalStatus: 'UNAPPROVED',
    FractionGroupSequence: [
      {
        FractionGroupNumber: '1',
        NumberOfFractionsPlanned: '25',
        NumberOfBeams: '2',
        NumberOfBrachyApplicationSetups: '0',
        ReferencedBeamSequence: ['1', '2'].map((n) => ({
          ReferencedBeamNumber: n,
          BeamDose: '1',
          BeamMeterset: '100',
        })),
      },
    ],
    PatientSetupSequence: [{ PatientSetupNumber: '1', PatientPosition: 'HFS' }],
    BeamSequence: ['1', '2'].map((n) => ({
      TreatmentMachineName: 'LINAC1',
      PrimaryDosimeterUnit: 'MU',
      SourceAxisDistance: '1000',
      BeamNumber: n,
      BeamName: `Field ${n}`,
      BeamType: 'STATIC',
      RadiationType: 'PHOTON',
      TreatmentDeliveryType: 'TREATMENT',
      NumberOfWedges: '0',
      NumberOfCompensators: '0',
      NumberOfBoli: '0',
      NumberOfBlocks: '0',
      FinalCumulativeMetersetWeight: '1',
      NumberOfControlPoints: '2',
      BeamLimitingDeviceSequence: [
        { RTBeamLimitingDeviceType: 'X', NumberOfLeafJawPairs: '1' },
        { RTBeamLimitingDeviceType: 'Y', NumberOfLeafJawPairs: '1' },
      ],
      ControlPointSequence: [
        {
          ControlPointIndex: '0',
          CumulativeMetersetWeight: '0',
          NominalBeamEnergy: '6',
          GantryAngle: n === '1' ? '0' : '180',
          GantryRotationDirection: 'NONE',
          BeamLimitingDeviceAngle: '0',
          BeamLimitingDeviceRotationDirection: 'NONE',
          PatientSupportAngle: '0',
          PatientSupportRotationDirection: 'NONE',
          TableTopEccentricAngle: '0',
          TableTopEccentricRotationDirection: 'NONE',
          TableTopVerticalPosition: '',
          TableTopLongitudinalPosition: '',
          TableTopLateralPosition: '',
          IsocenterPosition: ['0', '0', '0'],
          BeamLimitingDevicePositionSequence: [
            { RTBeamLimitingDeviceType: 'X', LeafJawPositions: ['-50', '50'] },
            { RTBeamLimitingDeviceType: 'Y', LeafJawPositions: ['-50', '50'] },
          ],
        },
        { ControlPointIndex: '1', CumulativeMetersetWeight: '1' },
      ],
      ReferencedPatientSetupNumber: '1',
    })),
    ReferencedStructureSetSequence: [
      { ReferencedSOPClassUID: `${STORAGE}.3`, ReferencedSOPInstanceUID: context.references[0]!.sopInstanceUid },
    ],
  });
  return { header };
}
