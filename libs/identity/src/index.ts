export * from './record';
export { linkFiles } from './link';
