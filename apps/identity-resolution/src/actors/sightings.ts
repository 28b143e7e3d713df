import type { ActorKind, EquipmentV1 } from '@archipelago/contracts';
import { foldText } from '@archipelago/dicom-core';

/** What one source says of one series. */
export interface SeenSeries {
  /** Archive or site that says it. */
  place: string;
  /** DICOM JSON (PS3.18 F). */
  attributes: Record<string, { Value?: unknown[] }>;
  /** It came from the device itself, under this AE title. */
  sentBy?: string;
}

export interface Sighting {
  kind: ActorKind;
  place: string;
  name: string;
  equipment?: EquipmentV1;
  /** What tells this one from all others, wherever it is seen. */
  mark?: string;
}

/** Modality and users of a series: General Equipment (PS3.3 C.7.5.1) and General Series (C.7.3.1). */
export function sightingsOf({ place, attributes, sentBy }: SeenSeries): Sighting[] {
  const equipment = {
    manufacturer: text(attributes, '00080070'),
    model: text(attributes, '00081090'),
    serial: text(attributes, '00181000'),
  };
  const mark = serialMark(equipment);
  const device = {
    ...(Object.values(equipment).some((value) => value !== '') ? { equipment } : {}),
    ...(mark === undefined ? {} : { mark }),
  };
  const station = text(attributes, '00081010');
  const names = [...(station === '' ? [] : [`station:${station}`]), ...(sentBy === undefined ? [] : [`ae:${sentBy}`])];
  return [
    ...names.map((name) => ({ kind: 'modality' as const, place, name, ...device })),
    ...staff(attributes, '00081070').map((name) => ({ kind: 'user' as const, place, name: `operator:${name}` })),
    ...staff(attributes, '00081050').map((name) => ({ kind: 'user' as const, place, name: `physician:${name}` })),
  ];
}

/**
 * A serial number counts with its manufacturer and model, and only when it looks like one: many devices are delivered with
 * 0, 0000 or 12345 in it, and these would all be one.
 */
export function serialMark({ manufacturer, model, serial }: EquipmentV1): string | undefined {
  const plain = serial.toUpperCase().replace(/[^0-9A-Z]/g, '');
  const digits = plain.replace(/\D/g, '');
  const placeholder = new Set(plain).size < 3 || '01234567890'.includes(digits) || '9876543210'.includes(digits);
  if (plain.length < 4 || placeholder || manufacturer === '' || model === '') return undefined;
  return [foldText(manufacturer), foldText(model), plain].join('|');
}

function text(attributes: SeenSeries['attributes'], tag: string): string {
  const value = attributes[tag]?.Value?.[0];
  return typeof value === 'string' ? value.trim() : '';
}

/** Names as DICOM JSON has them (PS3.18 F.2.2), by their alphabetic group, in one way of writing. */
function staff(attributes: SeenSeries['attributes'], tag: string): string[] {
  const values = attributes[tag]?.Value ?? [];
  return values.flatMap((value) => {
    const alphabetic = (value as { Alphabetic?: unknown } | null)?.Alphabetic;
    const name = typeof alphabetic === 'string' ? foldText(alphabetic.replace(/\^+$/, '')).toUpperCase() : '';
    return name === '' ? [] : [name];
  });
}
