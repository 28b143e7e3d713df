import type { PackEntry } from '@archipelago/pack';
import type { SqlClient } from '@archipelago/platform-storage';
import { insertAnswers, projectAnswers, type Answer } from './answers';
import type { BatchEntry } from './batch';
import { deriveAnswers, type Derived } from './derive';
import { formerStudies } from './derive-read';
import type { IndexPackInput } from './index-pack.types';
import { lockStudies } from './levels';
import { sourceIds } from './source-rows';
import { findTombstoned } from './tombstones';

const isAnswer = (entry: PackEntry): boolean => entry.harvest !== undefined;

/** What archives answered, of all entries of the pack that are answers. */
export async function readPackAnswers(client: SqlClient, input: IndexPackInput): Promise<Answer[]> {
  const entries = input.index.entries.filter(isAnswer);
  if (entries.length === 0) return [];
  const sources = await sourceIds(
    client,
    entries.map((entry) => entry.source),
  );
  return projectAnswers(input, entries, sources);
}

/**
 * Locks the studies of the answers, those that they come from, and those of the objects of the same pack.
 * @returns the UIDs of the studies to derive anew
 */
export async function lockAnswers(
  client: SqlClient,
  answers: readonly Answer[],
  objects: readonly BatchEntry[],
): Promise<string[]> {
  const named = answers.map(({ said }) => said.studyInstanceUid);
  const former = await formerStudies(
    client,
    answers.filter(({ said }) => said.series !== null).map(({ said }) => said.seriesInstanceUid),
    answers.flatMap(({ said }) => said.instance?.sopInstanceUid ?? []),
  );
  const studies = [...new Set([...named, ...former])].sort();
  await lockStudies(client, [...studies, ...objects.map((one) => one.projection.study?.studyInstanceUid ?? '')]);
  return studies;
}

/** Writes what archives answered into the source rows; what a tombstone names as deleted. */
export async function writeAnswers(client: SqlClient, pack: string, answers: readonly Answer[]): Promise<void> {
  const held = await findTombstoned(client, answers, ({ said }) => ({
    study: said.studyInstanceUid,
    series: said.seriesInstanceUid,
    instance: said.instance?.sopInstanceUid ?? '',
  }));
  await insertAnswers(client, pack, answers, new Set(held.keys()));
}

/** Writes what archives answered into the source rows, and derives the presentation of those studies anew. */
export async function presentAnswers(
  client: SqlClient,
  pack: string,
  input: IndexPackInput,
  answers: readonly Answer[],
  studyUids: readonly string[],
): Promise<Derived> {
  await writeAnswers(client, pack, answers);
  return deriveAnswers(client, studyUids, input);
}
