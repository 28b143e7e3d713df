import type { PackSealedV1 } from '@archipelago/contracts';
import type { AttributeSet, HeaderView, IdentityRules } from '@archipelago/catalog-model';
import type { ActiveRules } from '../rules/active-rules';
import type { NewObject } from '../rules/routes';
import type { PackEntry, PackIndex } from '@archipelago/pack';

/** Where one stored dataset lies: enough to read its pixels. Digests are lower-case hex. */
export interface StoredCopy {
  packId: string;
  ordinal: number;
  store: string;
  key: string;
  sopInstanceUid: string;
  wireDigest: string;
  datasetOffset: number;
  datasetLength: number;
  transferSyntaxUid: string;
  /** Bytes and tail offset of the pack, for reading its index. */
  packBytes: number;
  packTailOffset: number;
}

export interface IndexPackInput {
  announcement: PackSealedV1;
  index: PackIndex;
  /** The header of one entry (`datasetHeaderView(readHeader(...))`). Called once for each entry. */
  header(ordinal: number): HeaderView;
  /**
   * Whether two datasets with equal headers have equal pixel values. Called only when needed, inside the transaction;
   * its verdicts are kept for the rebuild. A rejection fails the whole pack.
   */
  comparePixels(incoming: StoredCopy, stored: StoredCopy): Promise<boolean>;
  /** Issuer of ids that the header does not qualify (the source's assigning authority). Default: ''. */
  defaultIssuer?(entry: PackEntry): string;
  attributes?: AttributeSet;
  identity?: IdentityRules;
  /** Names of the archives in the order of the configuration: of two answers that of the first wins. */
  archives?: readonly string[];
  /** The rule set in force. */
  rules?: ActiveRules;
  /** Tier of the store (default `hot`). */
  tier?: string;
}

export interface IndexedStudy {
  studyId: string;
  revision: number;
  /** Series that gained instances. */
  seriesIds: string[];
  newInstances: number;
  /** Source and origin of the first of them, for the event. */
  source: string;
  origin: PackEntry['origin'];
}

export interface IndexPackResult {
  /** The pack was in the catalog before: nothing was done, the other fields are empty. */
  already: boolean;
  /** Instances that became the answer for their UID. */
  newInstances: number;
  /** Of these, what was sent to us; only where rules may route it. */
  routable: NewObject[];
  /** Entries that are another copy of a known instance. */
  duplicates: number;
  /** Differences flagged by this pack. */
  differences: number;
  /** Entries held back by a tombstone: queued for decision. */
  heldBack: number;
  /** Studies that changed; objects without a patient are not among them. */
  studies: IndexedStudy[];
  /** Entries that are no objects but what an archive answered of one. */
  answers: number;
  /** All studies of which something changed, by answers of archives too. */
  updated: { studyId: string; revision: number }[];
  /** Ids of patients (local identities) that are new, or whose attributes or studies changed. */
  patients: string[];
  /** Time that reading and projecting the headers took; what else `indexPack` took is SQL and pixels. */
  parseSeconds: number;
}
