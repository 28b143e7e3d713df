/** Stored traffic as rules see it: for dry runs and explanations. */
import { withoutOverlay, type AttributeSet, type KeptAttributes } from '@archipelago/catalog-model';
import type { RuleInput } from '@archipelago/rules';
import type { SqlClient } from '@archipelago/platform-storage';
import { contextOf, stationOf, tagsOf } from './rule-context';
import { deviceNames, seriesRows, studyRows, type RuleRow } from './rule-rows';

export interface RuleSample extends RuleInput {
  level: 'study' | 'series';
  /** Of its row. */
  id: string;
  /** `study` or `series`, with its UID. */
  what: string;
}
export interface SampleOptions {
  attributes: AttributeSet;
  archives: readonly string[];
  siteOf(source: string): string;
}

const AT_ONCE = 200;
const NEWEST = 'SELECT id::text FROM study WHERE NOT is_group AND id < $1 ORDER BY id DESC LIMIT $2';
const UIDS: Record<'study' | 'series', string> = { study: '0020000D', series: '0020000E' };

function sampleOf(row: RuleRow, level: 'study' | 'series', options: SampleOptions, device?: string): RuleSample {
  const own = withoutOverlay(row.attributes, row.overlay);
  const above = row.above.map((one) => withoutOverlay(one.attributes, one.overlay));
  const modality: KeptAttributes = row.modality === null ? {} : { '00080060': { vr: 'CS', Value: [row.modality] } };
  const said = Object.assign({}, ...above, modality, own) as KeptAttributes;
  const uid = own[UIDS[level]]?.Value?.[0];
  return {
    tags: tagsOf(said, options.attributes),
    ctx: contextOf(row, options, device),
    level,
    id: row.id,
    what: `${level} ${typeof uid === 'string' ? uid : row.id}`,
  };
}

/** The studies of these ids, each followed by its series. */
export async function samplesOf(
  client: SqlClient,
  studies: readonly string[],
  options: SampleOptions,
): Promise<RuleSample[]> {
  const ofStudies = await studyRows(client, studies, options.archives);
  const ofSeries = await seriesRows(client, studies, options.archives);
  const devices = await deviceNames(
    client,
    ofSeries.flatMap((row) =>
      row.source !== null && stationOf(row) !== '' ? [{ place: row.source, station: stationOf(row) }] : [],
    ),
  );
  return [
    ...ofStudies.map((row) => sampleOf(row, 'study', options)),
    ...ofSeries.map((row) => sampleOf(row, 'series', options, devices.get(`${row.source} ${stationOf(row)}`))),
  ];
}

/** Of the newest studies, in batches: memory does not grow with their number. */
export async function* newestSamples(
  withClient: <T>(use: (client: SqlClient) => Promise<T>) => Promise<T>,
  most: number,
  options: SampleOptions & { study?(): void },
): AsyncGenerator<RuleSample> {
  let before = '9223372036854775807';
  for (let left = most; left > 0;) {
    const { ids, samples } = await withClient(async (client) => {
      const { rows } = await client.query<{ id: string }>(NEWEST, [before, Math.min(AT_ONCE, left)]);
      const found = rows.map((row) => row.id);
      return { ids: found, samples: found.length === 0 ? [] : await samplesOf(client, found, options) };
    });
    for (const _ of ids) options.study?.();
    yield* samples;
    if (ids.length < Math.min(AT_ONCE, left)) return;
    left -= ids.length;
    before = ids.at(-1)!;
  }
}
