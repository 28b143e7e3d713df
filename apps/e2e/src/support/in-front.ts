/** The running system in front of archives that a test made, harvested and fetched from at a test's pace. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, startStandalone, type TestStandalone } from '@archipelago/testing';
import { ui } from './federation';
import { valueOf, Workstation } from './workstation';

export interface InFront {
  readonly system: TestStandalone;
  readonly reader: Workstation;
  /** The value of a metric of any of its processes, summed over its labels or those that match. */
  metric(name: string, labels?: Record<string, string>): Promise<number>;
  /** Resolves when so many instances of the studies are known and nothing is said to be missing. */
  known(studies: readonly (readonly [uid: string, instances: number])[]): Promise<void>;
  stop(): Promise<void>;
}

export async function startInFront(archives: Record<string, unknown>[]): Promise<InFront> {
  const root = mkdtempSync(join(tmpdir(), 'archipelago-in-front-'));
  const config = join(root, 'archipelago.yaml');
  const file = { peers: [{ aeTitle: 'WS' }], archives: archives.map((one) => ({ host: '127.0.0.1', ...one })) };
  writeFileSync(config, JSON.stringify(file));
  const system = await startStandalone({
    env: {
      ARCHIPELAGO_CONFIG: config,
      ARCHIPELAGO_HARVEST_INTERVAL_SECONDS: '2',
      ARCHIPELAGO_FETCH_TIMEOUT_SECONDS: '5',
    },
  });
  const reader = new Workstation({ port: system.dicomPort, aeTitle: system.aeTitle }, 'WS');
  return {
    system,
    reader,
    async metric(name, labels = {}) {
      const wanted = Object.entries(labels).map(([key, value]) => `${key}="${value}"`);
      const text = await (await fetch(`${system.httpUrl}/metrics`)).text();
      return text
        .split('\n')
        .filter((line) => line.startsWith(`${name}{`) && wanted.every((each) => line.includes(each)))
        .reduce((sum, line) => sum + Number(line.split(' ').pop()), 0);
    },
    async known(studies) {
      const keys = { '0020000D': ui(''), '00201208': { vr: 'IS' } };
      await eventually(
        'studies known with all their instances',
        async () => {
          const { matches, comment } = await reader.find(keys);
          const counts = new Map(matches.map((match) => [valueOf(match, '0020000D'), valueOf(match, '00201208')]));
          return comment === undefined && studies.every(([uid, count]) => counts.get(uid) === String(count));
        },
        120_000,
        250,
      );
    },
    async stop() {
      await system.stop();
      rmSync(root, { recursive: true, force: true });
    },
  };
}
