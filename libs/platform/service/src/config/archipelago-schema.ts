import { isIP } from 'node:net';
import { z } from 'zod';

/** Default character repertoire (PS3.5 6.1.3) without backslash and control characters. */
const AE_TITLE = /^[\x20-\x5B\x5D-\x7E]{1,16}$/;

/**
 * PS3.5 Table 6.2-1, VR AE: at most 16 characters of the default repertoire, no backslash, no control characters;
 * leading and trailing spaces are not significant, and a value of spaces only is not allowed.
 */
export function isAeTitle(value: string): boolean {
  return AE_TITLE.test(value) && value.trim() !== '';
}

export const AeTitle = z
  .string()
  .refine(isAeTitle, 'an AE title has 1 to 16 characters of printable ASCII without backslash, and not only spaces')
  .transform((value) => value.trim());

/** UID rules of PS3.5 9.1: at most 64 of 0-9 and dots, components without leading zeros. */
export const Uid = z
  .string()
  .max(64)
  .regex(/^(0|[1-9]\d*)(\.(0|[1-9]\d*))+$/, 'a UID has numbers without leading zeros between dots');

/** A token of ours: safe in subjects, keys and file names. */
export const Token = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, '1 to 64 of A-Z a-z 0-9 _ -');

const Host = z
  .string()
  .max(253)
  .regex(/^[A-Za-z0-9._:-]+$/, 'a host name or an IP address');
const Port = z.int().min(1).max(65_535);
const Issuer = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[^\\\p{Cc}]+$/u, 'no backslash or control characters');

/** One address, or a network in CIDR notation. */
const AddressRange = z.string().refine((value) => {
  const [address, prefix, ...rest] = value.split('/');
  const family = isIP(address ?? '');
  if (family === 0 || rest.length > 0) return false;
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128));
}, 'an IP address or a network like 10.1.0.0/16');

const Fingerprint = z
  .string()
  .transform((value) => value.replaceAll(':', '').toLowerCase())
  .pipe(z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 fingerprint has 64 hex digits'));

/** Who may call, and a C-MOVE destination when host and port are given. */
export const PeerSchema = z.strictObject({
  aeTitle: AeTitle,
  host: Host.optional(),
  port: Port.optional(),
  /** Home issuer: an unqualified PatientID in its queries means (issuer, id). Default: the file's `issuer`. */
  issuer: Issuer.optional(),
  /**
   * What this scanner or workstation is called whatever its AE title: C-MOVE destinations may name it, and rules know it by it.
   * The same name at several sites is one device.
   */
  name: AeTitle.optional(),
  /** SHA-256 of the client certificate that it must show. */
  certificateSha256: Fingerprint.optional(),
  /** Outbound associations to it use TLS. */
  tls: z.boolean().default(false),
  /** What its objects are: `derived` for workstations and algorithms (SR, SEG, presentation states). */
  origin: z.enum(['acquired', 'derived']).default('acquired'),
  /** Source addresses that it may call from; when left out those of `host`, without a host any. */
  addresses: z.array(AddressRange).min(1).optional(),
  maxAssociations: z.int().min(1).max(1000).optional(),
  idleSeconds: z.int().min(1).max(86_400).optional(),
  /**
   * How an answer that may miss something says so, beside the log: in the final status' comment; a failure status (C002)
   * after the matches; a first match that is no study but the notice; a private attribute in each match.
   */
  incomplete: z.enum(['comment', 'failure', 'marker', 'attribute']).default('comment'),
  /** Its C-FINDs ask the archives first, each within `limits.liveMs`; the answer names those that did not answer. */
  live: z.boolean().default(false),
  /** Transfer syntaxes to propose and prefer when sending to it, best first. */
  transferSyntaxes: z.array(Uid).min(1).optional(),
});

/** All that is asked of an archive, harvest and retrieval together, stays below these. For each edge of its site. */
export const ArchiveBudgetSchema = z.strictObject({
  associations: z.int().min(1).max(100).default(4),
  /** Queries and retrievals begun a second; 0: unbounded. */
  requestsPerSecond: z.number().min(0).default(0),
  /** Bytes a second that a harvest of whole headers may read; 0: unbounded. */
  harvestBytesPerSecond: z.number().min(0).default(0),
  /** Hours of the day (0 to 23, local time) in which the harvest may run; empty: always. */
  harvestHours: z.array(z.int().min(0).max(23)).max(24).default([]),
});

export const ArchiveSchema = z.strictObject({
  name: Token,
  /** Site whose edges reach it; default: the file's. */
  site: Token.optional(),
  aeTitle: AeTitle,
  host: Host,
  port: Port,
  /** Assigning authority of its unqualified PatientIDs. */
  issuer: Issuer.optional(),
  tls: z.boolean().default(false),
  /** Root of its DICOMweb service, e.g. `http://10.1.0.5:8042/dicom-web`. */
  dicomWebUrl: z.url({ protocol: /^https?$/ }).optional(),
  /** AE title that its C-MOVE sub-operations are to go to: the site's fetch AE. */
  fetchAeTitle: AeTitle.default('ARCHFETCH'),
  budget: ArchiveBudgetSchema.default(() => ArchiveBudgetSchema.parse({})),
  harvest: z.strictObject({ depth: z.enum(['none', 'study', 'series', 'image', 'full']).default('full') }).optional(),
});

export const LimitsSchema = z.strictObject({
  maxAssociations: z.int().min(1).max(10_000).default(200),
  maxAssociationsPerPeer: z.int().min(1).max(1000).default(50),
  /** Unfinished handshakes, counted apart so that half-open sockets never shut out a known peer. */
  maxHandshakes: z.int().min(1).max(10_000).default(100),
  idleSeconds: z.int().min(1).max(86_400).default(600),
  artimSeconds: z.int().min(1).max(600).default(30),
  maxPduBytes: z.int().min(4096).max(1_048_576).default(131_072),
  /** How long each archive may take for a query of a `live` peer; the rest of the 5 s of an answer is the catalog's. */
  liveMs: z.int().min(200).max(3_000).default(2_500),
});

export const TlsSchema = z.strictObject({
  /** PEM files. */
  cert: z.string().min(1),
  key: z.string().min(1),
  ca: z.string().min(1).optional(),
  requireClientCertificate: z.boolean().default(false),
  port: Port.default(2762),
});

function unique(
  items: { key: string; path: (string | number)[] }[],
  what: string,
  context: z.core.$RefinementCtx,
): void {
  const seen = new Set<string>();
  for (const { key, path } of items) {
    if (seen.has(key)) context.addIssue({ code: 'custom', path, message: `${what} is given twice` });
    seen.add(key);
  }
}

export const ArchipelagoConfigSchema = z
  .strictObject({
    site: Token.default('main'),
    /** Default home issuer. */
    issuer: Issuer.optional(),
    aes: z.array(z.strictObject({ aeTitle: AeTitle, view: Token.optional() })).default([]),
    peers: z.array(PeerSchema).default([]),
    archives: z.array(ArchiveSchema).default([]),
    privateSopClasses: z.array(z.strictObject({ uid: Uid, keyword: z.string().min(1).max(64) })).default([]),
    limits: LimitsSchema.default(() => LimitsSchema.parse({})),
    tls: TlsSchema.optional(),
    /**
     * Further attributes that the catalog keeps of what is stored from now on, matches and returns. Text and numbers of the
     * dictionary, by keyword; sequences and bulk data are refused at the start.
     */
    queryAttributes: z
      .array(
        z.strictObject({ keyword: z.string().min(1).max(64), level: z.enum(['PATIENT', 'STUDY', 'SERIES', 'IMAGE']) }),
      )
      .max(200)
      .default([]),
    /** PatientIDs that name nobody: they form one identity per study. */
    sharedPatientIds: z.array(z.string().max(64)).default(['UNKNOWN', '0000']),
  })
  .superRefine((config, context) => {
    unique(
      config.aes.map((a, i) => ({ key: a.aeTitle, path: ['aes', i, 'aeTitle'] })),
      'this AE title',
      context,
    );
    unique(
      config.peers.map((p, i) => ({ key: p.aeTitle, path: ['peers', i, 'aeTitle'] })),
      'this peer',
      context,
    );
    unique(
      config.archives.map((a, i) => ({ key: a.name, path: ['archives', i, 'name'] })),
      'this archive',
      context,
    );
    unique(
      config.queryAttributes.map((a, i) => ({ key: a.keyword, path: ['queryAttributes', i, 'keyword'] })),
      'this attribute',
      context,
    );
    config.peers.forEach((peer, i) => {
      const other = config.peers.find((one) => one !== peer && [one.aeTitle, one.name].includes(peer.name ?? ''));
      if (other !== undefined) {
        context.addIssue({ code: 'custom', path: ['peers', i, 'name'], message: 'another peer is called so' });
      }
      if ((peer.host === undefined) !== (peer.port === undefined)) {
        context.addIssue({
          code: 'custom',
          path: ['peers', i],
          message: 'host and port are given together or not at all',
        });
      }
    });
    if (config.tls?.requireClientCertificate === true && config.tls.ca === undefined) {
      context.addIssue({ code: 'custom', path: ['tls'], message: 'requireClientCertificate needs ca' });
    }
  });

export type ArchipelagoConfig = z.output<typeof ArchipelagoConfigSchema>;
export type PeerConfig = z.output<typeof PeerSchema>;
export type ArchiveConfig = z.output<typeof ArchiveSchema>;
export type LimitsConfig = z.output<typeof LimitsSchema>;
export type TlsConfig = z.output<typeof TlsSchema>;
