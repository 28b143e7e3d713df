import { bootstrap } from '@archipelago/platform-service';
import { IdentityResolutionModule } from './identity.module';
void bootstrap(IdentityResolutionModule, { service: 'identity-resolution' });
