/** What a scripted archive holds: thousands of studies as plain values, made from a seed. No person is real. */
import { seededRandom } from './mutate';

export interface ScriptedImage {
  uid: string;
  sopClass: string;
  number: number;
}
export interface ScriptedSeries {
  uid: string;
  modality: string;
  number: number;
  description: string;
  images: ScriptedImage[];
}
export interface ScriptedStudy {
  uid: string;
  /** YYYYMMDD; empty: a study without a date. */
  date: string;
  time: string;
  patientId: string;
  patientName: string;
  birthDate: string;
  sex: string;
  accession: string;
  description: string;
  series: ScriptedSeries[];
}

export interface ContentOptions {
  studies: number;
  seed?: string;
  /** Series of a study, images of a series: at most (default 2 and 3). */
  series?: number;
  images?: number;
  /** Days back from `until` over which they are spread (default 2000). */
  days?: number;
  until?: string;
  /** Every n-th study has no date (default: none). */
  undatedEvery?: number;
  root?: string;
}

const CLASSES: Record<string, string> = {
  CT: '1.2.840.10008.5.1.4.1.1.2',
  MR: '1.2.840.10008.5.1.4.1.1.4',
  US: '1.2.840.10008.5.1.4.1.1.6.1',
};
const FAMILIES = ['ALDER', 'BIRCH', 'CEDAR', 'ELM', 'FIR', 'HAZEL', 'LARCH', 'MAPLE', 'OAK', 'PINE', 'ROWAN', 'YEW'];
const GIVEN = ['ANNA', 'BERT', 'CLARA', 'DAVID', 'ELSE', 'FRITZ', 'GRETA', 'HUGO', 'IDA', 'JAN', 'KLARA', 'LEO'];

export function scriptedContent(options: ContentOptions): ScriptedStudy[] {
  const { studies, seed = 'archive', days = 2000, undatedEvery = 0 } = options;
  const float = seededRandom([...seed].reduce((n, c) => n * 31 + c.charCodeAt(0), 7) >>> 0);
  const random = {
    float,
    int: (low: number, high: number): number => low + Math.floor(float() * (high - low + 1)),
    pick: <T>(values: readonly T[]): T => values[Math.floor(float() * values.length)] as T,
  };
  const root = options.root ?? `1.2.826.0.1.3680043.10.999.${1 + random.int(1, 99_999)}`;
  const until = Date.parse(options.until ?? '2026-11-20T00:00:00Z');
  return Array.from({ length: studies }, (_, n) => {
    const modality = random.pick(Object.keys(CLASSES));
    const day = new Date(until - Math.floor(random.float() * days) * 86_400_000).toISOString().slice(0, 10);
    const person = random.int(1, Math.max(1, Math.floor(studies / 2)));
    const uid = `${root}.${n + 1}`;
    return {
      uid,
      date: undatedEvery > 0 && n % undatedEvery === 0 ? '' : day.replaceAll('-', ''),
      time: `${two(random.int(0, 23))}${two(random.int(0, 59))}${two(random.int(0, 59))}`,
      patientId: `P${String(person).padStart(6, '0')}`,
      patientName: `${FAMILIES[person % FAMILIES.length]}^${GIVEN[Math.floor(person / 7) % GIVEN.length]}`,
      birthDate: `19${two(person % 100)}0${1 + (person % 9)}${two(1 + (person % 28))}`,
      sex: person % 2 === 0 ? 'F' : 'M',
      accession: `A${n + 1}`,
      description: `${modality} ${['HEAD', 'CHEST', 'KNEE'][n % 3] as string}`,
      series: Array.from({ length: random.int(1, options.series ?? 2) }, (__, s) => ({
        uid: `${uid}.${s + 1}`,
        modality,
        number: s + 1,
        description: `SERIES ${s + 1}`,
        images: Array.from({ length: random.int(1, options.images ?? 3) }, (___, i) => ({
          uid: `${uid}.${s + 1}.${i + 1}`,
          sopClass: CLASSES[modality] as string,
          number: i + 1,
        })),
      })),
    };
  });
}

function two(n: number): string {
  return String(n).padStart(2, '0');
}

/** Images of all studies. */
export function imageCount(studies: readonly ScriptedStudy[]): number {
  return studies.reduce((sum, s) => sum + s.series.reduce((n, each) => n + each.images.length, 0), 0);
}
