import { code, type BuiltObject, type InstanceContext } from '../context';
import { GenDataset } from '../dataset';

/** Objects without patient, study and series (PS3.4 annex U, annex X). */
export function buildHangingProtocol(context: InstanceContext): BuiltObject {
  const { study } = context;
  const header = GenDataset.of({
    InstanceCreationDate: study.studyDate,
    InstanceCreationTime: study.studyTime,
    SOPClassUID: '1.2.840.10008.5.1.4.38.1',
    SOPInstanceUID: context.sopInstanceUid,
    Manufacturer: 'Archipelago Generator',
    HangingProtocolName: `CHEST ${context.index + 1}`,
    HangingProtocolDescription: 'Current and prior chest CT',
    HangingProtocolLevel: 'SITE',
    HangingProtocolCreator: 'Generator^One',
    HangingProtocolCreationDateTime: `${study.studyDate}120000`,
    HangingProtocolDefinitionSequence: [
      {
        Modality: 'CT',
        AnatomicRegionSequence: code('51185008', 'SCT', 'Chest'),
        Laterality: null,
        ProcedureCodeSequence: [],
        ReasonForRequestedProcedureCodeSequence: [],
      },
    ],
    NumberOfPriorsReferenced: 1,
    ImageSetsSequence: [
      {
        ImageSetSelectorSequence: [
          {
            ImageSetSelectorUsageFlag: 'NO_MATCH',
            SelectorAttribute: 0x00180015,
            SelectorAttributeVR: 'CS',
            SelectorCSValue: 'CHEST',
            SelectorValueNumber: 1,
          },
        ],
        TimeBasedImageSetsSequence: [
          {
            ImageSetNumber: 1,
            ImageSetSelectorCategory: 'RELATIVE_TIME',
            RelativeTime: [0, 0],
            RelativeTimeUnits: 'MINUTES',
            ImageSetLabel: 'Current',
          },
        ],
      },
    ],
    HangingProtocolUserIdentificationCodeSequence: [],
    NumberOfScreens: 1,
    NominalScreenDefinitionSequence: [
      { NumberOfVerticalPixels: 1024, NumberOfHorizontalPixels: 1280, DisplayEnvironmentSpatialPosition: [0, 1, 1, 0] },
    ],
    DisplaySetsSequence: [
      {
        DisplaySetNumber: 1,
        DisplaySetPresentationGroup: 1,
        ImageSetNumber: 1,
        ImageBoxesSequence: [
          { ImageBoxNumber: 1, DisplayEnvironmentSpatialPosition: [0, 1, 1, 0], ImageBoxLayoutType: 'STACK' },
        ],
        FilterOperationsSequence: [],
        SortingOperationsSequence: [],
      },
    ],
    PartialDataDisplayHandling: 'MAINTAIN_LAYOUT',
  });
  return { header };
}

export function buildColorPalette(context: InstanceContext): BuiltObject {
  const ramp = (power: number): Buffer => {
    const out = Buffer.alloc(256);
    for (let i = 0; i < 256; i++) out[i] = Math.round(Math.pow(i / 255, power) * 255);
    return out;
  };
  const header = GenDataset.of({
    SOPClassUID: '1.2.840.10008.5.1.4.39.1',
    SOPInstanceUID: context.sopInstanceUid,
    Manufacturer: 'Archipelago Generator',
    InstanceNumber: String(context.index + 1),
    ContentLabel: `PALETTE_${context.index + 1}`,
    ContentDescription: 'Generated ramp',
    ContentCreatorName: 'Generator^One',
    RedPaletteColorLookupTableDescriptor: [256, 0, 8],
    GreenPaletteColorLookupTableDescriptor: [256, 0, 8],
    BluePaletteColorLookupTableDescriptor: [256, 0, 8],
    PaletteColorLookupTableUID: context.random.fork(`lut-${context.index}`).uid(),
    RedPaletteColorLookupTableData: ramp(0.5),
    GreenPaletteColorLookupTableData: ramp(1),
    BluePaletteColorLookupTableData: ramp(2),
  });
  return { header };
}
