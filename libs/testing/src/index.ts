export * from './generate';
export * from './launchers';
export * from './system';
export * from './watch';
export * from './people';
