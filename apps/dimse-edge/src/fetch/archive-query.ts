/** Identifiers for an archive (PS3.4 C.4.1.1.3, C.4.2.1.4, C.4.3.1.3), and what it answers at series and image level. */
import type { FetchTargetV1 } from '@archipelago/contracts';
import { EXPLICIT_VR_LE, IMPLICIT_VR_LE, type DicomJson } from '@archipelago/dicom-core';
import { parseDataset, writeDataset } from '@archipelago/dicom-encoding';
import type { AcceptedContext } from '@archipelago/dimse';
import type { ArchiveAssociation } from '../archives/archive-connections';
import { judgeUid, trimUid } from '../store/store-checks';
import type { ExpectedInstance } from './fetch-leg';

/** PS3.4 C.6.2.3: Study Root Query/Retrieve Information Model. */
export const STUDY_ROOT = {
  find: '1.2.840.10008.5.1.4.1.2.2.1',
  move: '1.2.840.10008.5.1.4.1.2.2.2',
  get: '1.2.840.10008.5.1.4.1.2.2.3',
} as const;

export const QUERY_SYNTAXES = [EXPLICIT_VR_LE, IMPLICIT_VR_LE];

/** Most instances of one study that are taken from an archive's answers; beyond it the fetch fails, and says so. */
const MOST_INSTANCES = 200_000;
const PENDING = new Set([0xff00, 0xff01]);

/** An archive refused, or did not end its answer well. */
export class ArchiveStatusError extends Error {
  constructor(
    readonly status: number,
    what: string,
  ) {
    super(`${what} answered ${status.toString(16).toUpperCase().padStart(4, '0')}`);
    this.name = 'ArchiveStatusError';
  }

  get code(): string {
    return `status-${this.status.toString(16).padStart(4, '0')}`;
  }
}

export function contextFor(association: ArchiveAssociation, abstractSyntax: string): AcceptedContext {
  const context = association.contexts.find((c) => c.abstractSyntax === abstractSyntax);
  if (!context) throw new ArchiveStatusError(0x0122, 'presentation context');
  return context;
}

function ui(values: readonly string[]): DicomJson[string] {
  return values.length > 0 ? { vr: 'UI', Value: [...values] } : { vr: 'UI' };
}

/** What the target means, as an identifier for C-GET or C-MOVE. */
export function retrieveIdentifier(target: FetchTargetV1, transferSyntax: string): Buffer {
  const series = target.seriesInstanceUids ?? [];
  return writeDataset(
    {
      '00080052': { vr: 'CS', Value: [series.length > 0 ? 'SERIES' : 'STUDY'] },
      '0020000D': ui([target.studyInstanceUid]),
      ...(series.length > 0 ? { '0020000E': ui(series) } : {}),
    },
    transferSyntax,
  );
}

function text(answer: DicomJson, tag: string): string {
  const value = answer[tag]?.Value?.[0];
  return typeof value === 'string' ? trimUid(value.trim()) : '';
}

async function answers(association: ArchiveAssociation, keys: DicomJson): Promise<DicomJson[]> {
  const { transferSyntax } = contextFor(association, STUDY_ROOT.find);
  const found: DicomJson[] = [];
  for await (const response of association.find(STUDY_ROOT.find, writeDataset(keys, transferSyntax))) {
    if (PENDING.has(response.status)) {
      if (response.identifier) found.push(parseDataset(response.identifier, transferSyntax).toDicomJson());
      if (found.length > MOST_INSTANCES) throw new ArchiveStatusError(0xa700, 'more instances than are taken: C-FIND');
    } else if (response.status !== 0) throw new ArchiveStatusError(response.status, 'C-FIND');
  }
  return found;
}

/** The instances of the target, as the archive names them: hierarchical queries, series by series. */
export async function askInstances(
  association: ArchiveAssociation,
  target: FetchTargetV1,
): Promise<ExpectedInstance[]> {
  const study = target.studyInstanceUid;
  const series =
    target.seriesInstanceUids ??
    (
      await answers(association, {
        '00080052': { vr: 'CS', Value: ['SERIES'] },
        '0020000D': ui([study]),
        '0020000E': ui([]),
      })
    ).map((answer) => text(answer, '0020000E'));
  const instances = new Map<string, ExpectedInstance>();
  for (const uid of new Set(series)) {
    if (judgeUid(uid) === 'invalid' || uid === '') continue;
    const images = await answers(association, {
      '00080016': ui([]),
      '00080018': ui([]),
      '00080052': { vr: 'CS', Value: ['IMAGE'] },
      '0020000D': ui([study]),
      '0020000E': ui([uid]),
    });
    for (const image of images) {
      const sopInstanceUid = text(image, '00080018');
      if (sopInstanceUid === '' || judgeUid(sopInstanceUid) === 'invalid') continue;
      instances.set(sopInstanceUid, { sopInstanceUid, sopClassUid: text(image, '00080016'), seriesInstanceUid: uid });
    }
    if (instances.size > MOST_INSTANCES) throw new ArchiveStatusError(0xa700, 'more instances than are taken: C-FIND');
  }
  return [...instances.values()];
}
