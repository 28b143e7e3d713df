/** Environment variables and keys of the site file with their meanings; defaults and types come from the code's own schemas. */
import { ArchipelagoConfigSchema } from '@archipelago/platform-service';
import { CONFIGURATION } from '@archipelago/standalone/documentation';
import { z } from 'zod';
import { table } from '../conformance/markdown';

/** What no schema can say. A variable that is missing here, or that no process reads, fails the check. */
const MEANINGS: Record<string, string> = {
  ARCHIPELAGO_HOME: 'what a standalone keeps lies below it; default place of spool and objects',
  ARCHIPELAGO_SITE: "name of the site; default: the site file's, else `main`",
  ARCHIPELAGO_AE_TITLE: 'first called AE title; further ones in the site file',
  ARCHIPELAGO_HTTP_HOST: 'address of health and metrics',
  ARCHIPELAGO_HTTP_PORT: 'its port; 0: any free one',
  ARCHIPELAGO_LOG_LEVEL: 'trace, debug, info, warn, error, fatal, silent',
  ARCHIPELAGO_SHUTDOWN_SECONDS: 'longest time of a stop (a standalone sets it for its children)',
  ARCHIPELAGO_DIMSE_HOST: 'address of the DICOM listener',
  ARCHIPELAGO_DIMSE_PORT: 'its port; 0: any free one',
  ARCHIPELAGO_ACCEPT_UNKNOWN_PEERS:
    'whether callers that are no configured peers are taken; default: true on a loopback listener, else false',
  ARCHIPELAGO_SPOOL_DIR: "the edge's volume; default `spool` below the home",
  ARCHIPELAGO_OBJECT_STORE:
    '`fs:<folder>` or `s3:http(s)://host:port/bucket`; default `objects` below the home. The same for all services',
  ARCHIPELAGO_SPOOL_MIN_FREE_BYTES:
    'free bytes below which C-STORE is answered A700; default: the larger of 2 GiB and 5 %',
  ARCHIPELAGO_SPOOL_KEEP_HOURS: 'hours that confirmed segments stay as cache (at least 24), less when space is short',
  ARCHIPELAGO_STRICT: "answer C-STORE only after the catalog's commit",
  ARCHIPELAGO_STRICT_TIMEOUT_SECONDS: 'how long that is waited for',
  ARCHIPELAGO_UPLOADS: 'uploads at a time',
  ARCHIPELAGO_VERIFY_READS: 'compare what is read for a retrieval with its digest',
  ARCHIPELAGO_INGEST_CONCURRENCY: 'large packs indexed at a time by one process; small ones share a transaction',
  ARCHIPELAGO_CACHE_BYTES:
    'bytes that fetched studies may take in the object store; default a fifth of the disk of an `fs` store; with `s3` nothing is evicted without it',
  ARCHIPELAGO_SWEEP_MINUTES: 'minutes between sweeps, whoever runs them; 0: on command only',
  ARCHIPELAGO_RULES:
    'a file of rules, read at a start (docs/rules); what was given by command stays until the file changes',
  ARCHIPELAGO_METADATA_QUIET_SECONDS: 'a series without news for so long gets its metadata object',
  ARCHIPELAGO_EDGE_URL: "where other edges reach this one's HTTP port; default: from its HTTP host and port",
  ARCHIPELAGO_GRANT_KEY:
    'secret of at least 32 characters that the edges of a site share, to read what one of them fetched; default: none is read by others',
  ARCHIPELAGO_FETCH_TIMEOUT_SECONDS: 'a fetch from which nothing comes for so long is given up',
  ARCHIPELAGO_HARVEST_INTERVAL_SECONDS: 'seconds between looks for what is new in an archive',
  ARCHIPELAGO_HARVEST_OVERLAP_DAYS: 'days of StudyDate before today that each look covers again',
  ARCHIPELAGO_PROBE_HOURS: 'hours after which it is found anew what an archive offers',
  ARCHIPELAGO_AUDIT_HOURS: 'hours between drift audits of a sample of each archive; 0: on command only',
  ARCHIPELAGO_NATS_URL: 'one or several addresses, separated by commas',
  ARCHIPELAGO_NATS_USER: 'user name, where NATS asks for one',
  ARCHIPELAGO_NATS_PASSWORD: 'its password',
  ARCHIPELAGO_NATS_REPLICAS: 'copies of each stream; 3 in a cluster',
  ARCHIPELAGO_NATS_START_WAIT_SECONDS: 'how long a start waits for NATS before it goes on without',
  ARCHIPELAGO_DATABASE_URL:
    '`postgres://user:password@host:port/database`; a standalone starts its own where it is not set',
  ARCHIPELAGO_DATABASE_POOL: 'connections of one process',
  ARCHIPELAGO_DATABASE_STATEMENT_TIMEOUT_MS: 'a statement that takes longer is cancelled and tried again',
  ARCHIPELAGO_DATABASE_CONNECT_TIMEOUT_MS: 'longest wait for a connection',
};

/** Read outside of the checked definitions. */
const FURTHER: readonly (readonly [string, string, string, string])[] = [
  ['ARCHIPELAGO_CONFIG', '`archipelago.yaml` if there is one', 'all', 'the site file (below)'],
  [
    'ARCHIPELAGO_S3_ACCESS_KEY',
    'required for `s3:`',
    'dimse-edge, ingest, catalog, cache',
    'access key of the object store',
  ],
  ['ARCHIPELAGO_S3_SECRET_KEY', 'required for `s3:`', 'dimse-edge, ingest, catalog, cache', 'its secret'],
  ['ARCHIPELAGO_S3_REGION', '`us-east-1`', 'dimse-edge, ingest, catalog, cache', 'its region'],
  ['ARCHIPELAGO_NO_QUICKACK', '', 'dimse-edge', '1: no TCP_QUICKACK after reads (Linux)'],
  [
    'ARCHIPELAGO_TOOLS',
    "the user's cache folder",
    'standalone, set-up, tests',
    'where servers and test tools are kept',
  ],
  [
    'UV_THREADPOOL_SIZE',
    '32 by `npm start`',
    'all',
    'threads for file work; set it for services that you start yourself',
  ],
];

export function environmentTable(): string {
  const rows = new Map<string, { default: string; usedBy: Set<string> }>();
  for (const { definition, usedBy } of CONFIGURATION) {
    for (const { variable, required, default: value } of definition.settings) {
      const row = rows.get(variable) ?? { default: '', usedBy: new Set<string>() };
      const known = required ? 'required' : value === undefined ? '' : `\`${value}\``;
      row.default ||= known;
      for (const service of usedBy) row.usedBy.add(service);
      rows.set(variable, row);
    }
  }
  const unexplained = [...rows.keys()].filter((name) => !MEANINGS[name]);
  const unread = Object.keys(MEANINGS).filter((name) => !rows.has(name));
  if (unexplained.length + unread.length > 0) {
    throw new Error(
      `settings without meaning: ${unexplained.join(', ')}; meanings without setting: ${unread.join(', ')}`,
    );
  }
  return table(
    ['Variable', 'Default', 'Read by', 'Meaning'],
    [
      ...[...rows].map(([name, row]) => [
        `\`${name}\``,
        row.default,
        row.usedBy.has('all') ? 'all' : [...row.usedBy].join(', '),
        MEANINGS[name] ?? '',
      ]),
      ...FURTHER.map(([name, value, usedBy, meaning]) => [`\`${name}\``, value, usedBy, meaning]),
    ],
  );
}

const KEYS: Record<string, string> = {
  site: 'name of this site; peers are known by site and AE title',
  issuer: 'default home issuer of PatientIDs',
  'aes[].aeTitle': 'a further called AE title',
  'aes[].view': 'what its callers may see; **an AE title with a view is refused until views exist**',
  'peers[].aeTitle': 'AE title, as it calls',
  'peers[].host': 'where it listens (C-MOVE destination); without `addresses` it must also call from there',
  'peers[].port': 'its port; given together with `host`',
  'peers[].name':
    'what the device is called at all sites, whatever its AE title: C-MOVE destinations may name it, rules know it by it',
  'peers[].issuer': 'home issuer: an unqualified PatientID in its queries means (issuer, id)',
  'peers[].certificateSha256': 'fingerprint of the client certificate that it must show',
  'peers[].tls': 'associations to it use TLS',
  'peers[].origin': '`acquired` (modalities) or `derived` (workstations, algorithms)',
  'peers[].addresses[]': 'addresses or networks that it may call from',
  'peers[].maxAssociations': 'associations of it at a time, instead of `limits.maxAssociationsPerPeer`',
  'peers[].idleSeconds': 'instead of `limits.idleSeconds`',
  'peers[].incomplete':
    'how an answer that may miss something says so: `comment`, `failure` (status C002), `marker` (a study that is none), `attribute` (private)',
  'peers[].live':
    'its C-FINDs ask the archives first; who did not answer in time is named like all that may be missing',
  'peers[].transferSyntaxes[]': 'proposed when sending to it, best first; default: as stored, and uncompressed',
  'archives[].name': 'an archive to stand in front of; also the name of the source in the catalog',
  'archives[].site': 'site whose edges reach it; default: this one',
  'archives[].aeTitle': 'its AE title',
  'archives[].host': 'its host',
  'archives[].port': 'its port',
  'archives[].issuer': 'assigning authority of its PatientIDs',
  'archives[].tls': 'associations to it use TLS',
  'archives[].dicomWebUrl': 'root of its DICOMweb service: whole headers are then read without moving images',
  'archives[].fetchAeTitle': 'AE title that its C-MOVE sub-operations are to go to',
  'archives[].budget.associations':
    'most associations to it at a time, of one edge; one of them is kept free of the harvest',
  'archives[].budget.requestsPerSecond': 'queries and retrievals begun a second; 0: unbounded',
  'archives[].budget.harvestBytesPerSecond': 'bytes a second that the harvest of whole headers may read; 0: unbounded',
  'archives[].budget.harvestHours[]': 'hours of the day (0 to 23, local time) in which it is harvested; empty: always',
  'archives[].harvest.depth': 'how deep its tags are replicated: none, study, series, image, full',
  'privateSopClasses[].uid': 'a private storage SOP class to accept',
  'privateSopClasses[].keyword': 'its name',
  'limits.maxAssociations': 'at a time, in all',
  'limits.maxAssociationsPerPeer': 'of one caller (AE title and address)',
  'limits.maxHandshakes': 'connections without an association; the oldest is dropped',
  'limits.idleSeconds': 'an association without traffic ends',
  'limits.artimSeconds': 'a connection that asks for no association ends',
  'limits.liveMs': 'how long each archive may take for a query of a `live` peer, in milliseconds',
  'limits.maxPduBytes': 'largest P-DATA-TF that we take',
  'tls.cert': 'PEM file; with `tls` a second listener opens',
  'tls.key': 'PEM file',
  'tls.ca': 'PEM file of authorities for certificates of peers',
  'tls.requireClientCertificate': 'refuse connections without a valid one; needs `ca`',
  'tls.port': 'its port',
  'queryAttributes[].keyword':
    'keyword of a further attribute that the catalog keeps, matches and returns, of what is stored from then on',
  'queryAttributes[].level': 'level that it is kept at: PATIENT, STUDY, SERIES, IMAGE',
  'sharedPatientIds[]': 'PatientIDs that name nobody: one identity per study',
};

interface JsonSchema {
  type?: string;
  properties?: Record<string, JsonSchema>;
  items?: JsonSchema;
  required?: string[];
  default?: unknown;
  anyOf?: JsonSchema[];
}

function fields(schema: JsonSchema, path: string, required: boolean): [string, string][] {
  if (schema.properties) {
    return Object.entries(schema.properties).flatMap(([key, value]) =>
      fields(value, path === '' ? key : `${path}.${key}`, schema.required?.includes(key) ?? false),
    );
  }
  if (schema.items) {
    const inner = fields(schema.items, `${path}[]`, required);
    return inner.length > 1 || schema.items.properties ? inner : [[`${path}[]`, shown(schema.default, false)]];
  }
  return [[path, shown(schema.default, required)]];
}

function shown(value: unknown, required: boolean): string {
  if (value === undefined) return required ? 'required' : '';
  return `\`${Array.isArray(value) ? JSON.stringify(value) : String(value)}\``;
}

export function siteFileTable(): string {
  const schema = z.toJSONSchema(ArchipelagoConfigSchema, { io: 'input', unrepresentable: 'any' }) as JsonSchema;
  const found = fields(schema, '', true);
  const paths = new Set(found.map(([path]) => path));
  const wrong = [...[...paths].filter((path) => !KEYS[path]), ...Object.keys(KEYS).filter((path) => !paths.has(path))];
  if (wrong.length > 0)
    throw new Error(`keys of the site file without meaning, or meanings without key: ${wrong.join(', ')}`);
  return table(
    ['Key', 'Default', 'Meaning'],
    found.map(([path, value]) => [`\`${path}\``, value, KEYS[path] ?? '']),
  );
}
