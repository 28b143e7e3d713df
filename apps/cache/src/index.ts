export { CacheServiceModule } from './cache.module';
export { CACHE_OBJECT_STORE, cacheConfig } from './cache.config';
