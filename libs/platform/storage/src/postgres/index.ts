export * from './database.config';
export * from './database-errors';
export * from './schema-registry';
export * from './sql-client';
export * from './connect';
export * from './database';
export * from './postgres.module';
