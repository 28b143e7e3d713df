/**
 * One leg's work at the archive: C-GET where it offers it and the SOP classes are known, else C-MOVE to the site's fetch
 * AE title (PS3.4 C.4.2, C.4.3).
 */
import type { ArchiveV1 } from '@archipelago/contracts';
import type { RetrieveResponse, StoreRequest, StoreSink } from '@archipelago/dimse';
import type { ArchiveAssociation, UseOptions } from '../archives/archive-connections';
import { storedTransferSyntaxes } from '../association/capabilities';
import {
  ArchiveStatusError,
  askInstances,
  contextFor,
  QUERY_SYNTAXES,
  retrieveIdentifier,
  STUDY_ROOT,
} from './archive-query';
import type { FetchEnd, FetchLeg } from './fetch-leg';

export type AssociationNeeds = Pick<UseOptions, 'contexts' | 'roles' | 'onStore' | 'signal'>;

export interface ArchiveWork {
  /** One association within the archive's budget; rejects at once when it cannot be asked now. */
  use<T>(
    archive: ArchiveV1,
    needs: AssociationNeeds,
    work: (association: ArchiveAssociation) => Promise<T>,
  ): Promise<T>;
  /** Receives a sub-operation of C-GET. */
  onStore(request: StoreRequest): Promise<StoreSink>;
  signal: AbortSignal;
  /** How long after the end of a C-MOVE objects may still be on their way from another edge. */
  settleMs: number;
}

const PENDING = 0xff00;
/** Presentation contexts of one association, but for that of the query (PS3.8 9.3.2.2: odd bytes). */
const MOST_CONTEXTS = 126;

/** @throws whatever the association throws; ArchiveStatusError */
export async function retrieveFromArchive(leg: FetchLeg, work: ArchiveWork): Promise<FetchEnd> {
  let classes = [...new Set(leg.target.sopClasses)];
  const { capabilities } = leg.archive;
  if (classes.length === 0) classes = await askFirst(leg, work);
  if (classes.length > 0 && capabilities?.get !== false) {
    try {
      return await byGet(leg, work, classes);
    } catch (error) {
      const offered = !(error instanceof ArchiveStatusError) || error.status !== 0x0122;
      if (offered || capabilities?.move === false) throw error;
    }
  }
  return byMove(leg, work);
}

/** What is there, from the archive itself, so that counts and failed UIDs are true. */
async function askFirst(leg: FetchLeg, work: ArchiveWork): Promise<string[]> {
  const contexts = [{ abstractSyntax: STUDY_ROOT.find, transferSyntaxes: QUERY_SYNTAXES }];
  const instances = await work.use(leg.archive, { contexts, signal: work.signal }, (association) =>
    askInstances(association, leg.target),
  );
  leg.expect(instances);
  return [...new Set(instances.map((one) => one.sopClassUid).filter((uid) => uid !== ''))];
}

/** One context for each class and syntax, so that objects come as they are kept; classes in as many rounds as that needs. */
async function byGet(leg: FetchLeg, work: ArchiveWork, classes: readonly string[]): Promise<FetchEnd> {
  const syntaxes = storedTransferSyntaxes();
  const atOnce = Math.max(1, Math.floor(MOST_CONTEXTS / syntaxes.length));
  let outcome: FetchEnd = { outcome: 'complete' };
  for (let at = 0; at < classes.length; at += atOnce) {
    const part = classes.slice(at, at + atOnce);
    const needs: AssociationNeeds = {
      contexts: [
        { abstractSyntax: STUDY_ROOT.get, transferSyntaxes: QUERY_SYNTAXES },
        ...part.flatMap((abstractSyntax) => syntaxes.map((syntax) => ({ abstractSyntax, transferSyntaxes: [syntax] }))),
      ],
      roles: part.map((sopClassUid) => ({ sopClassUid, scuRole: false, scpRole: true })),
      onStore: (request) => work.onStore(request),
      signal: work.signal,
    };
    const last = await work.use(leg.archive, needs, async (association) => {
      const { transferSyntax } = contextFor(association, STUDY_ROOT.get);
      const identifier = retrieveIdentifier(leg.target, transferSyntax);
      return lastOf(leg, association.get(STUDY_ROOT.get, identifier, work.signal));
    });
    // with several rounds each leaves the other classes out: what is missing is seen by what arrived
    const end = endOf(last, 'C-GET');
    if (classes.length <= atOnce || end.outcome === 'failed') outcome = end;
  }
  return outcome;
}

async function byMove(leg: FetchLeg, work: ArchiveWork): Promise<FetchEnd> {
  const contexts = [{ abstractSyntax: STUDY_ROOT.move, transferSyntaxes: QUERY_SYNTAXES }];
  const last = await work.use(leg.archive, { contexts, signal: work.signal }, async (association) => {
    const { transferSyntax } = contextFor(association, STUDY_ROOT.move);
    const identifier = retrieveIdentifier(leg.target, transferSyntax);
    return lastOf(leg, association.move(STUDY_ROOT.move, identifier, leg.archive.fetchAeTitle, work.signal));
  });
  const sent = (last?.counts.completed ?? 0) + (last?.counts.warning ?? 0);
  const until = performance.now() + work.settleMs;
  // sub-operations may have landed on another edge, which tells us over the bus
  while (leg.count < sent && performance.now() < until && !work.signal.aborted) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return endOf(last, 'C-MOVE');
}

async function lastOf(
  leg: FetchLeg,
  responses: AsyncIterable<RetrieveResponse>,
): Promise<RetrieveResponse | undefined> {
  let last: RetrieveResponse | undefined;
  for await (const response of responses) {
    if (response.status === PENDING) leg.touch();
    last = response;
  }
  return last;
}

/** PS3.4 table C.4-2 and C.4-3. */
function endOf(last: RetrieveResponse | undefined, what: string): FetchEnd {
  if (last === undefined || last.status === PENDING) return { outcome: 'failed', code: 'no-final-response' };
  if (last.status === 0) return { outcome: 'complete' };
  if (last.status === 0xb000) return { outcome: 'partial', code: 'some-failed' };
  const { code } = new ArchiveStatusError(last.status, what);
  return { outcome: last.counts.completed + last.counts.warning > 0 ? 'partial' : 'failed', code };
}
