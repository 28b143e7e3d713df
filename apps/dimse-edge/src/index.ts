export * from './edge.module';
export * from './edge.config';
export * from './fetch/fetch.config';
export * from './conformance/conformance';
