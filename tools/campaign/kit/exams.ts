import { generateStudy, Random, type GeneratedInstance } from '@archipelago/testing';

/** A study as a modality would send it. */
export interface Exam {
  studyInstanceUid: string;
  instances: GeneratedInstance[];
  /** A new association for each image, as some modalities do. */
  onePerAssociation: boolean;
}

/** Small CTs, for ever, the same for the same seed. */
export function* exams(seed: string, largest = 40): Generator<Exam> {
  for (let n = 0; ; n++) {
    const random = new Random(`${seed}/exam/${n}`);
    const count = random.int(1, largest);
    const instances = [
      ...generateStudy({
        kind: 'ct',
        seed: `${seed}/${n}`,
        count,
        seriesCount: Math.min(count, random.int(1, 3)),
        rows: random.pick([8, 16, 32]),
        columns: 16,
      }),
    ];
    const [first] = instances as [GeneratedInstance];
    yield { studyInstanceUid: first.studyInstanceUid, instances, onePerAssociation: random.chance(0.15) };
  }
}
