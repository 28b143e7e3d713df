import { writeDataset } from '@archipelago/dicom-encoding';
import { parseDataset } from '@archipelago/dicom-encoding';
import type { DicomJson } from '@archipelago/dicom-core';
import { NO_FIND_OPTIONS } from '../association/extended-negotiation';
import { queryClass } from '../association/query-classes';
import { encodeResponse, pendingStatus, responseJson } from './find-response';
import { readIdentifier } from './identifier';
import { searchRequest } from './search-request';

const ELE = '1.2.840.10008.1.2.1';
const ILE = '1.2.840.10008.1.2';
const STUDY_FIND = queryClass('1.2.840.10008.5.1.4.1.2.2.1')!;
const PATIENT_FIND = queryClass('1.2.840.10008.5.1.4.1.2.1.1')!;
const PATIENT_STUDY_ONLY = queryClass('1.2.840.10008.5.1.4.1.2.3.1')!;
const PALETTE_FIND = queryClass('1.2.840.10008.5.1.4.39.2')!;
const principal = { kind: 'peer' as const, site: 'main', name: 'WS' };

const level = (value: string): DicomJson => ({ '00080052': { vr: 'CS', Value: [value] } });

function read(json: DicomJson, model = STUDY_FIND, ts = ELE, charset?: string[]) {
  return readIdentifier(writeDataset(json, ts, charset), ts, model);
}

function identifier(json: DicomJson, model = STUDY_FIND, ts = ELE, charset?: string[]) {
  const outcome = read(json, model, ts, charset);
  if (!outcome.ok) throw new Error(outcome.comment);
  return outcome.identifier;
}

describe('identifier', () => {
  it.each([ILE, ELE])('is decoded to keys in %s', (ts) => {
    const found = identifier(
      {
        ...level('STUDY'),
        '00080020': { vr: 'DA', Value: ['20200101-20201231'] },
        '00080201': { vr: 'SH', Value: ['+0100'] },
        '00100010': { vr: 'PN', Value: [{ Alphabetic: 'Müller^*' }] },
        '0020000D': { vr: 'UI', Value: ['1.2', '1.3'] },
        '00201206': { vr: 'IS' },
      },
      STUDY_FIND,
      ts,
      ['ISO_IR 100'],
    );
    expect(found).toEqual({
      level: 'STUDY',
      charset: ['ISO_IR 100'],
      timezone: '+0100',
      keys: [
        { tag: '00080020', vr: 'DA', values: ['20200101-20201231'] },
        { tag: '00100010', vr: 'PN', values: ['Müller^*'] },
        { tag: '0020000D', vr: 'UI', values: ['1.2', '1.3'] },
        { tag: '00201206', vr: 'IS', values: [] },
      ],
    });
  });

  it('keeps sequences with their item', () => {
    const found = identifier({
      ...level('STUDY'),
      '00321064': { vr: 'SQ', Value: [{ '00080100': { vr: 'SH', Value: ['CT1'] }, '00080102': { vr: 'SH' } }] },
      '00081110': { vr: 'SQ' },
    });
    expect(found.keys).toEqual([
      { tag: '00081110', vr: 'SQ', values: [], items: [] },
      {
        tag: '00321064',
        vr: 'SQ',
        values: [],
        items: [
          [
            { tag: '00080100', vr: 'SH', values: ['CT1'] },
            { tag: '00080102', vr: 'SH', values: [] },
          ],
        ],
      },
    ]);
  });

  it('refuses a missing level, one of another model, and bytes that are no data set', () => {
    expect(read({ '00100020': { vr: 'LO' } })).toMatchObject({ ok: false, status: 0xa900, elements: [0x00080052] });
    expect(read(level('PATIENT'))).toMatchObject({ ok: false, status: 0xa900 });
    expect(read(level('IMAGE'), PATIENT_STUDY_ONLY)).toMatchObject({ ok: false, status: 0xa900 });
    expect(read(level('SOMETHING'))).toMatchObject({ ok: false, status: 0xa900 });
    expect(read(level('PATIENT'), PATIENT_FIND)).toMatchObject({ ok: true });
    expect(readIdentifier(Buffer.from('not a data set at all'), ELE, STUDY_FIND)).toMatchObject({
      ok: false,
      status: 0xc000,
    });
  });

  it('asks no level of objects without a patient', () => {
    expect(identifier({ '00080018': { vr: 'UI' } }, PALETTE_FIND).level).toBeUndefined();
  });

  it('bounds the number of keys', () => {
    const json: DicomJson = level('STUDY');
    for (let i = 0; i < 1100; i++) json[`0011${(0x1000 + i).toString(16).toUpperCase()}`] = { vr: 'LO' };
    expect(read(json)).toMatchObject({ ok: false, status: 0xc000 });
  });
});

describe('search request', () => {
  const series = { ...level('SERIES'), '0020000E': { vr: 'UI' } };
  const search = (json: DicomJson, model = STUDY_FIND, options = NO_FIND_OPTIONS) =>
    searchRequest(identifier(json, model), model, options, principal);

  it('needs one value of each unique key above the level', () => {
    expect(search(series)).toMatchObject({ ok: false, status: 0xa900, elements: [0x0020000d] });
    expect(search({ ...series, '0020000D': { vr: 'UI', Value: ['1.2', '1.3'] } })).toMatchObject({ ok: false });
    expect(search({ ...series, '0020000D': { vr: 'UI', Value: ['1.2'] } })).toMatchObject({
      ok: true,
      search: { model: 'study-root', level: 'SERIES', relational: false },
    });
  });

  it('needs a patient in Patient Root below the patient, and none in Study Root', () => {
    expect(search(level('STUDY'), PATIENT_FIND)).toMatchObject({ ok: false, elements: [0x00100020] });
    expect(search({ ...level('STUDY'), '00100020': { vr: 'LO', Value: ['P*'] } }, PATIENT_FIND)).toMatchObject({
      ok: false,
    });
    expect(search({ ...level('STUDY'), '00100020': { vr: 'LO', Value: ['P1'] } }, PATIENT_FIND)).toMatchObject({
      ok: true,
      search: { model: 'patient-root' },
    });
    expect(search(level('STUDY'))).toMatchObject({ ok: true });
  });

  it('needs none of them in a relational query', () => {
    const options = { ...NO_FIND_OPTIONS, relational: true, fuzzyNames: true };
    expect(search(series, STUDY_FIND, options)).toMatchObject({
      ok: true,
      search: { relational: true, fuzzyNames: true },
    });
  });

  it('asks for the classes of a patientless model, and of locations for the availability alone', () => {
    expect(
      search({ '00080018': { vr: 'UI' }, '00080054': { vr: 'AE' }, '00080056': { vr: 'CS' } }, PALETTE_FIND),
    ).toMatchObject({
      ok: true,
      search: {
        model: 'patientless',
        level: 'IMAGE',
        sopClasses: ['1.2.840.10008.5.1.4.39.1'],
        keys: [{ tag: '00080018' }, { tag: '00080056' }],
      },
    });
  });
});

describe('find response', () => {
  const asked = { ...level('STUDY'), '00100010': { vr: 'PN' }, '00081030': { vr: 'LO' }, '00091001': { vr: 'LO' } };
  const context = (charset: string[] = []) => ({
    identifier: { ...identifier(asked), charset },
    transferSyntaxUid: ELE,
    retrieveAeTitle: 'ARCHIPELAGO',
    unsupported: new Set(['00091001']),
  });
  const match = {
    '00100010': { vr: 'PN', Value: [{ Alphabetic: 'Müller^Änne' }] },
    '00100020': { vr: 'LO', Value: ['not asked for'] },
  };

  it('holds what was asked for and is supported, and where it can be had', () => {
    expect(responseJson(match, context())).toEqual({
      '00080052': { vr: 'CS', Value: ['STUDY'] },
      '00080054': { vr: 'AE', Value: ['ARCHIPELAGO'] },
      '00080056': { vr: 'CS', Value: ['ONLINE'] },
      '00081030': { vr: 'LO' },
      '00100010': { vr: 'PN', Value: [{ Alphabetic: 'Müller^Änne' }] },
    });
  });

  it('says how available it is as the catalog has it', () => {
    const nearline = { ...match, '00080056': { vr: 'CS', Value: ['NEARLINE'] } };
    expect(responseJson(nearline, context())['00080056']).toEqual({ vr: 'CS', Value: ['NEARLINE'] });
  });

  it.each([
    [['ISO_IR 100'], 'ISO_IR 100'],
    [['ISO_IR 101'], 'ISO_IR 101'],
    [[], 'ISO_IR 192'],
    [['ISO_IR 144'], 'ISO_IR 192'],
    [['ISO_IR 192'], 'ISO_IR 192'],
  ])('answers a request in %j in %s', (charset, used) => {
    const dataset = parseDataset(encodeResponse(match, context(charset)), ELE);
    expect(dataset.string('SpecificCharacterSet')).toBe(used);
    expect(dataset.string('PatientName')).toBe('Müller^Änne');
  });

  it('says when a key is not supported', () => {
    expect(pendingStatus(new Set())).toBe(0xff00);
    expect(pendingStatus(new Set(['00091001']))).toBe(0xff01);
  });

  it('says where a study lies, as the catalog knows it', () => {
    const near = responseJson({ '00080056': { vr: 'CS', Value: ['NEARLINE'] } }, context());
    expect(near['00080056']?.Value).toEqual(['NEARLINE']);
    expect(responseJson({}, context())['00080056']?.Value).toEqual(['ONLINE']);
  });
});
