import {
  plainValues,
  withoutOverlay,
  type AttributeSet,
  type KeptAttributes,
  type RowOverlay,
} from '@archipelago/catalog-model';
import type { RuleContext } from '@archipelago/rules';
import type { RuleRow } from './rule-rows';

const STATION_NAME = '00081010';

/** What was said, of a row that may show effective values. */
export function saidOf({
  attributes,
  overlay,
}: {
  attributes: KeptAttributes;
  overlay: RowOverlay | null;
}): KeptAttributes {
  return withoutOverlay(attributes, overlay);
}

export function stationOf(row: RuleRow): string {
  const value = saidOf(row)[STATION_NAME]?.Value?.[0];
  return typeof value === 'string' ? value : '';
}

/** Source of what was sent to us; rules know our own archive by the name of its site. */
export const OWN_SOURCE = 'archipelago';

/** A source as rules name it. */
export function placeOf(source: string, sites: { siteOf(source: string): string }): RuleContext {
  const site = sites.siteOf(source);
  return { archive: source === OWN_SOURCE ? site : source, site };
}

/** Where a row's values come from. Its source stands for the archive, our own site's included. */
export function contextOf(row: RuleRow, sites: { siteOf(source: string): string }, device?: string): RuleContext {
  return {
    ...(row.source === null ? {} : placeOf(row.source, sites)),
    ...(row.person === null ? {} : { person: row.person }),
    ...(row.origin === null ? {} : { origin: row.origin }),
    ...(device === undefined ? {} : { modality: device }),
  };
}

/** Elements by keyword, as rules look at them; sequences are not among them. */
export function tagsOf(said: KeptAttributes, attributes: AttributeSet): Record<string, string[]> {
  const tags: Record<string, string[]> = {};
  for (const [key, element] of Object.entries(said)) {
    const attribute = attributes.get(key);
    if (attribute && element.vr !== 'SQ') tags[attribute.keyword] = plainValues(key, element);
  }
  return tags;
}
