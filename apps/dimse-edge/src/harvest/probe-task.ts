/** What an archive offers, found by asking it, without reading anything of a patient. */
import type { ArchiveCapabilitiesV1 } from '@archipelago/contracts';
import { writeDataset } from '@archipelago/dicom-encoding';
import type { ArchiveAssociation } from '../archives/archive-connections';
import {
  GET_WITHOUT_BULK,
  PATIENT_ROOT_FIND,
  STUDY_ROOT_FIND,
  STUDY_ROOT_GET,
  STUDY_ROOT_MOVE,
  VERIFICATION,
} from './query-keys';
import { abortable, failedPart, NATIVE, newPart, type PartsOf, type TaskContext } from './task-context';

/** Nobody's: the answer to a query for it is empty. */
const NOBODY = '2.25.1';
const PROBE_MS = 30_000;

export const probeTask: PartsOf = async (context) => {
  const part = newPart();
  const capabilities: ArchiveCapabilitiesV1 = {
    probedAt: new Date().toISOString(),
    reachable: false,
    find: { patientRoot: false, studyRoot: false, relational: false },
    get: false,
    move: false,
    getWithoutBulkData: false,
    dicomWeb: false,
  };
  const { signal, abort } = abortable(context.signal);
  const timer = setTimeout(abort, PROBE_MS);
  try {
    await dimse(context, capabilities, signal);
    capabilities.reachable = true;
    part.end = 'complete';
  } catch (error) {
    context.signal.throwIfAborted();
    if (signal.aborted) part.end = 'deadline';
    else failedPart(part, error);
  } finally {
    clearTimeout(timer);
  }
  if (context.archive.dicomWebUrl !== undefined) capabilities.dicomWeb = await qido(context);
  return { parts: [part], capabilities };
};

async function dimse(context: TaskContext, found: ArchiveCapabilitiesV1, signal: AbortSignal): Promise<void> {
  const classes = [VERIFICATION, STUDY_ROOT_FIND, PATIENT_ROOT_FIND, STUDY_ROOT_GET, STUDY_ROOT_MOVE, GET_WITHOUT_BULK];
  const ct = '1.2.840.10008.5.1.4.1.1.2';
  await context.connections.use(
    context.archive,
    'probe',
    async (association) => {
      const offers = (uid: string): boolean => association.contexts.some((c) => c.abstractSyntax === uid);
      if (offers(VERIFICATION)) await association.echo();
      found.get = offers(STUDY_ROOT_GET);
      found.move = offers(STUDY_ROOT_MOVE);
      found.getWithoutBulkData = offers(GET_WITHOUT_BULK);
      const relational = association.negotiated.extended.find((e) => e.sopClassUid === STUDY_ROOT_FIND);
      found.find = {
        studyRoot: await finds(association, STUDY_ROOT_FIND, signal),
        patientRoot: await finds(association, PATIENT_ROOT_FIND, signal),
        relational: relational?.info[0] === 1,
      };
    },
    {
      contexts: [...classes, ct].map((abstractSyntax) => ({ abstractSyntax, transferSyntaxes: NATIVE })),
      roles: [{ sopClassUid: ct, scuRole: false, scpRole: true }],
      extended: [{ sopClassUid: STUDY_ROOT_FIND, info: Buffer.from([1]) }],
      onStore: () => ({
        write: () => undefined,
        end: () => Promise.resolve({ status: 0xa700 }),
        abort: () => undefined,
      }),
      responseTimeoutMs: 10_000,
      signal,
    },
  );
}

/** Accepted is not enough: it must answer a query. */
async function finds(association: ArchiveAssociation, sopClass: string, signal: AbortSignal): Promise<boolean> {
  const context = association.contexts.find((c) => c.abstractSyntax === sopClass);
  if (!context) return false;
  const identifier = writeDataset(
    {
      '00080052': { vr: 'CS', Value: ['STUDY'] },
      '00100020': { vr: 'LO', Value: ['ARCHIPELAGO-PROBE'] },
      '0020000D': { vr: 'UI', Value: [NOBODY] },
    },
    context.transferSyntax,
  );
  let status = 0;
  for await (const response of association.find(sopClass, identifier, signal)) status = response.status;
  return status === 0;
}

async function qido({ archive, connections, signal }: TaskContext): Promise<boolean> {
  const url = `${archive.dicomWebUrl?.replace(/\/$/, '')}/studies?StudyInstanceUID=${NOBODY}&limit=1`;
  try {
    return await connections.guard(
      archive,
      'probe',
      async () => {
        const response = await fetch(url, {
          headers: { accept: 'application/dicom+json' },
          signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]),
          redirect: 'error',
        });
        await response.body?.cancel();
        return response.status === 200 || response.status === 204;
      },
      { signal },
    );
  } catch {
    // not there, or no DICOMweb: the archive is asked by DIMSE
    return false;
  }
}
