export * from './object-store';
export * from './postgres';
