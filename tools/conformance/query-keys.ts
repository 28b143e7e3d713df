import { type CatalogLevel, DEFAULT_ATTRIBUTES, matchingTypes, type QueryAttribute } from '@archipelago/catalog-model';
import { table } from './markdown';

const TITLES: Record<CatalogLevel, string> = {
  PATIENT: 'Patient level',
  STUDY: 'Study level',
  SERIES: 'Series level',
  IMAGE: 'Instance level',
};
const UNIQUE = new Set(['00100020', '0020000D', '0020000E', '00080018']);

/** One table for each level, and one for the attributes that only objects without a patient have. */
export function queryKeys(): string[] {
  const kept = new Set((Object.keys(TITLES) as CatalogLevel[]).flatMap((level) => DEFAULT_ATTRIBUTES.ofLevel(level)));
  const all = DEFAULT_ATTRIBUTES.all();
  const sections = (Object.entries(TITLES) as [CatalogLevel, string][]).flatMap(([level, title]) => [
    `#### ${title}`,
    keys(all.filter((one) => one.level === level && (one.computed || kept.has(one)))),
  ]);
  const patientless = all.filter((one) => !one.computed && !kept.has(one));
  return [
    ...sections,
    '#### Objects without a patient',
    'These, and those of the study, series and instance levels.',
    keys(patientless),
  ];
}

function keys(attributes: readonly QueryAttribute[]): string {
  return table(
    ['Attribute', 'Tag', 'VR', 'Matching'],
    attributes.map((one) => [name(one), tag(one), one.vr, matching(one)]),
  );
}

function name(one: QueryAttribute): string {
  return `${one.keyword}${UNIQUE.has(one.key) ? ' (unique)' : ''}${one.computed ? ' (computed)' : ''}`;
}

function tag(one: QueryAttribute): string {
  return `(${one.key.slice(0, 4)},${one.key.slice(4)})`;
}

function matching(one: QueryAttribute): string {
  const types = matchingTypes(one.vr).join(', ');
  return one.items ? `${types}; of its items: ${one.items.map((item) => item.keyword).join(', ')}` : types;
}
