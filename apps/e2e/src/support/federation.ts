/** Studies that archives are filled with, questions about them, and the command line of the running system. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import {
  generateStudy,
  repositoryRoot,
  runCommand,
  type GeneratedInstance,
  type TestStandalone,
} from '@archipelago/testing';

export const ui = (value: string) => ({ vr: 'UI', ...(value === '' ? {} : { Value: [value] }) });
export const lo = (value: string) => ({ vr: 'LO', ...(value === '' ? {} : { Value: [value] }) });
/** What a worklist of studies asks for. */
export const STUDY_KEYS = {
  '00080020': { vr: 'DA' },
  '00080054': { vr: 'AE' },
  '00080056': { vr: 'CS' },
  '00100010': { vr: 'PN' },
  '00100020': lo(''),
  '00100021': lo(''),
  '0020000D': ui(''),
  '00201208': { vr: 'IS' },
};

export interface Study {
  uid: string;
  instances: GeneratedInstance[];
  digests: Map<string, string>;
}

export function study(seed: string, patient: Record<string, string>, count = 4): Study {
  const instances = [
    ...generateStudy({
      kind: 'ct',
      seed,
      count,
      rows: 64,
      columns: 64,
      charset: 'default',
      adjust: ({ header }) => header.put({ IssuerOfPatientID: null, ...patient }),
    }),
  ];
  const digests = new Map(
    instances.map((one) => [one.sopInstanceUid, createHash('sha256').update(one.dataset()).digest('hex')]),
  );
  return { uid: instances[0]!.studyInstanceUid, instances, digests };
}

/** Standard output of a command of the tool. @throws when it fails, with what it said */
export async function runCli(system: TestStandalone, ...args: string[]): Promise<string> {
  const script = join(repositoryRoot(), 'tools', 'dist', 'cli', 'main.js');
  const done = await runCommand(process.execPath, [script, ...args], {
    env: { ...process.env, ARCHIPELAGO_HOME: system.home },
  });
  if (done.code !== 0) throw new Error(`${args.join(' ')}: ${done.output}`);
  return done.stdout;
}
