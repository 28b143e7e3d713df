import type { SqlClient } from '@archipelago/platform-storage';
import { keyBatch, levelKeys, seriesKey, studyKey, type Batch } from './batch';
import {
  contentDifferences,
  demographicDifferences,
  flagDifferences,
  identityDifferences,
  incompleteDifferences,
} from './differences';
import type { IndexedStudy } from './index-pack.types';
import { placeInstances, type Verdict } from './instances';
import { lockLevels, lockStudies, touchedPatients, type Locked } from './levels';
import { mergeAttributes } from './merge';
import { regroupLocked } from './regroup';
import { updateSums, type UpdatedStudy } from './sums';

export interface Presented {
  verdicts: Verdict[];
  differences: number;
  /** What each pack brought to each study, in the order of the packs. */
  studies: (IndexedStudy & { pack: number })[];
  /** All studies of which something changed: the above, and those that lost an answer. */
  updated: UpdatedStudy[];
  /** Ids of patients that are new, or whose attributes or studies changed. */
  patients: string[];
}

function summarise(updated: UpdatedStudy[], locked: Locked, verdicts: readonly Verdict[]): Presented['studies'] {
  const groups = new Map<string, { verdicts: Verdict[]; series: Set<string> }>();
  for (const verdict of verdicts) {
    const study = locked.studies.get(studyKey(verdict.one) ?? '')?.id;
    const series = locked.series.get(seriesKey(verdict.one) ?? '')?.id;
    if (verdict.outcome !== 'answer' || study === undefined || series === undefined) continue;
    const key = `${study} ${verdict.one.pack}`;
    const group = groups.get(key) ?? { verdicts: [], series: new Set<string>() };
    group.verdicts.push(verdict);
    group.series.add(series);
    groups.set(key, group);
  }
  const packs = [...new Set(verdicts.map(({ one }) => one.pack))].sort((a, b) => a - b);
  return packs.flatMap((pack) =>
    updated.flatMap(({ id, revision }) => {
      const group = groups.get(`${id} ${pack}`);
      const entry = group?.verdicts[0]?.one.entry;
      if (!group || !entry) return [];
      const { source, origin } = entry;
      const seriesIds = [...group.series];
      return [{ pack, studyId: id, revision, seriesIds, newInstances: group.verdicts.length, source, origin }];
    }),
  );
}

/**
 * Brings a batch into the presentation rows: the part of indexing that the rebuild runs again. Lock order: study
 * buckets, then rows of patient, study, series, instance, each by key.
 */
export async function present(client: SqlClient, batch: Batch): Promise<Presented> {
  await lockStudies(
    client,
    batch.entries.map((one) => one.projection.study?.studyInstanceUid ?? ''),
  );
  const keyed = keyBatch(batch.entries);
  const locked = await lockLevels(client, levelKeys(keyed));
  const verdicts = await placeInstances(client, locked, batch);
  const merged = await mergeAttributes(client, keyed, locked, verdicts);
  const updated = await updateSums(client, locked, verdicts);
  const differences = await flagDifferences(client, [
    ...contentDifferences(verdicts, locked),
    ...incompleteDifferences(batch.entries),
    ...demographicDifferences(batch.entries, locked),
    ...(await identityDifferences(client, batch.entries, locked)),
  ]);
  const grouped = await regroupLocked(client, locked, batch.options ?? {});
  return {
    verdicts,
    differences,
    studies: summarise(updated, locked, verdicts),
    updated: [...updated, ...grouped.studies],
    patients: touchedPatients(locked, merged.patients, merged.studies),
  };
}
