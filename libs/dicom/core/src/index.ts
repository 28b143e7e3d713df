export * from './dictionary';
export * from './json';
export * from './sop-classes';
export * from './tag';
export * from './transfer-syntaxes';
export * from './uid';
export * from './vr';
export * from './wildcard';
