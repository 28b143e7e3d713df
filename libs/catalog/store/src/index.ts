export * from './errors';
export * from './schema/part';
export * from './write/index-pack.types';
export * from './write/index-pack';
export { flagDifferences, type Difference, type DifferenceKind } from './write/differences';
