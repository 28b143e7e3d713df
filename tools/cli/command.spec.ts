import { runCommandLine, UsageError, type GroupCommand, type Output } from './command';
import { commands } from './commands';
import { identifier } from './commands/find';
import { parseTarget } from './target';

describe('command line', () => {
  const lines: string[] = [];
  const notes: string[] = [];
  const out: Output = { line: (text) => lines.push(text), note: (text) => notes.push(text) };
  beforeEach(() => (lines.length = notes.length = 0));

  const root: GroupCommand = {
    name: 'root',
    summary: '',
    commands: [
      {
        name: 'dead-letters',
        summary: 'look at them',
        commands: [{ name: 'list', summary: 'all', help: '[--json]', run: async (args) => args.length }],
      },
      { name: 'fail', summary: '', help: '', run: async () => Promise.reject(new Error('broken')) },
      { name: 'misuse', summary: '', help: '', run: async () => Promise.reject(new UsageError('name a file')) },
    ],
  };

  it('walks nouns and verbs', async () => {
    expect(await runCommandLine(root, ['dead-letters', 'list', 'a', 'b'], out)).toBe(2);
    expect(await runCommandLine(root, ['dead-letters', 'list'], out)).toBe(0);
  });

  it('helps at every level', async () => {
    expect(await runCommandLine(root, ['--help'], out)).toBe(0);
    expect(await runCommandLine(root, ['dead-letters', '--help'], out)).toBe(0);
    expect(await runCommandLine(root, ['dead-letters', 'list', '--help'], out)).toBe(0);
    expect(lines[0]).toContain('dead-letters  look at them');
    expect(lines[1]).toContain('list  all');
    expect(lines[2]).toBe('Usage: npm run archipelago -- dead-letters list [--json]');
    for (const command of commands.commands)
      expect(await runCommandLine(commands, [command.name, '--help'], out)).toBe(0);
  });

  it('tells misuse (2) from failure (1)', async () => {
    expect(await runCommandLine(root, ['nothing'], out)).toBe(2);
    expect(await runCommandLine(root, [], out)).toBe(2);
    expect(await runCommandLine(root, ['fail'], out)).toBe(1);
    expect(await runCommandLine(root, ['misuse'], out)).toBe(2);
    expect(await runCommandLine(commands, ['send', '--no-such-option'], out)).toBe(2);
    expect(notes.join('\n')).toContain('name a file');
  });

  it('reads targets', () => {
    expect(parseTarget('PACS 1@10.1.2.3:104')).toEqual({ aeTitle: 'PACS 1', host: '10.1.2.3', port: 104 });
    expect(parseTarget('A@[::1]:104').host).toBe('::1');
    expect(parseTarget(undefined, { ARCHIPELAGO_DIMSE_PORT: '4242' })).toEqual({
      aeTitle: 'ARCHIPELAGO',
      host: '127.0.0.1',
      port: 4242,
    });
    for (const wrong of ['A', 'A@host', '@host:1', 'A@host:0', 'A@host:70000'])
      expect(() => parseTarget(wrong)).toThrow(UsageError);
  });

  it('makes an identifier with keys to match and keys to return', () => {
    expect(identifier('STUDY', { PatientName: 'DOE*', PatientID: '' })).toMatchObject({
      '00080052': { vr: 'CS', Value: ['STUDY'] },
      '00100010': { vr: 'PN', Value: [{ Alphabetic: 'DOE*' }] },
      '00100020': { vr: 'LO' },
    });
  });
});
