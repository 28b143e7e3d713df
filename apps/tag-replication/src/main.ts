import { bootstrap } from '@archipelago/platform-service';
import { TagReplicationModule } from './tag-replication.module';

void bootstrap(TagReplicationModule, { service: 'tag-replication' });
