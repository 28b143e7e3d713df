/** Injection token of the service's name ("ingest"). */
export const SERVICE_NAME = Symbol('service-name');
