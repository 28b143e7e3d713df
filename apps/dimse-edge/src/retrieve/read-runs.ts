/**
 * Which instances are read together: a study lies in a handful of packs, its instances back to back, so that a few large
 * range reads serve it. Pure planning.
 */
import type { CopyV1, LocatedInstanceV1 } from '@archipelago/contracts';

/** Instances whose datasets are read by one range [start, end) of one pack. */
export interface ReadRun {
  copy: CopyV1;
  start: number;
  end: number;
  instances: LocatedInstanceV1[];
}

/** One instance by itself: too large to be held, or without a copy that fits into a run. */
export interface SingleRead {
  copy?: undefined;
  instances: [LocatedInstanceV1];
}

export interface RunLimits {
  /** Most bytes of one range read. */
  maxRunBytes: number;
  /** Bytes between two datasets (trailer, preamble, group 0002) that are read and thrown away. */
  maxGap: number;
  /** Larger instances are streamed and never held. */
  maxHeld: number;
}

export const RUN_LIMITS: RunLimits = { maxRunBytes: 4 * 1024 * 1024, maxGap: 64 * 1024, maxHeld: 16 * 1024 * 1024 };

export function planRuns(
  instances: readonly LocatedInstanceV1[],
  limits: RunLimits = RUN_LIMITS,
): (ReadRun | SingleRead)[] {
  const runs: (ReadRun | SingleRead)[] = [];
  let open: ReadRun | undefined;
  for (const instance of instances) {
    const copy = instance.copies[0];
    if (!copy || copy.datasetLength > limits.maxHeld) {
      open = undefined;
      runs.push({ instances: [instance] });
      continue;
    }
    const end = copy.datasetOffset + copy.datasetLength;
    if (open && joins(open, copy, limits)) {
      open.end = end;
      open.instances.push(instance);
      continue;
    }
    open = { copy, start: copy.datasetOffset, end, instances: [instance] };
    runs.push(open);
  }
  return runs;
}

function joins(run: ReadRun, copy: CopyV1, limits: RunLimits): boolean {
  if (run.copy.packId !== copy.packId || run.copy.key !== copy.key) return false;
  const gap = copy.datasetOffset - run.end;
  return gap >= 0 && gap <= limits.maxGap && copy.datasetOffset + copy.datasetLength - run.start <= limits.maxRunBytes;
}
