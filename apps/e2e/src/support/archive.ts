import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, freePort, startStandalone, startSystem, type SystemOptions } from '@archipelago/testing';

export interface ArchiveOptions {
  /** `standalone` (default), or separate processes with MinIO. */
  mode?: 'standalone' | 'separate';
  config?: Record<string, unknown>;
  env?: Record<string, string>;
}

/** The system under test, in one form for both modes. */
export interface Archive {
  readonly mode: 'standalone' | 'separate';
  readonly port: number;
  readonly aeTitle: string;
  readonly home: string;
  edgePid(): number;
  /** Resident memory of the edge now, and its peak, in MiB. */
  edgeMemory(): { rss: number; peak: number };
  metric(name: string, labels?: Record<string, string>): Promise<number>;
  /** Resolves when everything that was acknowledged is in the catalog. */
  indexed(): Promise<void>;
  /** Separate processes only: the edge starts again without its confirmed segments, so that it must read the object store. */
  forgetLocalCopies(): Promise<void>;
  /** The parts, where the mode allows to stop them. */
  readonly system?: Awaited<ReturnType<typeof startSystem>>;
  stop(): Promise<void>;
}

export async function startArchive(options: ArchiveOptions = {}): Promise<Archive> {
  return options.mode === 'separate' ? startSeparate(options) : startAlone(options);
}

async function startAlone(options: ArchiveOptions): Promise<Archive> {
  const folder = mkdtempSync(join(tmpdir(), 'archipelago-e2e-'));
  const config = join(folder, 'archipelago.yaml');
  writeFileSync(config, JSON.stringify(options.config ?? {}));
  const system = await startStandalone({ env: { ARCHIPELAGO_CONFIG: config, ...options.env } });
  const edgePid = (): number => system.children().edge as number;
  const metric = (name: string, labels?: Record<string, string>): Promise<number> =>
    readMetric(system.httpUrl, name, labels);
  return {
    mode: 'standalone',
    port: system.dicomPort,
    aeTitle: system.aeTitle,
    home: system.home,
    edgePid,
    edgeMemory: () => memoryOf(edgePid()),
    metric,
    indexed: () => indexed(metric),
    forgetLocalCopies: () => Promise.reject(new Error('separate processes only')),
    async stop() {
      await system.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function startSeparate(options: ArchiveOptions): Promise<Archive> {
  const settings: SystemOptions = { store: 's3', ingests: 2, config: options.config, env: options.env };
  const system = await startSystem(settings);
  const metric = (name: string, labels?: Record<string, string>): Promise<number> =>
    readMetric(system.edge.httpUrl, name, labels);
  return {
    mode: 'separate',
    port: system.port,
    aeTitle: system.aeTitle,
    home: system.home,
    edgePid: () => system.edge.pid,
    edgeMemory: () => memoryOf(system.edge.pid),
    metric,
    indexed: () => indexed(metric),
    async forgetLocalCopies() {
      await system.edge.kill9();
      rmSync(join(system.spoolDir, 'confirmed'), { recursive: true });
      await system.edge.restart();
      if ((await metric('archipelago_edge_spool', { state: 'confirmed', what: 'packs' })) !== 0)
        throw new Error('the edge still has confirmed segments');
    },
    system,
    stop: () => system.stop(),
  };
}

export { freePort };

async function indexed(metric: Archive['metric']): Promise<void> {
  await eventually(
    'every acknowledged object is in the catalog',
    async () =>
      (await metric('archipelago_edge_spool', { state: 'open', what: 'packs' })) === 0 &&
      (await metric('archipelago_edge_spool', { state: 'unconfirmed', what: 'packs' })) === 0,
    60_000,
  );
}

function memoryOf(pid: number): { rss: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const mebibytes = (key: string): number => Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024;
  return { rss: mebibytes('VmRSS'), peak: mebibytes('VmHWM') };
}

async function readMetric(httpUrl: string, name: string, labels: Record<string, string> = {}): Promise<number> {
  const text = await (await fetch(`${httpUrl}/metrics`, { signal: AbortSignal.timeout(5000) })).text();
  const wanted = Object.entries(labels).map(([key, value]) => `${key}="${value}"`);
  let sum = 0;
  let found = false;
  for (const line of text.split('\n')) {
    const match = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line);
    if (match?.[1] !== name || !wanted.every((each) => (match[2] ?? '').includes(each))) continue;
    sum += Number(match[3]);
    found = true;
  }
  if (!found) throw new Error(`no metric ${name} ${JSON.stringify(labels)}`);
  return sum;
}
