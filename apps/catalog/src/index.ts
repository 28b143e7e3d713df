export { CatalogModule } from './catalog.module';
export { catalogConfig } from './catalog.config';
