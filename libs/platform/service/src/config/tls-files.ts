import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { TlsConfig } from './archipelago-schema';
import type { FurtherCheck } from './load-archipelago-config';

/** The PEM files of `tls` in archipelago.yaml, read. */
export interface TlsFiles {
  cert: Buffer;
  key: Buffer;
  ca?: Buffer;
}

/** @throws when a file cannot be read */
export function readTlsFiles({ cert, key, ca }: TlsConfig): TlsFiles {
  return {
    cert: readFileSync(cert),
    key: readFileSync(key),
    ...(ca === undefined ? {} : { ca: readFileSync(ca) }),
  };
}

/** Every file of `tls` that cannot be read or is not what it should be, under its key. Only who opens or calls a TLS port needs them. */
export const checkTlsFiles: FurtherCheck = ({ tls }) => {
  if (!tls) return [];
  const found: ReturnType<FurtherCheck> = [];
  const read: Record<string, Buffer> = {};
  for (const name of ['cert', 'key', 'ca'] as const) {
    const path = tls[name];
    if (path === undefined) continue;
    const at = ['tls', name];
    try {
      read[name] = readFileSync(path);
    } catch (error) {
      found.push({ path: at, message: `cannot read ${path}: ${(error as NodeJS.ErrnoException).code ?? 'error'}` });
      continue;
    }
    const problem = contextProblem({ [name]: read[name] });
    if (problem !== undefined) found.push({ path: at, message: `${path} cannot be used: ${problem}` });
  }
  const pair = found.length === 0 ? contextProblem({ cert: read['cert'], key: read['key'] }) : undefined;
  if (pair !== undefined)
    found.push({ path: ['tls', 'key'], message: `${tls.key} does not belong to ${tls.cert}: ${pair}` });
  return found;
};

function contextProblem(files: { cert?: Buffer; key?: Buffer; ca?: Buffer }): string | undefined {
  try {
    // a CA file without a certificate would be taken, and then no client be known
    for (const certificate of [files.cert, files.ca]) if (certificate) new X509Certificate(certificate);
    createSecureContext(files);
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? (error as Error).message;
  }
}
