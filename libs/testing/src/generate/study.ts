import {
  makeStudy,
  type BuiltObject,
  type InstanceContext,
  type KindBuilder,
  type Reference,
  type StudyContext,
} from './context';
import { GeneratedInstance, type EncodingOptions } from './instance';
import { Random } from './random';
import { KINDS } from './kinds';

/** What to generate. Everything follows from the options: the same options give the same bytes. */
export interface GenerateOptions extends EncodingOptions {
  /** A key of KINDS (default 'ct'). */
  kind?: string;
  /** Objects in the study (default 1), in `seriesCount` series (default 1). */
  count?: number;
  seriesCount?: number;
  seed?: string | number;
  /** UID or short name (default 'explicit-le'). Objects without pixels fall back to explicit-le from encapsulated ones. */
  transferSyntax?: string;
  /** A key of CHARACTER_SETS (default 'default'). */
  charset?: string;
  rows?: number;
  columns?: number;
  frames?: number;
  /** Fixed values for the study, e.g. patientId, patientName, studyDate. */
  study?: Partial<StudyContext>;
  /** Objects that derived kinds refer to; default: made up but consistent within the study. */
  references?: readonly Reference[];
  /** Last word on the header before it is encoded. */
  adjust?: (object: BuiltObject, context: InstanceContext) => void;
}

/** One study of one kind, object by object. Lazy: nothing is encoded before its bytes are asked for. */
export function* generateStudy(options: GenerateOptions = {}): Generator<GeneratedInstance> {
  const count = options.count ?? 1;
  const plan = planStudy(options);
  for (let i = 0; i < count; i++) yield plan.instance(i);
}

/** Object `index` (default 0) of the study that the options describe. */
export function generateInstance(options: GenerateOptions = {}, index = 0): GeneratedInstance {
  return planStudy(options).instance(index);
}

/** Several studies of several patients: study n has seed `${seed}:${n}`; every `studiesPerPatient` share a patient. */
export function* generateArchive(
  options: GenerateOptions & { studies: number; studiesPerPatient?: number },
): Generator<GeneratedInstance> {
  const per = options.studiesPerPatient ?? 1;
  for (let n = 0; n < options.studies; n++) {
    const seed = `${options.seed ?? 1}:${n}`;
    const owner = makeStudy(
      new Random(`${options.seed ?? 1}:patient:${Math.floor(n / per)}`),
      seed,
      options.charset ?? 'default',
    );
    const { patientId, patientName, birthDate, sex, weight } = owner;
    yield* generateStudy({
      ...options,
      seed,
      study: { patientId, patientName, birthDate, sex, weight, ...options.study },
    });
  }
}

function planStudy(options: GenerateOptions): { instance(index: number): GeneratedInstance } {
  const kind = options.kind ?? 'ct';
  const builder: KindBuilder | undefined = KINDS[kind];
  if (!builder) throw new Error(`generator: kind not known: ${kind}; one of ${Object.keys(KINDS).join(', ')}`);
  const seed = options.seed ?? 1;
  const random = new Random(`${seed}`);
  const study = makeStudy(random.fork('study'), seed, options.charset ?? 'default', options.study);
  const seriesCount = options.seriesCount ?? 1;
  const count = options.count ?? 1;
  const perSeries = Math.ceil(count / seriesCount);
  const references = options.references ?? madeUpReferences(random.fork('references'));
  return {
    instance(index: number): GeneratedInstance {
      const series = Math.floor(index / perSeries);
      const seriesRandom = random.fork(`${kind}/series/${series}`);
      const context: InstanceContext = {
        study,
        random: seriesRandom.fork('content'),
        seriesInstanceUid: seriesRandom.fork('uid').uid(),
        seriesNumber: series + 1,
        sopInstanceUid: seriesRandom.fork(`instance/${index}`).uid(),
        index: index % perSeries,
        count: perSeries,
        rows: options.rows,
        columns: options.columns,
        frames: options.frames,
        references,
      };
      const built = builder(context);
      options.adjust?.(built, context);
      return new GeneratedInstance(kind, built.header, built.pixels, options.transferSyntax ?? 'explicit-le', options);
    },
  };
}

function madeUpReferences(random: Random): Reference[] {
  const seriesInstanceUid = random.uid();
  return [0, 1].map(() => ({
    sopClassUid: '1.2.840.10008.5.1.4.1.1.2',
    sopInstanceUid: random.uid(),
    seriesInstanceUid,
  }));
}
