/** Injection token of the ObjectStore that packs are read from. */
export const OBJECT_STORE = Symbol('ingest-object-store');

/** Name of the inbox and of the durable consumer: equal in every composition of services. */
export const CONSUMER = 'ingest-pack-sealed';
export const VANISHED_CONSUMER = 'ingest-source-vanished';
export const ASSIGNMENT_CONSUMER = 'ingest-assignment-changed';
