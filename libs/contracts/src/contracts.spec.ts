import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as library from './index';
import { Envelope, subjectFilter, subjectFor, subjectStem, type Contract } from './index';

interface Golden {
  subject: string;
  message: Record<string, unknown>;
  reply?: unknown;
}

function isContract(value: unknown): value is Contract {
  return typeof value === 'object' && value !== null && 'kind' in value && 'aggregate' in value;
}

const contracts = Object.values(library as Record<string, unknown>).filter(isContract);
const folder = join(__dirname, '..', 'golden');
const golden = readdirSync(folder).filter((name) => name.endsWith('.json'));

describe('golden messages of every released version', () => {
  it.each(golden)('%s is still understood', (file) => {
    const { subject, message, reply } = JSON.parse(readFileSync(join(folder, file), 'utf8')) as Golden;
    const contract = contracts.find((one) => `${subjectStem(one)}.json` === file);
    if (contract === undefined) throw new Error('a released contract was removed');
    const envelope = Envelope.parse(message);
    expect(contract.schema.parse(envelope.payload)).toEqual(message['payload']);
    expect(subject.startsWith(`${subjectStem(contract)}.`)).toBe(true);
    if (contract.reply === undefined) expect(reply).toBeUndefined();
    else expect(contract.reply.parse(reply)).toEqual(reply);
  });

  it('exist for every contract', () => {
    expect(contracts.length).toBeGreaterThanOrEqual(12);
    expect(contracts.map((one) => `${subjectStem(one)}.json`).sort()).toEqual([...golden].sort());
  });
});

describe('contracts', () => {
  it('have subjects of their own, and queries have replies', () => {
    const stems = contracts.map(subjectStem);
    expect(new Set(stems).size).toBe(stems.length);
    for (const contract of contracts) expect(contract.reply !== undefined).toBe(contract.kind === 'qry');
  });

  it('refuse subject tokens that would change the subject', () => {
    const [first] = contracts as [Contract];
    expect(subjectFor(first, 3, 'main')).toBe(`${subjectStem(first)}.3.main`);
    expect(subjectFilter(first)).toBe(`${subjectStem(first)}.*.*`);
    for (const bad of ['', 'a.b', '*', '>', 'a b', 'é', 'x'.repeat(65)])
      expect(() => subjectFor(first, 0, bad)).toThrow(RangeError);
  });

  it('refuse messages that do not fit', () => {
    expect(library.PackSealed.schema.safeParse({ packId: 'x' }).success).toBe(false);
    expect(Envelope.safeParse({ id: 'x', time: 'now', site: '' }).success).toBe(false);
  });
});
