export * from './tag-replication.module';
export * from './tag-replication.config';
