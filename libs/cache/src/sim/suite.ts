import { hospital, informedZipf, mixture, scans, zipfDrift, ZipfOptions } from './generators';
import { Score } from './simulate';
import { Trace } from './trace';

export interface BuiltIn {
  name: string;
  make(scale: number): Trace;
  /** Where it is known: what a policy would hit that is told all that can be learnt from the past. */
  informed?(scale: number, budget: number): Score;
}

function zipf(name: string, options: Omit<ZipfOptions, 'name'>): BuiltIn {
  const sized = (scale: number): ZipfOptions => ({
    ...options,
    name,
    studies: Math.round(options.studies * scale),
    accesses: Math.round(options.accesses * scale),
  });
  return {
    name,
    make: (scale) => zipfDrift(sized(scale)),
    informed: (scale, budget) => informedZipf(sized(scale), budget),
  };
}

/** The built-in traces. `scale` 1 is what the benchmark runs; tests take less. */
export const BUILT_IN: BuiltIn[] = [
  zipf('zipf', { studies: 10_000, accesses: 150_000, alpha: 0.9, drift: 0, seed: 11 }),
  zipf('zipf-drift', { studies: 10_000, accesses: 150_000, alpha: 0.9, drift: 0.02, seed: 12 }),
  zipf('zipf-steep-drift', { studies: 20_000, accesses: 150_000, alpha: 1.1, drift: 0.05, seed: 13 }),
  { name: 'priors', make: (scale) => hospital({ name: 'priors', patients: 6_000 * scale, days: 180, seed: 14 }) },
  {
    name: 'priors-scans',
    make: (scale) =>
      hospital({
        name: 'priors-scans',
        patients: 6_000 * scale,
        days: 180,
        seed: 15,
        scanEvery: 10,
        scanStudies: 2_500 * scale,
      }),
  },
  {
    name: 'mixture',
    make: (scale) => {
      const clinic = hospital({ name: 'clinic', patients: 4_000 * scale, days: 180, seed: 16 });
      const popular = zipfDrift({ studies: 5_000 * scale, accesses: 60_000 * scale, alpha: 1, drift: 0.02, seed: 17 });
      const bulk = scans({ scans: 6, studies: 4_000 * scale, days: 180, seed: 18 });
      return mixture('mixture', [clinic, popular, bulk]);
    },
  },
];
