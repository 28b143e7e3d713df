import { z } from 'zod';
import type { Contract } from '../subject';

/** Who asks: whose ids are meant and shown, and what rules keep from them. */
export const Principal = z.object({
  kind: z.enum(['peer', 'service', 'user']),
  site: z.string(),
  /** Calling AE title, service or user name. */
  name: z.string(),
  /** Name of the device for all sites, where the site file gives one; rules may speak of either. */
  workstation: z.string().optional(),
  /** Home issuer of the peer: an unqualified PatientID means (home issuer, id). */
  issuer: z.string().optional(),
});
export type Principal = z.infer<typeof Principal>;

/** PS3.4 C.6: information models. `patientless` are the query/retrieve classes of non-patient objects (PS3.4 X, HH...). */
export const QueryModel = z.enum(['patient-root', 'study-root', 'patientless']);
export const QueryLevel = z.enum(['PATIENT', 'STUDY', 'SERIES', 'IMAGE']);
export type QueryLevel = z.infer<typeof QueryLevel>;

/**
 * One attribute of the Identifier, decoded to Unicode. Tag is 8 upper-case hex digits (as in DICOM JSON).
 * `values` empty: universal matching (return key). A value `""` (two quotation marks) is empty value matching.
 * A sequence has `items` (sequence matching: one item) instead. Raw DICOM matching characters stay in the values:
 * `*`, `?`, ranges `a-b`, `a-`, `-b`, UID lists as several values (PS3.4 C.2.2.2).
 */
export interface QueryKey {
  tag: string;
  vr: string;
  values: string[];
  items?: QueryKey[][];
}
export const QueryKey: z.ZodType<QueryKey> = z.lazy(() =>
  z.object({
    tag: z.string().regex(/^[0-9A-F]{8}$/),
    vr: z.string().regex(/^[A-Z]{2}$/),
    values: z.array(z.string()),
    items: z.array(z.array(QueryKey)).optional(),
  }),
);

export const SearchV1Schema = z.object({
  principal: Principal,
  model: QueryModel,
  /** Non-patient objects: restricts to this storage SOP class family (UIDs); ignored in the other models. */
  sopClasses: z.array(z.string()).optional(),
  level: QueryLevel,
  keys: z.array(QueryKey),
  /** Extended negotiation (PS3.4 C.5.2.1). */
  relational: z.boolean().default(false),
  combinedDateTime: z.boolean().default(false),
  fuzzyNames: z.boolean().default(false),
  /** Offset from UTC as in TimezoneOffsetFromUTC of the request, e.g. "+0100". */
  timezone: z.string().optional(),
  limit: z.number().int().min(1).max(100).default(100),
  /** Opaque; from the page before. */
  cursor: z.string().optional(),
});
export type SearchV1 = z.input<typeof SearchV1Schema>;

/** DICOM JSON model (PS3.18 F), Unicode; one object per match with every requested key that is known. */
export const DicomJson = z.record(z.string(), z.object({ vr: z.string() }).loose());
export type DicomJson = Record<string, { vr: string; Value?: unknown[]; InlineBinary?: string; BulkDataURI?: string }>;

export const SearchReplyV1Schema = z.object({
  matches: z.array(DicomJson),
  /** Absent on the last page. */
  cursor: z.string().optional(),
  /** Keys asked for that cannot be matched or returned at this level (8 hex digits): the answer is FF01, not FF00. */
  unsupported: z.array(z.string()),
  /**
   * Keys (8 hex digits) with a value that their VR does not allow (a StudyDate that is no date). The question was then
   * not asked: `matches` is empty and there is no cursor; who asked gets a failure, never an empty success.
   */
  malformed: z.array(z.string()).optional(),
  /** What the answer may miss, one line per archive; empty when complete. */
  notices: z.array(z.object({ archive: z.string(), state: z.string(), asOf: z.iso.datetime().optional() })),
});
export type SearchReplyV1 = z.infer<typeof SearchReplyV1Schema>;

export const Search = {
  kind: 'qry',
  context: 'catalog',
  aggregate: 'dataset',
  name: 'search',
  version: 1,
  privacy: 'patient',
  schema: SearchV1Schema,
  reply: SearchReplyV1Schema,
} as const satisfies Contract;
