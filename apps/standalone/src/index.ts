export { CoreModule } from './core';
export { mergeMetrics } from './merge-metrics';
