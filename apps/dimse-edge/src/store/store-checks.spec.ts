import { PATIENTLESS_SOP_CLASSES } from '@archipelago/catalog-model';
import { PATIENTLESS_STORAGE } from '../association/query-classes';
import { checkCommand, checkDataset, identityWarnings, judgeUid, storedOutcome } from './store-checks';
import { STORE_ANSWERS, storeStatus } from './store-status';

const CT = '1.2.840.10008.5.1.4.1.1.2';
const PALETTE = '1.2.840.10008.5.1.4.39.1';
const command = { sopClassUid: CT, sopInstanceUid: '1.2.3', abstractSyntax: CT };
const header = { sopClassUid: CT, sopInstanceUid: '1.2.3', studyInstanceUid: '1.2', seriesInstanceUid: '1.2.4' };

describe('UIDs', () => {
  it.each([
    ['1.2.840.10008.5.1.4.1.1.2', 'valid'],
    ['0.0', 'valid'],
    ['1.2.3\0', 'valid'],
    ['1.2.3 ', 'valid'],
    ['1.'.repeat(31) + '12', 'valid'],
    ['1.02.3', 'leading-zero'],
    ['01.2', 'leading-zero'],
    ['', 'empty'],
    [' \0', 'empty'],
    ['1.2.abc', 'invalid'],
    ['1'.repeat(65), 'invalid'],
    ['1.2.840.'.repeat(9), 'invalid'],
    ['../../etc/passwd', 'invalid'],
    ['1..2', 'invalid'],
    ['.1.2', 'invalid'],
    ['1.2.', 'invalid'],
    ['1.2.*', 'invalid'],
    ['1.2\\1.3', 'invalid'],
    ['1.2\n', 'invalid'],
    ['1.2\0.3', 'invalid'],
    [' 1.2', 'invalid'],
  ])('%j is %s', (uid, judgement) => {
    expect(judgeUid(uid)).toBe(judgement);
  });
});

describe('checks of a C-STORE', () => {
  it('lets a good object through', () => {
    expect(checkCommand(command)).toBeUndefined();
    expect(checkDataset(command, header)).toBeUndefined();
    expect(identityWarnings(header)).toEqual([]);
  });

  it.each([
    [{ ...command, sopClassUid: '' }, 'bad-class-uid'],
    [{ ...command, sopInstanceUid: '../x' }, 'bad-instance-uid'],
    [{ ...command, abstractSyntax: PALETTE }, 'class-differs'],
  ] as const)('judges the command %#', (given, outcome) => {
    expect(checkCommand(given)).toBe(outcome);
  });

  it.each([
    [{ sopClassUid: PALETTE }, 'class-differs'],
    [{ sopClassUid: '' }, 'bad-class-uid'],
    [{ sopInstanceUid: '1.2.4' }, 'instance-differs'],
    [{ sopInstanceUid: '' }, 'bad-instance-uid'],
    [{ studyInstanceUid: 'x' }, 'bad-study-uid'],
    [{ seriesInstanceUid: '1'.repeat(70) }, 'bad-series-uid'],
  ] as const)('judges the data set %#', (over, outcome) => {
    expect(checkDataset(command, { ...header, ...over })).toBe(outcome);
  });

  it('takes padding for nothing and notes leading zeros', () => {
    expect(checkDataset(command, { ...header, sopInstanceUid: '1.2.3\0' })).toBeUndefined();
    const odd = { ...header, studyInstanceUid: '1.02' };
    expect(checkDataset(command, odd)).toBeUndefined();
    expect(identityWarnings(odd)).toEqual(['uid-leading-zero']);
  });

  it('asks no study of objects without a patient', () => {
    const palette = { sopClassUid: PALETTE, sopInstanceUid: '1.2.3', studyInstanceUid: '', seriesInstanceUid: '' };
    const request = { ...command, sopClassUid: PALETTE, abstractSyntax: PALETTE };
    expect(checkDataset(request, palette)).toBeUndefined();
    expect(storedOutcome(request, palette)).toBe('stored');
  });

  it('keeps an image that names no study or series, and warns', () => {
    expect(storedOutcome(command, header)).toBe('stored');
    for (const over of [{ studyInstanceUid: '' }, { seriesInstanceUid: ' ' }]) {
      expect(checkDataset(command, { ...header, ...over })).toBeUndefined();
      expect(storedOutcome(command, { ...header, ...over })).toBe('stored-unfiled');
    }
  });

  it('has the same patientless classes as the catalog', () => {
    expect([...PATIENTLESS_STORAGE].sort()).toEqual([...PATIENTLESS_SOP_CLASSES].sort());
  });
});

describe('answers', () => {
  it('are distinct, in the classes of PS3.4 B.2.3, with comments that fit', () => {
    const answers = Object.values(STORE_ANSWERS);
    expect(new Set(answers.map((a) => a.status)).size).toBe(answers.length);
    for (const answer of answers) {
      expect(answer.comment.length).toBeLessThanOrEqual(64);
      expect(answer.status === 0 || [0xa7, 0xa9, 0xb0, 0xc0].includes(answer.status >> 8)).toBe(true);
    }
  });

  it('carry comment and offending element, cut to 64 characters', () => {
    expect(storeStatus('stored')).toEqual({ status: 0 });
    expect(storeStatus('stored-unfiled')).toEqual({
      status: 0xb007,
      errorComment: 'stored; Study or Series Instance UID missing',
      offendingElements: [0x0020000d, 0x0020000e],
    });
    expect(storeStatus('unparsable', 'x'.repeat(100), [0x00280010])).toEqual({
      status: 0xc000,
      errorComment: `data set cannot be read: ${'x'.repeat(39)}`,
      offendingElements: [0x00280010],
    });
  });
});
