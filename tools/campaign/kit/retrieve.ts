import { datasetHash } from '@archipelago/pack';
import { connect, type StoreSink } from '@archipelago/dimse';
import { parseDataset, writeDataset } from '@archipelago/dicom-encoding';
import type { DicomTarget } from './sender';

const STUDY_ROOT_FIND = '1.2.840.10008.5.1.4.1.2.2.1';
const STUDY_ROOT_GET = '1.2.840.10008.5.1.4.1.2.2.3';
const IMPLICIT_LE = '1.2.840.10008.1.2';
const EXPLICIT_LE = '1.2.840.10008.1.2.1';
const CT = '1.2.840.10008.5.1.4.1.1.2';

export interface Retrieved {
  /** Final status. */
  status: number;
  /** Digests (hex) of what came, by SOP Instance UID: more than one is a duplicate. */
  received: Map<string, string[]>;
  failed: number;
}

function identifier(keys: Record<string, string>): Buffer {
  return writeDataset(
    Object.fromEntries(Object.entries(keys).map(([tag, value]) => [tag, element(tag, value)])),
    IMPLICIT_LE,
  );
}

function element(tag: string, value: string): { vr: string; Value?: string[] } {
  const vr = tag === '00080052' ? 'CS' : tag === '00100020' ? 'LO' : 'UI';
  return value === '' ? { vr } : { vr, Value: [value] };
}

class DigestSink implements StoreSink {
  private readonly hash = datasetHash();

  constructor(private readonly done: (wireDigest: string) => void) {}

  write(chunk: Buffer): void {
    this.hash.update(chunk);
  }

  end(): Promise<{ status: number }> {
    this.done(this.hash.digest().toString('hex'));
    return Promise.resolve({ status: 0 });
  }

  abort(): void {
    // the C-GET fails and says so
  }
}

/** C-GET of whole studies of CTs, over one association. */
export async function retrieveStudies(
  target: DicomTarget,
  studies: readonly string[],
  each: (study: string, retrieved: Retrieved) => void,
): Promise<void> {
  let received = new Map<string, string[]>();
  const association = await connect({
    host: target.host,
    port: target.port,
    calledAeTitle: target.aeTitle,
    callingAeTitle: 'CAMPAIGN',
    contexts: [
      { abstractSyntax: STUDY_ROOT_GET, transferSyntaxes: [IMPLICIT_LE] },
      { abstractSyntax: CT, transferSyntaxes: [EXPLICIT_LE] },
    ],
    roles: [{ sopClassUid: CT, scuRole: false, scpRole: true }],
    onStore: ({ sopInstanceUid }) =>
      new DigestSink((digest) => received.set(sopInstanceUid, [...(received.get(sopInstanceUid) ?? []), digest])),
  });
  try {
    for (const study of studies) {
      received = new Map();
      let status = -1;
      let failed = 0;
      for await (const response of association.get(
        STUDY_ROOT_GET,
        identifier({ '00080052': 'STUDY', '0020000D': study }),
      )) {
        ({ status } = response);
        failed = response.counts.failed;
      }
      each(study, { status, received, failed });
    }
  } finally {
    await association.release().catch(() => undefined);
  }
}

export interface Found {
  /** Final status. */
  status: number;
  matches: number;
  ms: number;
  /** Study Instance UIDs of the matches. */
  studies: string[];
}

/** C-FIND at study level; without a UID of all studies (at most `most` are counted, then it is cancelled). */
export async function findStudies(target: DicomTarget, study = '', most = 1000): Promise<Found> {
  const association = await connect({
    host: target.host,
    port: target.port,
    calledAeTitle: target.aeTitle,
    callingAeTitle: 'CAMPAIGN',
    contexts: [{ abstractSyntax: STUDY_ROOT_FIND, transferSyntaxes: [IMPLICIT_LE] }],
    responseTimeoutMs: 20_000,
  });
  const started = performance.now();
  try {
    const cancel = new AbortController();
    const studies: string[] = [];
    let status = -1;
    const keys = identifier({ '00080052': 'STUDY', '0020000D': study });
    for await (const response of association.find(STUDY_ROOT_FIND, keys, cancel.signal)) {
      ({ status } = response);
      if (response.identifier) studies.push(uidOf(response.identifier));
      if (studies.length === most) cancel.abort();
    }
    return { status, matches: studies.length, ms: performance.now() - started, studies };
  } finally {
    await association.release().catch(() => undefined);
  }
}

function uidOf(bytes: Buffer): string {
  const json = parseDataset(bytes, IMPLICIT_LE).toDicomJson() as Record<string, { Value?: string[] }>;
  return json['0020000D']?.Value?.[0] ?? '';
}
