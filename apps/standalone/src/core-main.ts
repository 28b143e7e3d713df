import { bootstrap } from '@archipelago/platform-service';
import { CoreModule } from './core';

void bootstrap(CoreModule, { service: 'core' });
