/** The association(s) to a C-MOVE destination: opened for what the next instances need, opened again when lost. */
import type { LocatedInstanceV1 } from '@archipelago/contracts';
import { EXPLICIT_VR_LE, IMPLICIT_VR_LE } from '@archipelago/dicom-core';
import type {
  AcceptedContext,
  AssociationOptions,
  ClientAssociation,
  DimseStatus,
  StoreOperation,
} from '@archipelago/dimse';
import type { StoreTarget } from './instance-sender';

/** Presentation context IDs are odd bytes (PS3.8 9.3.2.2). */
export const MOST_CONTEXTS = 128;

export interface DestinationOptions {
  /** Transfer syntaxes that the destination is configured to take, best first; else stored and uncompressed ones. */
  transferSyntaxes?: readonly string[];
  connect(contexts: AssociationOptions['contexts']): Promise<ClientAssociation>;
}

/** One context for each syntax: the acceptor's choice among several would hide which of them it can take. */
export function neededContexts(
  instances: readonly LocatedInstanceV1[],
  configured?: readonly string[],
): { abstractSyntax: string; transferSyntaxes: string[] }[] {
  const byClass = new Map<string, Set<string>>();
  for (const { sopClassUid, copies } of instances) {
    const syntaxes = byClass.get(sopClassUid) ?? new Set<string>();
    byClass.set(sopClassUid, syntaxes);
    if (!configured) for (const copy of copies) syntaxes.add(copy.transferSyntaxUid);
  }
  return [...byClass].flatMap(([abstractSyntax, stored]) =>
    [...new Set(configured ?? [...stored, EXPLICIT_VR_LE, IMPLICIT_VR_LE])].map((ts) => ({
      abstractSyntax,
      transferSyntaxes: [ts],
    })),
  );
}

/** Consecutive instances whose contexts fit one association. */
export function batches(
  instances: readonly LocatedInstanceV1[],
  configured?: readonly string[],
): LocatedInstanceV1[][] {
  const result: LocatedInstanceV1[][] = [];
  let batch: LocatedInstanceV1[] = [];
  const classes = new Map<string, Set<string>>();
  let contexts = 0;
  for (const instance of instances) {
    const added = contextsAdded(classes, instance, configured);
    if (batch.length > 0 && contexts + added > MOST_CONTEXTS) {
      result.push(batch);
      batch = [];
      classes.clear();
      contexts = 0;
    }
    contexts += contextsAdded(classes, instance, configured, true);
    batch.push(instance);
  }
  if (batch.length > 0) result.push(batch);
  return result;
}

function contextsAdded(
  classes: Map<string, Set<string>>,
  { sopClassUid, copies }: LocatedInstanceV1,
  configured: readonly string[] | undefined,
  keep = false,
): number {
  const known = classes.get(sopClassUid);
  const wanted = configured ?? [...copies.map((c) => c.transferSyntaxUid), EXPLICIT_VR_LE, IMPLICIT_VR_LE];
  const fresh = [...new Set(wanted)].filter((ts) => !known?.has(ts));
  if (keep) classes.set(sopClassUid, new Set([...(known ?? []), ...fresh]));
  return fresh.length;
}

export class MoveDestination implements StoreTarget {
  private association: ClientAssociation | undefined;
  private proposed = new Set<string>();

  constructor(private readonly options: DestinationOptions) {}

  get transferSyntaxes(): readonly string[] | undefined {
    return this.options.transferSyntaxes;
  }

  /** Makes sure that an association with contexts for all of these is open. @throws what connecting threw */
  async prepare(instances: readonly LocatedInstanceV1[]): Promise<void> {
    const needed = neededContexts(instances, this.options.transferSyntaxes);
    const names = needed.map((c) => `${c.abstractSyntax} ${c.transferSyntaxes[0]}`);
    if (this.association && names.every((name) => this.proposed.has(name))) return;
    await this.close();
    this.association = await this.options.connect(needed);
    this.proposed = new Set(names);
  }

  contextsFor(sopClassUid: string): readonly AcceptedContext[] {
    return this.association?.contexts.filter((c) => c.abstractSyntax === sopClassUid && c.scuRole) ?? [];
  }

  store(operation: StoreOperation): Promise<DimseStatus> {
    if (!this.association) return Promise.reject(new Error('no association to the destination'));
    return this.association.store(operation);
  }

  /** After a loss: the next prepare() connects anew. */
  lost(): void {
    this.association?.abort();
    this.association = undefined;
  }

  async close(): Promise<void> {
    const { association } = this;
    this.association = undefined;
    await association?.release().catch(() => association.abort());
  }
}
