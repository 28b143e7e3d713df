export * from './object-store';
export * from './postgres';
export * from './objects';
