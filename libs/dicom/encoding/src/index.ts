export * from './api';
export * from './dataset-error';
export * from './signatures';
