/** After the storm: everything that was acknowledged is in the catalog and comes back byte for byte. */
import { createHash } from 'node:crypto';
import { queryRetrieveSopClasses } from '@archipelago/dicom-core';
import { connect } from '@archipelago/dimse';
import { writeDataset } from '@archipelago/dicom-encoding';
import { eventually, type TestSystem } from '@archipelago/testing';
import type { Acknowledged } from './fuzz-network';

const IMPLICIT_LE = '1.2.840.10008.1.2';
const STUDY_ROOT_GET = '1.2.840.10008.5.1.4.1.2.2.3';

/** Every segment sealed, every pack answered and none refused. Failures as text. */
export async function settled(system: TestSystem, timeoutMs = 60_000): Promise<string[]> {
  const failures: string[] = [];
  const packs = (state: string): Promise<number | undefined> =>
    system.edge.metric('archipelago_edge_spool', { state, what: 'packs' });
  // Segments are sealed after a second without work, and the gauges are set every few seconds.
  await new Promise((resolve) => setTimeout(resolve, 6_000));
  try {
    const quiet = async (): Promise<boolean> => (await packs('open')) === 0 && (await packs('unconfirmed')) === 0;
    await eventually('all packs answered', quiet, timeoutMs, 500);
  } catch (error) {
    failures.push(error instanceof Error ? error.message : String(error));
  }
  if ((await packs('quarantined')) !== 0) failures.push('ingest refused a pack');
  return failures;
}

/** C-GET of each by its UID. Failures as text; resolves with the number compared. */
export async function compareAll(
  system: TestSystem,
  acknowledged: Map<string, Acknowledged>,
): Promise<{ compared: number; failures: string[] }> {
  const failures: string[] = [];
  let compared = 0;
  const groups = new Map<string, [string, Acknowledged][]>();
  for (const entry of acknowledged) {
    const key = `${entry[1].sopClassUid} ${entry[1].transferSyntaxUid}`;
    groups.set(key, [...(groups.get(key) ?? []), entry]);
  }
  for (const entries of groups.values()) {
    for (const [uid, sent] of entries) {
      const got = await getOne(system, uid, sent);
      compared++;
      if (got === undefined || !sent.sha256.includes(got))
        failures.push(`${uid} in ${sent.transferSyntaxUid}: ${got ?? 'not retrieved'}`);
    }
  }
  return { compared, failures };
}

/** Objects without a patient have query/retrieve classes of their own, and no level. */
function getClassOf(sopClassUid: string): { uid: string; level?: string } {
  const own = queryRetrieveSopClasses().find((c) => c.operation === 'GET' && c.storageClasses.includes(sopClassUid));
  return own ? { uid: own.uid } : { uid: STUDY_ROOT_GET, level: 'IMAGE' };
}

async function getOne(system: TestSystem, uid: string, sent: Acknowledged): Promise<string | undefined> {
  let digest: string | undefined;
  const { uid: getClass, level } = getClassOf(sent.sopClassUid);
  const association = await connect({
    host: system.host,
    port: system.port,
    calledAeTitle: system.aeTitle,
    callingAeTitle: 'KNOWN',
    contexts: [
      { abstractSyntax: getClass, transferSyntaxes: [IMPLICIT_LE] },
      { abstractSyntax: sent.sopClassUid, transferSyntaxes: [sent.transferSyntaxUid] },
    ],
    roles: [{ sopClassUid: sent.sopClassUid, scuRole: false, scpRole: true }],
    onStore: () => {
      const hash = createHash('sha256');
      return {
        write: (chunk) => void hash.update(chunk),
        end: () => {
          digest = hash.digest('hex');
          return Promise.resolve({ status: 0 });
        },
        abort: () => undefined,
      };
    },
  });
  try {
    const identifier = writeDataset(
      { ...(level ? { '00080052': { vr: 'CS', Value: [level] } } : {}), '00080018': { vr: 'UI', Value: [uid] } },
      IMPLICIT_LE,
    );
    for await (const _response of association.get(getClass, identifier));
  } finally {
    await association.release().catch(() => association.abort());
  }
  return digest;
}
