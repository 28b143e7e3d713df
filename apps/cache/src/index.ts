export { CacheServiceModule } from './cache.module';
