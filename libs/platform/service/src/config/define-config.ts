import type { FactoryProvider } from '@nestjs/common';
import type { z } from 'zod';

/** One thing that is missing or wrong, in words for the person who starts the process. */
export interface ConfigMistake {
  /** Environment variable, or file with line ("archipelago.yaml:12"). */
  where: string;
  message: string;
}

/** Everything that is wrong at once. The process must not start. */
export class ConfigError extends Error {
  constructor(readonly mistakes: ConfigMistake[]) {
    super(mistakes.map((m) => `${m.where}: ${m.message}`).join('\n'));
    this.name = 'ConfigError';
  }
}

/** One environment variable. Without a default it is required, or its absence means something of its own. */
export interface ConfigSetting {
  variable: string;
  required: boolean;
  default?: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

export interface ConfigDefinition<T> {
  readonly name: string;
  /** Injection token of the checked value. */
  readonly KEY: symbol;
  /** Environment variables that it reads, for documentation and `--help`. */
  readonly variables: readonly string[];
  /** The same with what holds when a variable is not set. */
  readonly settings: readonly ConfigSetting[];
  /** @throws ConfigError listing every mistake of this definition */
  load(environment?: Environment): T;
  /** Provider to put into the module that uses the value; `checkConfig` finds it there. */
  provider(): FactoryProvider<T> & { configDefinition: ConfigDefinition<T> };
}

/** Value type of a definition. */
export type ConfigOf<D> = D extends ConfigDefinition<infer T> ? T : never;

/**
 * Configuration of one module: a schema and, for each of its fields, the environment variable that it is read from.
 * Values arrive as strings (an empty one counts as unset): use `z.coerce.number()`, `envBoolean()`.
 */
export function defineConfig<S extends z.ZodObject>(
  name: string,
  schema: S,
  mapping: { readonly [K in keyof z.input<S>]-?: string },
): ConfigDefinition<z.output<S>> {
  const KEY = Symbol(`config:${name}`);
  const definition: ConfigDefinition<z.output<S>> = {
    name,
    KEY,
    variables: Object.values(mapping) as string[],
    settings: (Object.entries(mapping) as [string, string][]).map(([field, variable]) => {
      const unset = (schema.shape[field] as z.ZodType).safeParse(undefined);
      const known = unset.success && unset.data !== undefined;
      return { variable, required: !unset.success, ...(known ? { default: String(unset.data) } : {}) };
    }),
    load(environment = process.env) {
      const input: Record<string, string> = {};
      for (const [field, variable] of Object.entries(mapping) as [string, string][]) {
        const value = environment[variable];
        if (value !== undefined && value !== '') input[field] = value;
      }
      const result = schema.safeParse(input);
      if (result.success) return result.data;
      throw new ConfigError(
        result.error.issues.map((issue) => {
          const field = String(issue.path[0] ?? '');
          const variable = (mapping as Record<string, string>)[field] ?? name;
          const missing = !(field in input);
          return { where: variable, message: missing ? `missing (${issue.message})` : issue.message };
        }),
      );
    },
    provider() {
      return { provide: KEY, useFactory: () => definition.load(), configDefinition: definition };
    },
  };
  return definition;
}
