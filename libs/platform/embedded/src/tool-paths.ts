import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

/** Shape of tools/versions.json: every tool version that set-up installs is pinned there and nowhere else. */
export interface ToolVersions {
  go: { minimum: string; pypiPackage: string; pypiVersion: string };
  natsServer: {
    version: string;
    goPackage: string;
    onPathMinimum: string;
    debianPackage: string;
    debianMinimum: string;
  };
  minio: { version: string; goPackage: string };
  pythonPeers: { minimum: string; packages: Record<string, string> };
  debianPackages: Record<string, { command: string; tried: string }>;
}

/** A tool is not on this machine. The message names what to install. */
export class ToolMissingError extends Error {
  constructor(
    readonly tool: string,
    remedy: string,
  ) {
    super(`${tool} is not on this machine: ${remedy}`);
    this.name = 'ToolMissingError';
  }
}

/** The root of the clone: the nearest folder above this file that holds tools/versions.json. */
export function repositoryRoot(from: string = __dirname): string {
  for (let folder = from; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'tools', 'versions.json'))) return folder;
    if (dirname(folder) === folder) throw new Error(`no tools/versions.json above ${from}`);
  }
}

let versions: ToolVersions | undefined;
export function toolVersions(): ToolVersions {
  versions ??= JSON.parse(readFileSync(join(repositoryRoot(), 'tools', 'versions.json'), 'utf8')) as ToolVersions;
  return versions;
}

/** Outside the clone, so that a second clone does not build everything again. */
export function toolsCache(env: NodeJS.ProcessEnv = process.env): string {
  if (env.ARCHIPELAGO_TOOLS) return env.ARCHIPELAGO_TOOLS;
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'archipelago', 'tools');
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** First executable of this name on PATH; the system folders are searched too, where Debian puts servers (Orthanc). */
export function findOnPath(command: string, env: NodeJS.ProcessEnv = process.env): string | undefined {
  const folders = [...(env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  return folders
    .filter(Boolean)
    .map((folder) => join(folder, command))
    .find(isExecutable);
}

/** The first dotted number of a tool's `--version` output as [major, minor, patch]; undefined when there is none. */
export function parseVersion(text: string): [number, number, number] | undefined {
  const match = /(\d+)\.(\d+)(?:\.(\d+))?/.exec(text);
  return match ? [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)] : undefined;
}

/** Negative, zero or positive as `a` is older than, the same as or newer than `b`. */
export function compareVersions(a: string, b: string): number {
  const left = parseVersion(a);
  const right = parseVersion(b);
  if (!left || !right) throw new Error(`not a version: ${left ? b : a}`);
  return left[0] - right[0] || left[1] - right[1] || left[2] - right[2];
}

/** What `<path> --version` says, or undefined when it cannot be run. */
export function versionOf(path: string, args: string[] = ['--version']): string | undefined {
  try {
    const text = execFileSync(path, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], timeout: 10_000 });
    return parseVersion(text)?.join('.');
  } catch {
    return undefined;
  }
}

export interface FoundTool {
  path: string;
  version: string;
}

/**
 * nats-server for running Archipelago, in this order: named by ARCHIPELAGO_NATS_SERVER, on PATH (2.10 or newer), built
 * into the tools cache, Debian's package (2.9.10). Tests (`newest`) take the built one before any on PATH.
 */
export function findNatsServer(prefer: 'path' | 'newest' = 'path', env: NodeJS.ProcessEnv = process.env): FoundTool {
  const pins = toolVersions().natsServer;
  const named = env.ARCHIPELAGO_NATS_SERVER;
  if (named) {
    const version = versionOf(named);
    if (!version)
      throw new ToolMissingError('nats-server', `ARCHIPELAGO_NATS_SERVER names ${named}, which does not run`);
    return { path: named, version };
  }
  const built = join(toolsCache(env), `nats-server-${pins.version}`, 'nats-server');
  const fromCache = isExecutable(built) ? { path: built, version: pins.version } : undefined;
  if (prefer === 'newest' && fromCache) return fromCache;
  const onPath = findOnPath('nats-server', env);
  const pathVersion = onPath ? versionOf(onPath) : undefined;
  if (onPath && pathVersion && compareVersions(pathVersion, pins.onPathMinimum) >= 0) {
    return { path: onPath, version: pathVersion };
  }
  if (fromCache) return fromCache;
  if (onPath && pathVersion && compareVersions(pathVersion, pins.debianMinimum) >= 0) {
    return { path: onPath, version: pathVersion };
  }
  throw new ToolMissingError(
    'nats-server',
    `install nats-server ${pins.onPathMinimum} or newer on PATH, or Go ${toolVersions().go.minimum} or newer and run ` +
      `tools/setup/nats-server.sh, or Debian's package ${pins.debianPackage}`,
  );
}

export function findMinio(env: NodeJS.ProcessEnv = process.env): string {
  const pin = toolVersions().minio;
  const built = join(toolsCache(env), `minio-${pin.version}`, 'minio');
  const found = isExecutable(built) ? built : findOnPath('minio', env);
  if (found) return found;
  throw new ToolMissingError('minio', 'run tools/setup/minio.sh (builds it with Go)');
}

/** Name of the peers' virtual environment: changes with any pin, so that clones of different ages do not disturb each other. */
export function pythonPeersFolder(packages: Record<string, string> = toolVersions().pythonPeers.packages): string {
  const lines = Object.entries(packages).map(([name, version]) => `${name}==${version}\n`);
  return `python-peers-${createHash('sha256').update(lines.join('')).digest('hex').slice(0, 12)}`;
}

/** Python with pynetdicom, pydicom and numpy. */
export function findPeersPython(env: NodeJS.ProcessEnv = process.env): string {
  const python = join(toolsCache(env), pythonPeersFolder(), 'bin', 'python');
  if (isExecutable(python)) return python;
  throw new ToolMissingError('Python with pynetdicom', 'run tools/setup/python-peers.sh');
}

/** A command that comes with a Debian package. */
export function findDebianCommand(
  command: string,
  debianPackage: string,
  env: NodeJS.ProcessEnv = process.env,
): string {
  const found = findOnPath(command, env);
  if (found) return found;
  throw new ToolMissingError(command, `install Debian's package ${debianPackage} (apt-get install ${debianPackage})`);
}
