import { bootstrap } from '@archipelago/platform-service';
import { EdgeModule } from './edge.module';

void bootstrap(EdgeModule, { service: 'dimse-edge' });
