import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { accepts, freePort, spawnManaged, waitUntilReady } from '@archipelago/platform-embedded';
import {
  eventually,
  launch,
  startDcmqrscp,
  startOrthanc,
  startStorescp,
  startSystem,
  type PeerAddress,
  type RunningServer,
  type TestSystem,
} from '@archipelago/testing';
import type { Target } from './senders';

/** Someone who takes C-STORE. */
export interface Receiver extends Target {
  name: string;
  /** The process that receives: its processor time is counted. */
  readonly pid: number;
  /** Resolves when it has done all that it does with what was stored so far. */
  settle(stored: number): Promise<void>;
  stop(): Promise<void>;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export interface Us extends Receiver {
  system: TestSystem;
}

/** The running system: edge, ingest and catalog as processes, NATS, PostgreSQL, packs in files on the same disk. */
export async function startUs(folder: string, peers: PeerAddress[] = []): Promise<Us> {
  const home = join(folder, 'archipelago');
  mkdirSync(home, { recursive: true, mode: 0o755 });
  const config = { peers: peers.map(({ aet, host, port }) => ({ aeTitle: aet, host: host ?? '127.0.0.1', port })) };
  const system = await startSystem({ home, config, env: { ARCHIPELAGO_LOG_LEVEL: 'warn' } });
  const indexed = async (): Promise<number> => {
    const counts = await Promise.all(system.ingests.map((each) => each.metric('archipelago_ingest_instances_total')));
    return counts.reduce((sum: number, each) => sum + (each ?? 0), 0);
  };
  return {
    name: 'archipelago',
    aet: system.aeTitle,
    port: system.port,
    system,
    get pid() {
      return system.edge.pid;
    },
    settle: async (stored) => {
      await eventually(`${stored} instances in the catalog`, async () => (await indexed()) >= stored, 120_000);
      await pause(300);
    },
    stop: () => system.stop(),
  };
}

const around = (name: string, aet: string, server: RunningServer): Receiver => ({
  name,
  aet,
  port: server.port,
  get pid() {
    return server.pid;
  },
  settle: () => pause(500),
  stop: () => server.stop(),
});

/** Our upper layer, storing nothing. */
export async function startNullSink(folder: string): Promise<Receiver> {
  const port = await freePort();
  const server = await launch(port, undefined, async () => {
    const script = join(__dirname, 'null-sink-main.js');
    const child = spawnManaged(process.execPath, [script, String(port)], {
      name: 'null sink',
      logFile: join(folder, `null-sink-${port}.log`),
    });
    await waitUntilReady(child, () => accepts(port));
    return child;
  });
  return around('bare upper layer (stores nothing)', 'NULLSINK', server);
}

/** Our upper layer, sending the files of a folder from memory. */
export async function startMemorySource(folder: string, study: string, to: PeerAddress): Promise<Receiver> {
  const port = await freePort();
  const server = await launch(port, undefined, async () => {
    const script = join(__dirname, 'memory-source-main.js');
    const args = [script, String(port), study, String(to.port), to.aet];
    const child = spawnManaged(process.execPath, args, {
      name: 'memory source',
      logFile: join(folder, `memory-source-${port}.log`),
    });
    await waitUntilReady(child, () => accepts(port));
    return child;
  });
  const settle = async (): Promise<void> => {
    process.kill(server.pid, 'SIGUSR2');
    await pause(1500);
  };
  return Object.assign(around('bare upper layer (from memory)', 'MEMORY', server), { settle });
}

/**
 * DCMTK's dcmqrscp. It serves each association in a process of its own, whose processor time is not counted here; its
 * PDUs are of 128 KiB, as its own configuration example has it.
 */
export async function startDcmqrscpReceiver(folder: string, peers: PeerAddress[]): Promise<Receiver> {
  const dir = join(folder, 'dcmqrscp');
  const server = await startDcmqrscp({ aet: 'DCMQRSCP', dir, peers, env: { TCP_NODELAY: '1' } });
  return around('DCMTK dcmqrscp', 'DCMQRSCP', server);
}

/** Orthanc with its defaults: SQLite index, every file synced. `tuned`: TCP_NODELAY=1, which its DCMTK reads. */
export async function startOrthancReceiver(
  folder: string,
  tuned: boolean,
  peers: Record<string, PeerAddress> = {},
): Promise<Receiver> {
  const aet = tuned ? 'ORTHANC' : 'ORTHANC_ASIS';
  const storage = join(folder, aet.toLowerCase());
  const server = await startOrthanc({ aet, storage, peers, env: tuned ? { TCP_NODELAY: '1' } : {} });
  return around(tuned ? 'Orthanc' : 'Orthanc as shipped', aet, server);
}

export async function startStorescpReceiver(folder: string, ignore: boolean): Promise<Receiver> {
  const aet = ignore ? 'IGNORE' : 'FILES';
  const dir = join(folder, `storescp-${aet.toLowerCase()}`);
  const args = ['+xa', ...(ignore ? ['--ignore'] : [])];
  const server = await startStorescp({ aet, dir, args, env: { TCP_NODELAY: '1' } });
  return around(ignore ? 'DCMTK storescp --ignore' : 'DCMTK storescp (files, no sync)', aet, server);
}

/** dicom-rs storescp: writes files, does not sync them. */
export async function startDicomRs(folder: string, command: string): Promise<Receiver> {
  const port = await freePort();
  const dir = join(folder, 'dicom-rs');
  mkdirSync(dir, { recursive: true });
  const server = await launch(port, undefined, async () => {
    const args = ['--promiscuous', '--calling-ae-title', 'DICOMRS', '-p', String(port), '-o', dir];
    const child = spawnManaged(command, args, { name: 'dicom-storescp', logFile: join(folder, 'dicom-rs.log') });
    await waitUntilReady(child, () => accepts(port));
    return child;
  });
  return around('dicom-rs storescp (files, no sync)', 'DICOMRS', server);
}
