export * from './generate';
export * from './launchers';
