export * from './edge.module';
export * from './edge.config';
export * from './conformance/conformance';
