/** A reader, and archives with studies, for benchmarks of many archives as one. */
import { connect, type ClientAssociation, type RetrieveResponse } from '@archipelago/dimse';
import { writeDataset } from '@archipelago/dicom-encoding';
import { eventually, generateStudy, type TestOrthanc, type TestSystem } from '@archipelago/testing';

const FIND = '1.2.840.10008.5.1.4.1.2.2.1';
const GET = '1.2.840.10008.5.1.4.1.2.2.3';
const CT = '1.2.840.10008.5.1.4.1.1.2';
const EXPLICIT_LE = '1.2.840.10008.1.2.1';

/** Who is asked. */
export interface Asked {
  host: string;
  port: number;
  aet: string;
}

export const ours = ({ host, port, aeTitle }: TestSystem): Asked => ({ host, port, aet: aeTitle });

function associate(asked: Asked, abstractSyntax: string, more = {}): Promise<ClientAssociation> {
  return connect({
    host: asked.host,
    port: asked.port,
    calledAeTitle: asked.aet,
    callingAeTitle: 'BENCH',
    contexts: [abstractSyntax, CT].map((each) => ({ abstractSyntax: each, transferSyntaxes: [EXPLICIT_LE] })),
    ...more,
  });
}

const identifier = (uid: string, more = {}): Buffer =>
  writeDataset(
    {
      '00080052': { vr: 'CS', Value: ['STUDY'] },
      '0020000D': uid === '' ? { vr: 'UI' } : { vr: 'UI', Value: [uid] },
      ...more,
    },
    EXPLICIT_LE,
  );

export interface Retrieved {
  last: RetrieveResponse;
  completed: number;
  /** From the request for an association until the first instance was complete, and until the association was over. */
  firstMs: number;
  ms: number;
}

/** C-GET of one study of CT images, received and forgotten. */
export async function retrieve(asked: Asked, uid: string): Promise<Retrieved> {
  const started = performance.now();
  let firstMs = NaN;
  const association = await associate(asked, GET, {
    roles: [{ sopClassUid: CT, scuRole: false, scpRole: true }],
    onStore: () => ({
      write: () => undefined,
      end: () => {
        if (Number.isNaN(firstMs)) firstMs = performance.now() - started;
        return Promise.resolve({ status: 0 });
      },
      abort: () => undefined,
    }),
  });
  let last: RetrieveResponse | undefined;
  for await (const response of association.get(GET, identifier(uid))) last = response;
  await association.release();
  if (!last) throw new Error('C-GET was not answered');
  return { last, completed: last.counts.completed, firstMs, ms: performance.now() - started };
}

/** @throws when something was missing: then nothing is to be measured */
export async function retrieveWhole(asked: Asked, uid: string): Promise<Retrieved> {
  const got = await retrieve(asked, uid);
  const { status, errorComment, counts } = got.last;
  if (status !== 0 || counts.failed > 0)
    throw new Error(`C-GET answered ${status.toString(16)} ${errorComment ?? ''} ${JSON.stringify(counts)}`);
  return got;
}

export const openQuery = (asked: Asked): Promise<ClientAssociation> => associate(asked, FIND);

/** Number of matches. */
export async function ask(query: ClientAssociation, uid: string): Promise<number> {
  let matches = 0;
  const keys = { '00100020': { vr: 'LO' }, '00201208': { vr: 'IS' } };
  for await (const response of query.find(FIND, identifier(uid, keys))) {
    if (response.identifier) matches++;
    else if (response.status !== 0) throw new Error(`C-FIND answered ${response.status.toString(16)}`);
  }
  return matches;
}

/** Puts generated CT studies into the archive. @returns their Study Instance UIDs */
export async function fill(
  archive: TestOrthanc,
  seed: string,
  studies: number,
  each: { count: number; rows: number; columns: number },
): Promise<string[]> {
  const uids: string[] = [];
  for (let n = 0; n < studies; n++) {
    for (const one of generateStudy({ kind: 'ct', seed: `${process.pid}:${seed}:${n}`, ...each })) {
      await archive.rest('POST', '/instances', one.part10());
      uids[n] = one.studyInstanceUid;
    }
  }
  return uids;
}

/** Resolves when so many studies are known with all their images. */
export async function known(system: TestSystem, studies: number): Promise<void> {
  const query = await openQuery(ours(system));
  const [replication] = system.replications;
  const waiting = (): Promise<number | undefined> => replication!.metric('archipelago_replication_waiting_studies');
  await eventually(
    'all studies are known with their images',
    async () => (await ask(query, '')) === studies && (await waiting()) === 0,
    300_000,
    1_000,
  );
  await query.release();
}
