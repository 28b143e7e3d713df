import { code, commonModules, type BuiltObject, type InstanceContext } from '../context';
import { GenDataset, type Attributes } from '../dataset';

const STORAGE = '1.2.840.10008.5.1.4.1.1';

const text = (name: Attributes[], value: string): Attributes => ({
  RelationshipType: 'CONTAINS',
  ValueType: 'TEXT',
  ConceptNameCodeSequence: name,
  TextValue: value,
});
const container = (name: Attributes[], items: Attributes[]): Attributes => ({
  RelationshipType: 'CONTAINS',
  ValueType: 'CONTAINER',
  ConceptNameCodeSequence: name,
  ContinuityOfContent: 'SEPARATE',
  ContentSequence: items,
});

function evidence(context: InstanceContext): Attributes[] {
  return [
    {
      StudyInstanceUID: context.study.studyInstanceUid,
      ReferencedSeriesSequence: [
        {
          SeriesInstanceUID: context.references[0]!.seriesInstanceUid,
          ReferencedSOPSequence: context.references.map((each) => ({
            ReferencedSOPClassUID: each.sopClassUid,
            ReferencedSOPInstanceUID: each.sopInstanceUid,
          })),
        },
      ],
    },
  ];
}

function images(context: InstanceContext): Attributes[] {
  return context.references.map((each) => ({
    RelationshipType: 'CONTAINS',
    ValueType: 'IMAGE',
    ReferencedSOPSequence: [{ ReferencedSOPClassUID: each.sopClassUid, ReferencedSOPInstanceUID: each.sopInstanceUid }],
  }));
}

function document(
  context: InstanceContext,
  sopClass: string,
  modality: string,
  title: Attributes[],
  content: Attributes[],
): GenDataset {
  return commonModules(context, `${STORAGE}.${sopClass}`, modality).put({
    ReferencedPerformedProcedureStepSequence: [],
    CompletionFlag: 'COMPLETE',
    VerificationFlag: 'UNVERIFIED',
    PerformedProcedureCodeSequence: [],
    ValueType: 'CONTAINER',
    ConceptNameCodeSequence: title,
    ContinuityOfContent: 'SEPARATE',
    ContentSequence: content,
  });
}

export function buildSrBasic(context: InstanceContext): BuiltObject {
  const header = document(context, '88.11', 'SR', code('18748-4', 'LN', 'Diagnostic imaging report'), [
    container(code('121070', 'DCM', 'Findings'), [
      text(code('121071', 'DCM', 'Finding'), 'No abnormality. Nothing else of note in a generated report.'),
    ]),
    container(code('121076', 'DCM', 'Conclusions'), [text(code('121077', 'DCM', 'Conclusion'), 'Normal.')]),
  ]);
  return { header };
}

export function buildSrComprehensive(context: InstanceContext): BuiltObject {
  const measurement: Attributes = {
    RelationshipType: 'CONTAINS',
    ValueType: 'NUM',
    ConceptNameCodeSequence: code('103339001', 'SCT', 'Long axis'),
    MeasuredValueSequence: [{ NumericValue: '23.4', MeasurementUnitsCodeSequence: code('mm', 'UCUM', 'millimeter') }],
    ContentSequence: [
      {
        RelationshipType: 'INFERRED FROM',
        ValueType: 'SCOORD',
        GraphicType: 'POLYLINE',
        GraphicData: [10, 10, 40.5, 42],
        ContentSequence: [
          {
            RelationshipType: 'SELECTED FROM',
            ValueType: 'IMAGE',
            ReferencedSOPSequence: [
              {
                ReferencedSOPClassUID: context.references[0]!.sopClassUid,
                ReferencedSOPInstanceUID: context.references[0]!.sopInstanceUid,
              },
            ],
          },
        ],
      },
    ],
  };
  const header = document(context, '88.33', 'SR', code('126000', 'DCM', 'Imaging Measurement Report'), [
    container(code('126010', 'DCM', 'Imaging Measurements'), [measurement]),
  ]);
  header.put({ CurrentRequestedProcedureEvidenceSequence: evidence(context) });
  return { header };
}

export function buildKos(context: InstanceContext): BuiltObject {
  const header = commonModules(context, `${STORAGE}.88.59`, 'KO').put({
    ReferencedPerformedProcedureStepSequence: [],
    ValueType: 'CONTAINER',
    ConceptNameCodeSequence: code('113000', 'DCM', 'Of Interest'),
    ContinuityOfContent: 'SEPARATE',
    CurrentRequestedProcedureEvidenceSequence: evidence(context),
    ContentSequence: images(context),
    ContentTemplateSequence: [{ MappingResource: 'DCMR', TemplateIdentifier: '2010' }],
  });
  return { header };
}

export function buildGsps(context: InstanceContext): BuiltObject {
  const header = commonModules(context, `${STORAGE}.11.1`, 'PR').put({
    BodyPartExamined: 'CHEST',
    ContentLabel: 'PRESENTATION',
    ContentDescription: '',
    PresentationCreationDate: context.study.studyDate,
    PresentationCreationTime: context.study.studyTime,
    ContentCreatorName: 'Generator^One',
    ReferencedSeriesSequence: [
      {
        SeriesInstanceUID: context.references[0]!.seriesInstanceUid,
        ReferencedImageSequence: context.references.map((each) => ({
          ReferencedSOPClassUID: each.sopClassUid,
          ReferencedSOPInstanceUID: each.sopInstanceUid,
        })),
      },
    ],
    DisplayedAreaSelectionSequence: [
      {
        DisplayedAreaTopLeftHandCorner: [1, 1],
        DisplayedAreaBottomRightHandCorner: [512, 512],
        PresentationSizeMode: 'SCALE TO FIT',
        PresentationPixelAspectRatio: ['1', '1'],
      },
    ],
    SoftcopyVOILUTSequence: [{ WindowCenter: '40', WindowWidth: '400' }],
    GraphicLayerSequence: [{ GraphicLayer: 'LAYER1', GraphicLayerOrder: '1' }],
    GraphicAnnotationSequence: [
      {
        GraphicLayer: 'LAYER1',
        GraphicObjectSequence: [
          {
            GraphicAnnotationUnits: 'PIXEL',
            GraphicDimensions: 2,
            NumberOfGraphicPoints: 3,
            GraphicData: [10, 10, 90, 10, 90, 90],
            GraphicType: 'POLYLINE',
            GraphicFilled: 'N',
          },
        ],
      },
    ],
    PresentationLUTShape: 'IDENTITY',
  });
  return { header };
}

/** A small PDF of one page, written by hand: valid header, page tree, cross-reference table. */
function pdf(line: string): Buffer {
  const stream = `BT /F1 18 Tf 72 720 Td (${line.replace(/[^ -~]|[()\\]/g, '?')}) Tj ET`;
  const objects = [
    '<< /Type /Catalog /Pages 2 0 R >>',
    '<< /Type /Pages /Kids [3 0 R] /Count 1 >>',
    '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>',
    `<< /Length ${stream.length} >>\nstream\n${stream}\nendstream`,
    '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>',
  ];
  let body = '%PDF-1.4\n';
  const offsets = objects.map((object, i) => {
    const at = body.length;
    body += `${i + 1} 0 obj\n${object}\nendobj\n`;
    return at;
  });
  const xref = body.length;
  const rows = offsets.map((at) => `${String(at).padStart(10, '0')} 00000 n \n`).join('');
  body += `xref\n0 6\n0000000000 65535 f \n${rows}trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n${xref}\n%%EOF\n`;
  return Buffer.from(body, 'latin1');
}

export function buildPdf(context: InstanceContext): BuiltObject {
  const bytes = pdf(`Report ${context.index + 1} of study ${context.study.studyId}`);
  const header = commonModules(context, `${STORAGE}.104.1`, 'DOC').put({
    ConversionType: 'WSD',
    BurnedInAnnotation: 'YES',
    AcquisitionDateTime: null,
    DocumentTitle: 'Generated report',
    ConceptNameCodeSequence: code('18748-4', 'LN', 'Diagnostic imaging report'),
    MIMETypeOfEncapsulatedDocument: 'application/pdf',
    EncapsulatedDocumentLength: bytes.length,
    EncapsulatedDocument: bytes,
  });
  return { header };
}

/** 12-lead ECG of 10 s at 500 Hz (PS3.3 A.34.3): the shape of a heart beat with noise. */
export function buildEcg(context: InstanceContext): BuiltObject {
  const samples = 5000;
  const leads = ['I', 'II', 'III', 'aVR', 'aVL', 'aVF', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6'];
  const data = Buffer.alloc(samples * leads.length * 2);
  const random = context.random.fork(`ecg-${context.index}`);
  for (let i = 0; i < samples; i++) {
    const phase = (i % 400) / 400;
    const beat =
      Math.exp(-(((phase - 0.4) / 0.015) ** 2)) * 1000 +
      Math.exp(-(((phase - 0.65) / 0.05) ** 2)) * 250 +
      Math.exp(-(((phase - 0.25) / 0.03) ** 2)) * 120;
    leads.forEach((_, lead) =>
      data.writeInt16LE(Math.round(beat * (1 - lead / 14) + random.gaussian() * 6), (i * leads.length + lead) * 2),
    );
  }
  const header = commonModules(context, `${STORAGE}.9.1.1`, 'ECG').put({
    AcquisitionDateTime: `${context.study.studyDate}${context.study.studyTime}`,
    AcquisitionContextSequence: [],
    WaveformSequence: [
      {
        WaveformOriginality: 'ORIGINAL',
        NumberOfWaveformChannels: 12,
        NumberOfWaveformSamples: samples,
        SamplingFrequency: '500',
        MultiplexGroupLabel: 'RHYTHM',
        ChannelDefinitionSequence: leads.map((lead, i) => ({
          ChannelLabel: lead,
          ChannelSourceSequence: code(`2:${i + 1}`, 'MDC', `Lead ${lead}`),
          ChannelSensitivity: '1',
          ChannelSensitivityUnitsSequence: code('uV', 'UCUM', 'microvolt'),
          ChannelSensitivityCorrectionFactor: '1',
          ChannelBaseline: '0',
          ChannelSampleSkew: '0',
          WaveformBitsStored: 16,
        })),
        WaveformBitsAllocated: 16,
        WaveformSampleInterpretation: 'SS',
        WaveformData: data,
      },
    ],
  });
  return { header };
}
