export * from './header-view';
export * from './text';
export * from './temporal';
export * from './patient-identity';
export * from './patientless';
export * from './filing';
export * from './attributes';
export * from './shared-levels';
export {
  attributesDigest,
  keep,
  projectInstance,
  type EntryIdentity,
  type KeptAttributes,
  type KeptElement,
  type ProjectedInstance,
  type ProjectedPatient,
  type ProjectedSeries,
  type ProjectedStudy,
  type Projection,
  type ProjectionOptions,
} from './projection';
export * from './row-overlay';
export * from './harvest';
export * from './predicate';
export * from './matching';
export * from './plan';
