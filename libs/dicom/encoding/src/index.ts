export * from './api';
export * from './dataset-error';
export { DEFAULT_LIMITS, HeaderReader } from './header-reader';
export * from './signatures';
export * from './part10';
