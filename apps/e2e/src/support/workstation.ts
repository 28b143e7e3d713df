/** A workstation of our own making, for what DCMTK's tools do not show: final statuses, comments, the bytes of each object. */
import { createHash } from 'node:crypto';
import { parseDataset, writeDataset } from '@archipelago/dicom-encoding';
import type { DicomJson } from '@archipelago/dicom-core';
import { connect, type RetrieveResponse } from '@archipelago/dimse';

const FIND = '1.2.840.10008.5.1.4.1.2.2.1';
const GET = '1.2.840.10008.5.1.4.1.2.2.3';
const ELE = '1.2.840.10008.1.2.1';
const PENDING = new Set([0xff00, 0xff01]);

export interface Found {
  matches: DicomJson[];
  pending: number[];
  status: number;
  comment?: string;
  ms: number;
}
export interface Retrieved {
  last: RetrieveResponse;
  /** SHA-256 of each dataset by SOPInstanceUID. */
  datasets: Map<string, string>;
  /** Objects received, those received twice included. */
  received: number;
  firstMs: number;
  ms: number;
}

export class Workstation {
  constructor(
    private readonly at: { port: number; aeTitle: string },
    readonly callingAeTitle: string,
  ) {}

  async find(keys: DicomJson, level = 'STUDY'): Promise<Found> {
    const association = await this.associate([{ abstractSyntax: FIND, transferSyntaxes: [ELE] }]);
    const found: Found = { matches: [], pending: [], status: -1, ms: 0 };
    const started = performance.now();
    const identifier = writeDataset({ '00080052': { vr: 'CS', Value: [level] }, ...keys }, ELE, ['ISO_IR 192']);
    for await (const response of association.find(FIND, identifier)) {
      if (PENDING.has(response.status)) {
        found.pending.push(response.status);
        found.matches.push(parseDataset(response.identifier!, ELE).toDicomJson());
      } else {
        found.status = response.status;
        if (response.errorComment !== undefined) found.comment = response.errorComment;
      }
    }
    found.ms = performance.now() - started;
    await association.release();
    return found;
  }

  /** `onInstance` is told after each object how many have come. */
  async getStudy(
    studyInstanceUid: string,
    sopClasses: readonly string[],
    stopAfter?: number,
    onInstance?: (received: number) => void,
  ): Promise<Retrieved> {
    const datasets = new Map<string, string>();
    let received = 0;
    const started = performance.now();
    let firstMs = Number.NaN;
    const abort = new AbortController();
    const association = await this.associate(
      [
        { abstractSyntax: GET, transferSyntaxes: [ELE] },
        ...sopClasses.map((abstractSyntax) => ({ abstractSyntax, transferSyntaxes: [ELE] })),
      ],
      {
        roles: sopClasses.map((sopClassUid) => ({ sopClassUid, scuRole: false, scpRole: true })),
        onStore: (request: { sopInstanceUid: string }) => {
          const hash = createHash('sha256');
          return {
            write: (chunk: Buffer) => void hash.update(chunk),
            end: () => {
              if (datasets.size === 0) firstMs = performance.now() - started;
              datasets.set(request.sopInstanceUid, hash.digest('hex'));
              received++;
              onInstance?.(received);
              if (datasets.size === stopAfter) abort.abort();
              return Promise.resolve({ status: 0 });
            },
            abort: () => undefined,
          };
        },
      },
    );
    const identifier = writeDataset(
      { '00080052': { vr: 'CS', Value: ['STUDY'] }, '0020000D': { vr: 'UI', Value: [studyInstanceUid] } },
      ELE,
    );
    let last: RetrieveResponse | undefined;
    for await (const response of association.get(GET, identifier, abort.signal)) last = response;
    await association.release();
    return { last: last!, datasets, received, firstMs, ms: performance.now() - started };
  }

  private associate(contexts: { abstractSyntax: string; transferSyntaxes: string[] }[], more = {}) {
    return connect({
      host: '127.0.0.1',
      port: this.at.port,
      calledAeTitle: this.at.aeTitle,
      callingAeTitle: this.callingAeTitle,
      contexts,
      ...more,
    });
  }
}

/** First value of an attribute as text. */
export function valueOf(match: DicomJson, tag: string): string {
  const value = match[tag]?.Value?.[0];
  return typeof value === 'object' && value !== null
    ? String((value as { Alphabetic?: string }).Alphabetic ?? '')
    : String(value ?? '');
}

/** FailedSOPInstanceUIDList (0008,0058) of a final response. */
export function failedUids({ identifier }: RetrieveResponse): string[] {
  return identifier ? parseDataset(identifier, ELE).strings('FailedSOPInstanceUIDList') : [];
}
