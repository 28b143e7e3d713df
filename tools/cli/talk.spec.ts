import { EventEmitter } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeDataset, writePart10Meta } from '@archipelago/dicom-encoding';
import { DimseServer, type DimseHandlers, type DimseStatus } from '@archipelago/dimse';
import { quietWhenClosed } from './closed-pipe';
import { runCommandLine, type Output } from './command';
import { commands } from './commands';

const EXPLICIT_LE = '1.2.840.10008.1.2.1';
const RT_PLAN = '1.2.840.10008.5.1.4.1.1.481.5';
const CT = '1.2.840.10008.5.1.4.1.1.2';

describe('commands and what the archive says', () => {
  const lines: string[] = [];
  const notes: string[] = [];
  const stored: string[] = [];
  const out: Output = { line: (text) => lines.push(text), note: (text) => notes.push(text) };
  const folder = mkdtempSync(join(tmpdir(), 'archipelago-cli-'));
  let final: DimseStatus = { status: 0 };
  let server: DimseServer;
  let to: string[];

  beforeAll(async () => {
    const handlers: DimseHandlers = {
      associate: (request) => ({
        accept: true,
        contexts: request.contexts.map(({ id, transferSyntaxes }) => ({
          id,
          result: 0 as const,
          transferSyntax: transferSyntaxes[0] ?? '',
        })),
      }),
      echo: () => final,
      find: async function* () {
        yield { status: 0xff00, identifier: writeDataset({ '00100020': { vr: 'LO', Value: ['P1'] } }, EXPLICIT_LE) };
        yield final;
      },
      store: (request) => ({
        write: () => undefined,
        end: async () => {
          stored.push(`${request.sopClassUid} ${request.sopInstanceUid}`);
          return final;
        },
        abort: () => undefined,
      }),
    };
    server = new DimseServer({ host: '127.0.0.1', port: 0, handlers });
    to = ['--to', `PEER@127.0.0.1:${(await server.listen()).port}`];
  });
  afterAll(async () => {
    await server.close(0);
    rmSync(folder, { recursive: true });
  });
  beforeEach(() => (lines.length = notes.length = stored.length = 0));

  it('shows the comment on a whole result, in text and as JSON', async () => {
    final = { status: 0, errorComment: 'incomplete: old not harvested' };
    expect(await runCommandLine(commands, ['find', ...to], out)).toBe(0);
    expect(notes).toEqual(['PEER says: incomplete: old not harvested', '1 found']);
    lines.length = 0;
    expect(await runCommandLine(commands, ['find', '--json', ...to], out)).toBe(0);
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { '00100020': { vr: 'LO', Value: ['P1'] } },
      { status: '0000', comment: 'incomplete: old not harvested' },
    ]);
    final = { status: 0 };
    lines.length = 0;
    expect(await runCommandLine(commands, ['find', '--json', ...to], out)).toBe(0);
    expect(lines).toHaveLength(1);
  });

  it('shows the comment beside a status that is an error', async () => {
    final = { status: 0xa900, errorComment: 'no key of this level' };
    expect(await runCommandLine(commands, ['find', ...to], out)).toBe(1);
    expect(notes).toEqual(['find: the query failed with status A900: no key of this level']);
    expect(await runCommandLine(commands, ['echo', ...to], out)).toBe(1);
    expect(notes[1]).toBe('echo: refused with status A900: no key of this level');
  });

  it.each([
    ['differ from', { sopClassUid: CT, sopInstanceUid: '1.2.3.4' }],
    ['are missing in', { sopClassUid: '', sopInstanceUid: '' }],
  ])('sends with the UIDs of the dataset where they %s the meta information', async (_how, meta) => {
    const item = { '00080016': { vr: 'UI', Value: [CT] }, '00080018': { vr: 'UI', Value: ['1.2.9'] } };
    const dataset = writeDataset(
      {
        '00081140': { vr: 'SQ', Value: [item] },
        '00080016': { vr: 'UI', Value: [RT_PLAN] },
        '00080018': { vr: 'UI', Value: ['1.2.3.5'] },
      },
      EXPLICIT_LE,
    );
    const file = join(folder, 'plan.dcm');
    writeFileSync(file, Buffer.concat([writePart10Meta({ ...meta, transferSyntaxUid: EXPLICIT_LE }), dataset]));
    final = { status: 0 };
    expect(await runCommandLine(commands, ['send', file, ...to], out)).toBe(0);
    expect(stored).toEqual([`${RT_PLAN} 1.2.3.5`]);
    final = { status: 0xa900, errorComment: 'does not match' };
    expect(await runCommandLine(commands, ['send', file, ...to], out)).toBe(1);
    expect(notes).toEqual([`${file}: refused with status A900: does not match`]);
  });

  it('ends quietly when nobody reads any more', () => {
    const stream = new EventEmitter();
    const exit = jest.fn();
    quietWhenClosed(stream, exit);
    stream.emit('error', Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
    expect(exit).toHaveBeenCalledWith(141);
    expect(() => stream.emit('error', Object.assign(new Error('full'), { code: 'ENOSPC' }))).toThrow('full');
  });
});
