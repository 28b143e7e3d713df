/** Small valid objects of every kind, syntax and character set: what the mutations start from. */
import { CHARACTER_SETS, generateInstance, KINDS, prepareGenerator, TRANSFER_SYNTAXES } from '@archipelago/testing';

export interface Sample {
  transferSyntaxUid: string;
  sopClassUid: string;
  sopInstanceUid: string;
  studyInstanceUid: string;
  seriesInstanceUid: string;
  dataset: Buffer;
  part10: Buffer;
}

/** Deterministic. `count` objects: kinds, syntaxes, character sets and encodings of sequences take turns. */
export async function makeSamples(count: number, seed: number): Promise<Sample[]> {
  await prepareGenerator();
  const kinds = Object.keys(KINDS);
  const charsets = Object.keys(CHARACTER_SETS);
  const samples: Sample[] = [];
  for (let n = 0; n < count; n++) {
    const kind = kinds[n % kinds.length] as string;
    const wanted = TRANSFER_SYNTAXES[(n * 7) % TRANSFER_SYNTAXES.length]?.name as string;
    const make = (transferSyntax: string) =>
      generateInstance({
        kind,
        transferSyntax,
        charset: charsets[n % charsets.length],
        rows: 16,
        columns: 16,
        frames: 2,
        seed: `fuzz:${seed}:${n}`,
        undefinedLengths: n % 2 === 0,
      });
    samples.push(sampleOf(() => make(wanted)) ?? (sampleOf(() => make('explicit-le')) as Sample));
  }
  return samples;
}

/** Undefined where the kind's pixels cannot be written in that syntax. */
function sampleOf(make: () => ReturnType<typeof generateInstance>): Sample | undefined {
  try {
    const made = make();
    const { transferSyntaxUid, sopClassUid, sopInstanceUid, studyInstanceUid, seriesInstanceUid } = made;
    const whole = { dataset: made.dataset(), part10: made.part10() };
    return { transferSyntaxUid, sopClassUid, sopInstanceUid, studyInstanceUid, seriesInstanceUid, ...whole };
  } catch {
    return undefined;
  }
}
