/** A workstation that shows what it is told. */
import type { DicomJson } from '@archipelago/dicom-core';
import { parseDataset, writeDataset } from '@archipelago/dicom-encoding';
import { connect, type RetrieveResponse } from '@archipelago/dimse';

const FIND = '1.2.840.10008.5.1.4.1.2.2.1';
const GET = '1.2.840.10008.5.1.4.1.2.2.3';
const CT = '1.2.840.10008.5.1.4.1.1.2';
const ELE = '1.2.840.10008.1.2.1';
const WAIT_MS = 120_000;

interface Answer {
  matches: DicomJson[];
  comment?: string;
}

export class Tour {
  constructor(
    private readonly at: { port: number; aeTitle: string },
    private readonly callingAeTitle: string,
    private readonly say: (line: string) => void,
  ) {}

  /** Until every study of the demonstration is known with its images, and nothing is missing. */
  async untilComplete(studies: number): Promise<void> {
    await this.until('all studies known', ({ matches, comment }) => {
      const counted = matches.filter((match) => text(match, '00201208') !== '');
      return counted.length >= studies && comment === undefined;
    });
  }

  async untilSaid(what: string): Promise<void> {
    await this.until(what, ({ comment }) => comment?.includes(what) === true);
  }

  async find(patientId: string): Promise<void> {
    const { matches, comment } = await this.ask(patientId);
    for (const match of matches) {
      const column = (tag: string, width: number): string => text(match, tag).padEnd(width);
      this.say(
        `   ${column('00080020', 9)} ${column('00100010', 18)} ${column('00100020', 8)} ${column('00201208', 3)} images  ${column('00080056', 9)}  ${text(match, '0020000D')}`,
      );
    }
    this.say(`   final status: success${comment === undefined ? '' : `, "${comment}"`}`);
  }

  async retrieveAll(patientId: string): Promise<void> {
    for (const match of (await this.ask(patientId)).matches) {
      const started = performance.now();
      const { last, received } = await this.get(text(match, '0020000D'));
      const ms = Math.round(performance.now() - started);
      const comment = last.errorComment === undefined ? '' : `, "${last.errorComment}"`;
      const status = last.status.toString(16).toUpperCase().padStart(4, '0');
      this.say(
        `   ${text(match, '00080020')}: ${received} images in ${ms} ms, status ${status}, failed ${last.counts.failed}${comment}`,
      );
    }
  }

  private async until(what: string, done: (answer: Answer) => boolean): Promise<void> {
    const end = Date.now() + WAIT_MS;
    while (!done(await this.ask(''))) {
      if (Date.now() > end) throw new Error(`not in time: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }

  private async ask(patientId: string): Promise<Answer> {
    const association = await this.associate([{ abstractSyntax: FIND, transferSyntaxes: [ELE] }]);
    const keys: DicomJson = {
      '00080020': { vr: 'DA' },
      '00080052': { vr: 'CS', Value: ['STUDY'] },
      '00080056': { vr: 'CS' },
      '00100010': { vr: 'PN' },
      '00100020': patientId === '' ? { vr: 'LO' } : { vr: 'LO', Value: [patientId] },
      '0020000D': { vr: 'UI' },
      '00201208': { vr: 'IS' },
    };
    const answer: Answer = { matches: [] };
    for await (const response of association.find(FIND, writeDataset(keys, ELE))) {
      if (response.identifier) answer.matches.push(parseDataset(response.identifier, ELE).toDicomJson());
      else if (response.errorComment !== undefined) answer.comment = response.errorComment;
    }
    await association.release();
    return answer;
  }

  private async get(studyInstanceUid: string): Promise<{ last: RetrieveResponse; received: number }> {
    let received = 0;
    const association = await this.associate(
      [
        { abstractSyntax: GET, transferSyntaxes: [ELE] },
        { abstractSyntax: CT, transferSyntaxes: [ELE] },
      ],
      {
        roles: [{ sopClassUid: CT, scuRole: false, scpRole: true }],
        onStore: () => ({
          write: () => undefined,
          end: () => {
            received++;
            return Promise.resolve({ status: 0 });
          },
          abort: () => undefined,
        }),
      },
    );
    const identifier = writeDataset(
      { '00080052': { vr: 'CS', Value: ['STUDY'] }, '0020000D': { vr: 'UI', Value: [studyInstanceUid] } },
      ELE,
    );
    let last: RetrieveResponse | undefined;
    for await (const response of association.get(GET, identifier)) last = response;
    await association.release();
    if (!last) throw new Error('C-GET without a response');
    return { last, received };
  }

  private associate(
    contexts: { abstractSyntax: string; transferSyntaxes: string[] }[],
    more: Partial<Parameters<typeof connect>[0]> = {},
  ): ReturnType<typeof connect> {
    const { port, aeTitle } = this.at;
    return connect({
      host: '127.0.0.1',
      port,
      calledAeTitle: aeTitle,
      callingAeTitle: this.callingAeTitle,
      contexts,
      ...more,
    });
  }
}

function text(match: DicomJson, tag: string): string {
  const value = match[tag]?.Value?.[0];
  if (typeof value === 'object' && value !== null) return String((value as { Alphabetic?: string }).Alphabetic ?? '');
  return String(value ?? '');
}
