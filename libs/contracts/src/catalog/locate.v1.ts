import { z } from 'zod';
import type { Contract } from '../subject';
import { DicomJson, Principal, QueryLevel, QueryModel } from './search.v1';

/** Which instances a C-GET, C-MOVE or WADO request means, and where their bytes lie. Unique keys only (PS3.4 C.4.2.2.1). */
export const LocateV1Schema = z.object({
  principal: Principal,
  /** Workstations that get the objects beside who asks (C-MOVE): AE title and name of the device. */
  receivers: z.array(z.string()).optional(),
  model: QueryModel,
  level: QueryLevel,
  /** Unique keys of the level and those above, as given; lists where the level allows them. */
  patientIds: z.array(z.string()).optional(),
  issuerOfPatientId: z.string().optional(),
  studyInstanceUids: z.array(z.string()).optional(),
  seriesInstanceUids: z.array(z.string()).optional(),
  sopInstanceUids: z.array(z.string()).optional(),
  sopClasses: z.array(z.string()).optional(),
  limit: z.number().int().min(1).max(500).default(500),
  cursor: z.string().optional(),
});
export type LocateV1 = z.input<typeof LocateV1Schema>;

/** One copy of the Part 10 file's dataset inside a pack: bytes [datasetOffset, datasetOffset + datasetLength). */
export const CopyV1Schema = z.object({
  packId: z.uuid(),
  store: z.string(),
  key: z.string(),
  /** Edge whose disk may still hold the segment. */
  edgeId: z.uuid(),
  datasetOffset: z.number().int().nonnegative(),
  datasetLength: z.number().int().nonnegative(),
  transferSyntaxUid: z.string(),
  /** BLAKE3-256 hex of these bytes; the instance's when left out. Another encoding of the same object has another one. */
  wireDigest: z.string().optional(),
  /** The store has lost the pack: only the edge's own segment can still have it. */
  missing: z.boolean().optional(),
});
const Tag = z.string().regex(/^[0-9A-F]{8}$/);

/** What is shown in place of what is stored; the header is rewritten on the way out. UIDs of the object never change. */
export const OverlayV1Schema = z.object({
  set: DicomJson,
  /** Elements that are not there. */
  removed: z.array(Tag).optional(),
  /** Of these it is not told what they were. */
  hidden: z.array(Tag).optional(),
});
export type OverlayV1 = z.infer<typeof OverlayV1Schema>;

export const LocatedInstanceV1Schema = z.object({
  sopInstanceUid: z.string(),
  sopClassUid: z.string(),
  studyInstanceUid: z.string().optional(),
  seriesInstanceUid: z.string().optional(),
  wireDigest: z.string(),
  /** Best first. Empty: known but no copy can be had; counts as a failed sub-operation, never as absent. */
  copies: z.array(CopyV1Schema),
  /** Archives that said they have it, by the winner rule; whom the broker asks when no copy is at hand. */
  archives: z.array(z.string()).optional(),
  /** Absent: as stored. */
  overlay: OverlayV1Schema.optional(),
});
export type LocatedInstanceV1 = z.infer<typeof LocatedInstanceV1Schema>;
export type CopyV1 = z.infer<typeof CopyV1Schema>;

export const LocateReplyV1Schema = z.object({
  /** Count of all instances of the request, known on the first page: DIMSE needs it for "remaining". */
  total: z.number().int().nonnegative(),
  /** Local patient identities among them; more than 1 must never be handed over as one patient's. */
  patients: z.number().int().nonnegative().optional(),
  instances: z.array(LocatedInstanceV1Schema),
  /** Studies of the request that an archive has, but whose instances are not known (harvested at study depth): ask it first. */
  shallow: z
    .array(
      z.object({
        archive: z.string(),
        studyInstanceUid: z.string(),
        /** Of every instance of it. */
        overlay: OverlayV1Schema.optional(),
      }),
    )
    .optional(),
  cursor: z.string().optional(),
});
export type LocateReplyV1 = z.infer<typeof LocateReplyV1Schema>;

export const Locate = {
  kind: 'qry',
  context: 'catalog',
  aggregate: 'instance',
  name: 'locate',
  version: 1,
  privacy: 'patient',
  schema: LocateV1Schema,
  reply: LocateReplyV1Schema,
} as const satisfies Contract;
