import { bootstrap } from '@archipelago/platform-service';
import { IngestModule } from './ingest.module';
void bootstrap(IngestModule, { service: 'ingest' });
