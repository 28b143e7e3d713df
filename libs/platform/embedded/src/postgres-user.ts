import { spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { guardedCommand } from './child';

/** PostgreSQL refuses to run as root: as root its processes get this plain user. */
export interface PlainUser {
  uid: number;
  gid: number;
}

const isRoot = (): boolean => process.getuid?.() === 0;

/** Owner of an existing data folder, else `postgres`, else `nobody`; undefined when we are not root ourselves. */
export function plainUser(dataFolder: string, passwd = readPasswd()): PlainUser | undefined {
  if (!isRoot()) return undefined;
  const owner = statSync(dataFolder, { throwIfNoEntry: false });
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  for (const name of ['postgres', 'nobody']) {
    const fields = passwd
      .split('\n')
      .map((line) => line.split(':'))
      .find(([user]) => user === name);
    if (fields) return { uid: Number(fields[2]), gid: Number(fields[3]) };
  }
  return { uid: 65534, gid: 65534 };
}

function readPasswd(): string {
  try {
    return readFileSync('/etc/passwd', 'utf8');
  } catch {
    return '';
  }
}

function reaches(user: PlainUser, capability: string | undefined, paths: string[]): boolean {
  const guarded = guardedCommand('/bin/sh', ['-c', 'for p; do test -x "$p" || exit 1; done', 'sh', ...paths], {
    user,
    capability,
  });
  return spawnSync(guarded.command, guarded.args, { uid: guarded.uid, gid: guarded.gid, stdio: 'ignore' }).status === 0;
}

/**
 * The capability that the plain user needs to reach `paths` (programs and data folder): none as a rule; when they lie
 * below a folder that only root may enter (a clone in /root, mode 700), the one that lets it pass. Throws when the
 * machine allows neither.
 */
export function capabilityToReach(user: PlainUser, paths: string[]): string | undefined {
  for (const capability of [undefined, 'dac_read_search', 'dac_override']) {
    if (reaches(user, capability, paths)) return capability;
  }
  throw new Error(
    `PostgreSQL runs as the plain user ${user.uid}, who cannot enter ${paths.join(' or ')}: move the clone and ` +
      'ARCHIPELAGO_HOME out of folders that only root may enter, or start as a plain user',
  );
}
