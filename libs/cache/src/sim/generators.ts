import { Random } from '../random';
import { IndexedHeap } from '../heap';
import { Score, Tally } from './simulate';
import { Trace, TraceBuilder } from './trace';

const HOUR = 3600;
const DAY = 24 * HOUR;

interface Modality {
  share: number;
  /** Median size in bytes, and spread (standard deviation of the logarithm). */
  median: number;
  spread: number;
}

/** Shares and sizes as hospitals have them: many small radiographs, few very large sets. */
const MODALITIES: Modality[] = [
  { share: 0.42, median: 18e6, spread: 0.5 }, // CR, DX
  { share: 0.2, median: 220e6, spread: 0.8 }, // CT
  { share: 0.12, median: 130e6, spread: 0.7 }, // MR
  { share: 0.15, median: 60e6, spread: 1.0 }, // US
  { share: 0.06, median: 160e6, spread: 0.4 }, // MG
  { share: 0.05, median: 450e6, spread: 1.0 }, // XA, PT, tomosynthesis
];

/** Archives by share of studies: milliseconds until the first byte, and bytes per millisecond. */
const ARCHIVES = [
  { share: 0.5, latency: 300, rate: 60_000 },
  { share: 0.3, latency: 900, rate: 20_000 },
  { share: 0.2, latency: 8_000, rate: 8_000 },
];

function pick<T extends { share: number }>(random: Random, of: T[]): T {
  let left = random.next();
  for (const each of of) if ((left -= each.share) < 0) return each;
  return of[of.length - 1]!;
}

interface StudyFacts {
  name: string;
  bytes: number;
  fetchMs: number;
}

/** A study with a UID-like name that tells nothing, a size by its modality and a fetch time by its archive. */
function makeStudy(random: Random): StudyFacts {
  const modality = pick(random, MODALITIES);
  const archive = pick(random, ARCHIVES);
  const bytes = Math.round(modality.median * Math.exp(modality.spread * random.normal()));
  const name = `2.25.${Math.floor(random.next() * 2 ** 48)}${Math.floor(random.next() * 1e9)}`;
  const fetchMs = Math.round((archive.latency + bytes / archive.rate) * Math.exp(0.2 * random.normal()));
  return { name, bytes, fetchMs };
}

/** How busy a hospital is at that time: nights and weekends are quiet. Mean about 1. */
function activity(time: number): number {
  const hour = (time % DAY) / HOUR;
  const day = Math.floor(time / DAY) % 7;
  const light = hour < 7 || hour >= 20 ? 0.15 : hour < 9 || hour >= 17 ? 1 : 2;
  return light * (day >= 5 ? 0.35 : 1.25);
}

/** Arrival times of a process whose mean rate is one every `gap` seconds, in the rhythm of day and week. */
class Rhythm {
  constructor(
    private readonly random: Random,
    private readonly gap: number,
    private readonly flat = false,
    public time = 0,
  ) {}

  next(): number {
    do this.time += (this.random.exponential() * this.gap) / 2.5;
    while (this.random.next() > (this.flat ? 1 : activity(this.time)) / 2.5);
    return this.time;
  }
}

/** The first time at or after `time` that falls into working hours. */
function workingHours(random: Random, time: number): number {
  let at = time;
  while (activity(at) < 1) at += HOUR * (0.5 + random.next());
  return at;
}

export interface ZipfOptions {
  studies: number;
  accesses: number;
  /** Exponent of the popularity by rank. */
  alpha: number;
  /** Share of the accesses after which one study changes places with one of another rank. */
  drift: number;
  seed: number;
  name?: string;
  /** No rhythm of day and week. */
  flat?: boolean;
}

interface Draw {
  study: StudyFacts;
  time: number;
  /** Studies whose chance changes after this access, with their new chances (not normalised). */
  moved: { study: StudyFacts; chance: number }[];
}

/** The draws behind `zipfDrift`, with the chances that no policy is told. The first draw tells those of all studies. */
function* draws({ studies, accesses, alpha, drift, seed, flat }: ZipfOptions): Generator<Draw> {
  const random = new Random(seed);
  const all = Array.from({ length: studies }, () => makeStudy(random));
  const chance = (rank: number): number => (rank + 1) ** -alpha;
  const sums = new Float64Array(studies);
  let sum = 0;
  for (let i = 0; i < studies; i++) sums[i] = sum += chance(i);
  const rank = (): number => {
    const at = random.next() * sum;
    let low = 0;
    let high = studies - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle]! <= at) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const rhythm = new Rhythm(random, 20, flat);
  let moved = all.map((study, i) => ({ study, chance: chance(i) }));
  for (let i = 0; i < accesses; i++) {
    const study = all[rank()]!;
    const time = rhythm.next();
    if (random.next() < drift) {
      const a = random.below(studies);
      const b = Math.floor(studies ** random.next()) - 1;
      [all[a], all[b]] = [all[b]!, all[a]!];
      moved.push({ study: all[a]!, chance: chance(a) }, { study: all[b]!, chance: chance(b) });
    }
    yield { study, time, moved };
    moved = [];
  }
}

/**
 * Independent draws from a Zipf distribution whose ranks move: after a share of the accesses, a study taken at random
 * takes the place of one whose rank is drawn with equal chances on a logarithmic scale.
 */
export function zipfDrift(options: ZipfOptions): Trace {
  const builder = new TraceBuilder();
  for (const { study, time } of draws(options)) builder.add(study.name, time, study.bytes, study.fetchMs);
  return builder.build(options.name ?? 'zipf');
}

/**
 * What a policy would hit on `zipfDrift(options)` that knows the true chance of every study at every moment, but not the
 * draws: it keeps what has the highest chance per byte. As the draws are independent, hardly anything that is not told
 * the future can do better; the gap to Belady is luck that cannot be learnt.
 */
export function informedZipf(options: ZipfOptions, budget: number): Score {
  const numbers = new Map<StudyFacts, number>();
  const facts: StudyFacts[] = [];
  const chances: number[] = [];
  const heap = new IndexedHeap();
  const tally = new Tally();
  let used = 0;
  for (const { study, moved } of draws(options)) {
    for (const each of moved) {
      let number = numbers.get(each.study);
      if (number === undefined) {
        number = facts.push(each.study) - 1;
        numbers.set(each.study, number);
      }
      chances[number] = each.chance;
      if (heap.has(number)) heap.set(number, each.chance / each.study.bytes);
    }
    const number = numbers.get(study)!;
    const hit = heap.has(number);
    tally.add(hit, study.bytes, study.fetchMs);
    if (hit) continue;
    heap.set(number, chances[number]! / study.bytes);
    used += study.bytes;
    while (used > budget) used -= facts[heap.pop()!]!.bytes;
  }
  return tally.score('told the chances');
}

export interface HospitalOptions {
  patients: number;
  days: number;
  /** Mean days between two visits of a patient who comes regularly. */
  seed: number;
  /** Bulk reads by research or migration, once in so many days; none if absent. */
  scanEvery?: number;
  /** Studies read by one scan. */
  scanStudies?: number;
  name?: string;
}

interface Patient {
  studies: StudyFacts[];
  /** Mean days between visits. */
  every: number;
}

/**
 * A hospital's year in small: patients with earlier studies come with a rhythm of their own (some once, some every few
 * weeks); a new study is read within the day, together with up to four priors, again at reporting, by the referring
 * ward and, days later, in the clinic; conferences look at a few again after a week. Scans read many old studies once.
 */
export function hospital({ patients, days, seed, scanEvery, scanStudies, name }: HospitalOptions): Trace {
  const random = new Random(seed);
  const builder = new TraceBuilder();
  const end = days * DAY;
  const people: Patient[] = Array.from({ length: patients }, () => ({
    studies: Array.from({ length: Math.floor(random.exponential() * 3) }, () => makeStudy(random)),
    every: 7 * Math.exp(2.0 + 1.1 * random.normal()),
  }));
  const read = (study: StudyFacts, time: number): void => {
    if (time < end) builder.add(study.name, time, study.bytes, study.fetchMs);
  };
  for (const patient of people) {
    let visit = workingHours(random, random.next() * patient.every * 2 * DAY);
    while (visit < end) {
      const made = Array.from({ length: random.next() < 0.2 ? 2 : 1 }, () => makeStudy(random));
      const priors = patient.studies.slice(-1 - random.below(4));
      const reporting = workingHours(random, visit + HOUR * 3 * random.exponential());
      const sitting = [...made, ...priors];
      for (const study of made) if (random.next() < 0.5) read(study, visit + 60 + 600 * random.next());
      sitting.forEach((study, i) => read(study, reporting + 20 * i + 60 * random.next()));
      if (random.next() < 0.35) {
        const signing = reporting + HOUR * random.exponential();
        sitting.slice(0, 2).forEach((study, i) => read(study, signing + 30 * i));
      }
      if (random.next() < 0.4) {
        const ward = visit + DAY * random.exponential();
        for (const study of made) read(study, ward + 60 * random.next());
      }
      if (random.next() < 0.6) {
        const clinic = workingHours(random, visit + DAY * (2 + 6 * random.next()));
        sitting.slice(0, 3).forEach((study, i) => read(study, clinic + 40 * i + 120 * random.next()));
      }
      if (random.next() < 0.15) {
        const conference = workingHours(random, visit + DAY * (6 + 2 * random.next()));
        sitting.slice(0, 2).forEach((study) => read(study, conference + 300 * random.next()));
      }
      patient.studies.push(...made);
      visit = workingHours(random, visit + DAY * patient.every * (0.5 + random.exponential() / 2));
    }
  }
  if (scanEvery !== undefined) {
    const archive = people.flatMap((patient) => patient.studies);
    for (let at = scanEvery * DAY * random.next(); at < end; at += scanEvery * DAY) {
      const from = random.below(archive.length);
      let time = at;
      for (let i = 0; i < (scanStudies ?? 1000); i++)
        read(archive[(from + i) % archive.length]!, (time += 2 + 4 * random.next()));
    }
  }
  return builder.build(name ?? 'hospital');
}

/** Several traces side by side, in order of time; the later ones are stretched or shrunk to the time of the first. */
export function mixture(name: string, traces: Trace[]): Trace {
  const builder = new TraceBuilder();
  const span = (trace: Trace): number => trace.time[trace.time.length - 1] ?? 0;
  for (const trace of traces) {
    const factor = span(traces[0]!) / Math.max(1, span(trace));
    for (let i = 0; i < trace.study.length; i++) {
      builder.add(trace.names[trace.study[i]!]!, trace.time[i]! * factor, trace.bytes[i]!, trace.fetchMs[i]!);
    }
  }
  return builder.build(name);
}

/** Bulk reads of studies that nobody asks for otherwise: `scans` runs of `studies` each, spread over `days`. */
export function scans({
  scans: runs,
  studies,
  days,
  seed,
}: {
  scans: number;
  studies: number;
  days: number;
  seed: number;
}): Trace {
  const random = new Random(seed);
  const builder = new TraceBuilder();
  for (let run = 0; run < runs; run++) {
    let time = (days * DAY * (run + 0.2 + 0.6 * random.next())) / runs;
    for (let i = 0; i < studies; i++) {
      const study = makeStudy(random);
      builder.add(study.name, (time += 1 + 3 * random.next()), study.bytes, study.fetchMs);
    }
  }
  return builder.build('scans');
}
