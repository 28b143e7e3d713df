import { bootstrap } from '@archipelago/platform-service';
import { CacheServiceModule } from './cache.module';
void bootstrap(CacheServiceModule, { service: 'cache' });
