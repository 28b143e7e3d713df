import type { ArchiveV1 } from '@archipelago/contracts';
import type { EdgeClient } from '../edge-client';
import type { RegistryService } from '../registry/registry.service';

/** Asks the archive what it offers, and writes it down. @throws TransientError when no edge of its site answers */
export async function probeArchive(
  edge: EdgeClient,
  registry: RegistryService,
  archive: ArchiveV1,
  signal?: AbortSignal,
): Promise<ArchiveV1> {
  const { parts, capabilities } = await edge.run(archive, { kind: 'probe' }, edge.newJob(), { signal });
  const error = capabilities?.reachable === true ? undefined : (parts[0]?.code ?? parts[0]?.end ?? 'probe-failed');
  return registry.probed(archive.name, capabilities as NonNullable<ArchiveV1['capabilities']>, error);
}
