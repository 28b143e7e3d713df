export { IdentityResolutionModule } from './identity.module';
