import { z } from 'zod';
import type { Contract } from '../subject';

/** How an instance came to us (docs/glossary.md). */
export const Origin = z.enum(['acquired', 'derived', 'fetched', 'migrated']);
export type Origin = z.infer<typeof Origin>;

/** An edge has uploaded a sealed segment as a pack and compared it with its own copy. Repeated until answered. */
export const PackSealedV1Schema = z.object({
  packId: z.uuid(),
  edgeId: z.uuid(),
  site: z.string().min(1).max(64),
  /** Name of the object store that holds the pack, and its key there. */
  store: z.string().min(1),
  key: z.string().min(1),
  /** Whole size in bytes, and where the header blocks and the index begin: one range read from there to the end. */
  bytes: z.number().int().nonnegative(),
  tailOffset: z.number().int().nonnegative(),
  entries: z.number().int().nonnegative(),
  /** Pack digest, hex: SHA-256 over the pack with each dataset replaced by its own (docs/pack-format.md). */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  sealedAt: z.iso.datetime(),
  /** 1 for the first announcement, counted up by each repetition. */
  attempt: z.number().int().positive(),
});
export type PackSealedV1 = z.infer<typeof PackSealedV1Schema>;

export const PackSealed = {
  kind: 'evt',
  context: 'edge',
  aggregate: 'pack',
  name: 'sealed',
  version: 1,
  privacy: 'none',
  orderingKey: 'packId',
  schema: PackSealedV1Schema,
} as const satisfies Contract;
