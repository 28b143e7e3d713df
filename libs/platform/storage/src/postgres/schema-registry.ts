import type { EntitySchema, MigrationInterface, MixedList } from 'typeorm';

type Class<T = unknown> = new (...args: never[]) => T;

/** What one library brings to the database. Migrations are forward-only and run in the order of their timestamps. */
export interface SchemaPart {
  /** Name of the library; the same part may be asked for by several modules. */
  name: string;
  entities?: MixedList<Class | EntitySchema>;
  migrations: Class<MigrationInterface>[];
}

const parts = new Map<string, SchemaPart>();

export function registerSchema(part: SchemaPart): void {
  parts.set(part.name, part);
}

export function schemaParts(): SchemaPart[] {
  return [...parts.values()];
}
