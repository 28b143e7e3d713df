export * from './subject';
export * from './envelope';
export * from './edge/pack-sealed.v1';
export * from './ingest/pack-answered.v1';
export * from './catalog/instance-stored.v1';
export * from './catalog/search.v1';
export * from './catalog/locate.v1';
export * from './ingest/sweep-start.v1';
