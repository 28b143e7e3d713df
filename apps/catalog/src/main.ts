import { bootstrap } from '@archipelago/platform-service';
import { CatalogModule } from './catalog.module';

void bootstrap(CatalogModule, { service: 'catalog' });
