import { ConfigError, type ConfigDefinition, type ConfigMistake } from './define-config';

interface ModuleLike {
  imports?: unknown[];
  providers?: unknown[];
  module?: unknown;
}

function metadataOf(key: 'imports' | 'providers', module: unknown): unknown[] {
  return typeof module === 'function' ? ((Reflect.getMetadata(key, module) as unknown[] | undefined) ?? []) : [];
}

/** Every configuration definition that the module or anything it imports provides, without instantiating anything. */
export async function collectConfigs(root: unknown): Promise<ConfigDefinition<unknown>[]> {
  const seen = new Set<unknown>();
  const found = new Set<ConfigDefinition<unknown>>();
  const queue: unknown[] = [root];
  while (queue.length > 0) {
    const item = await (queue.pop() as unknown);
    if (item === null || item === undefined || seen.has(item)) continue;
    seen.add(item);
    const reference = (item as { forwardRef?: () => unknown }).forwardRef;
    if (typeof reference === 'function') {
      queue.push(reference());
      continue;
    }
    const dynamic = (typeof item === 'object' ? item : {}) as ModuleLike;
    if (dynamic.module !== undefined) queue.push(dynamic.module);
    queue.push(...(dynamic.imports ?? []), ...metadataOf('imports', item));
    for (const provider of [...(dynamic.providers ?? []), ...metadataOf('providers', item)]) {
      const definition = (provider as { configDefinition?: ConfigDefinition<unknown> } | null)?.configDefinition;
      if (definition !== undefined) found.add(definition);
    }
  }
  return [...found];
}

/**
 * Checks all configuration of a module tree.
 * @throws ConfigError with the mistakes of all modules together, each variable's mistake once
 */
export async function checkConfig(root: unknown, further: (() => unknown)[] = []): Promise<void> {
  const mistakes = new Map<string, ConfigMistake>();
  const run = (load: () => unknown): void => {
    try {
      load();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      for (const mistake of error.mistakes) mistakes.set(`${mistake.where} ${mistake.message}`, mistake);
    }
  };
  for (const load of further) run(load);
  for (const definition of await collectConfigs(root)) run(() => definition.load());
  if (mistakes.size > 0) throw new ConfigError([...mistakes.values()]);
}
