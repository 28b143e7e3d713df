import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { accepts, findDebianCommand, freePort, spawnManaged, waitUntilReady } from '@archipelago/platform-embedded';
import { extend, launch, temporaryFolder, type RunningServer } from './server';
import { runCommand, type CommandOptions, type CommandResult } from '../run-command';
import type { PeerAddress } from './orthanc';

/** Runs one of DCMTK's tools (storescu, findscu, …) to its end. A tool's failure is in `code`, it does not throw. */
export function runDcmtk(tool: string, args: string[], options: CommandOptions = {}): Promise<CommandResult> {
  return runCommand(findDebianCommand(tool, 'dcmtk'), args, options);
}

export interface StorescpOptions {
  aet?: string;
  port?: number;
  /** Where received files go; kept by stop() when given. */
  dir?: string;
  /** Further arguments; default `+xa` (every transfer syntax it knows) */
  args?: string[];
  env?: Record<string, string>;
}
export interface TestStorescp extends RunningServer {
  readonly aet: string;
  readonly dir: string;
  /** Paths of the received files, sorted. */
  files(): string[];
}

/** DCMTK's storescp, writing what it receives to a folder. */
export async function startStorescp(options: StorescpOptions = {}): Promise<TestStorescp> {
  const binary = findDebianCommand('storescp', 'dcmtk');
  const folder = temporaryFolder('storescp');
  const dir = options.dir ?? join(folder, 'received');
  mkdirSync(dir, { recursive: true });
  const port = options.port ?? (await freePort());
  const aet = options.aet ?? 'STORESCP';
  const running = await launch(port, folder, async () => {
    const args = ['--aetitle', aet, '--output-directory', dir, ...(options.args ?? ['+xa']), String(port)];
    const env = { ...process.env, ...options.env };
    const child = spawnManaged(binary, args, { name: 'storescp', logFile: join(folder, 'storescp.log'), env });
    await waitUntilReady(child, () => accepts(port));
    return child;
  });
  const files = (): string[] =>
    readdirSync(dir)
      .sort()
      .map((name) => join(dir, name));
  return extend(running, { aet, dir, files });
}

export interface DcmqrscpOptions {
  aet?: string;
  port?: number;
  dir?: string;
  /** C-MOVE destinations and callers. */
  peers?: PeerAddress[];
  args?: string[];
  env?: Record<string, string>;
}
export interface TestDcmqrscp extends RunningServer {
  readonly aet: string;
  readonly dir: string;
}

/** DCMTK's dcmqrscp, a small archive with one storage area. */
export async function startDcmqrscp(options: DcmqrscpOptions = {}): Promise<TestDcmqrscp> {
  const binary = findDebianCommand('dcmqrscp', 'dcmtk');
  const folder = temporaryFolder('dcmqrscp');
  const dir = options.dir ?? join(folder, 'area');
  mkdirSync(dir, { recursive: true });
  const port = options.port ?? (await freePort());
  const aet = options.aet ?? 'DCMQRSCP';
  const configFile = join(folder, 'dcmqrscp.cfg');
  writeFileSync(configFile, dcmqrscpConfig(aet, port, dir, options.peers ?? []));
  const running = await launch(port, folder, async () => {
    const args = ['--config', configFile, ...(options.args ?? []), String(port)];
    const env = { ...process.env, ...options.env };
    const child = spawnManaged(binary, args, { name: 'dcmqrscp', logFile: join(folder, 'dcmqrscp.log'), env });
    await waitUntilReady(child, () => accepts(port));
    return child;
  });
  return extend(running, { aet, dir });
}

function dcmqrscpConfig(aet: string, port: number, dir: string, peers: PeerAddress[]): string {
  const hosts = peers.map((peer, index) => `peer${index} = (${peer.aet}, ${peer.host ?? '127.0.0.1'}, ${peer.port})`);
  return [
    `NetworkTCPPort = ${port}`,
    'MaxPDUSize = 131072',
    'MaxAssociations = 16',
    'HostTable BEGIN',
    ...hosts,
    'HostTable END',
    'VendorTable BEGIN',
    'VendorTable END',
    'AETable BEGIN',
    `${aet} ${dir} RW (1000, 4096mb) ANY`,
    'AETable END',
    '',
  ].join('\n');
}
