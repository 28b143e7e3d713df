import { EXPLICIT_VR_LE, type DicomJson } from '@archipelago/dicom-core';
import { parseDataset, writeDataset } from '@archipelago/dicom-encoding';
import { type AskedFor, checkAnswer } from './answer-check';

const STUDY = '1.2.3';
const check = (json: DicomJson, asked: AskedFor) =>
  checkAnswer(parseDataset(writeDataset(json, EXPLICIT_VR_LE), EXPLICIT_VR_LE), asked);
const ui = (value: string) => ({ vr: 'UI', Value: [value] });
const level = (value: string) => ({ vr: 'CS', Value: [value] });
const date = (value: string) => ({ vr: 'DA', Value: [value] });

describe('studies', () => {
  const asked: AskedFor = { level: 'STUDY', scope: { from: '20260101', to: '20260131' } };
  const good: DicomJson = { '00080020': date('20260115'), '00080052': level('STUDY'), '0020000D': ui(STUDY) };

  it('takes what was asked for', () => {
    expect(check(good, asked)).toMatchObject({ ok: true, item: { uid: STUDY, date: '20260115' }, add: {} });
  });

  it.each<[string, DicomJson]>([
    ['wrong-level', { ...good, '00080052': level('SERIES') }],
    ['no-uid', { '00080020': date('20260115') }],
    ['bad-uid', { ...good, '0020000D': ui('../../etc') }],
    ['bad-uid', { ...good, '0020000D': ui('1.2.*') }],
    ['bad-uid', { ...good, '0020000D': ui('1'.repeat(65)) }],
    ['bad-uid', { ...good, '0020000D': ui('1..2') }],
    ['outside', { ...good, '00080020': date('20260201') }],
    ['undated', { '0020000D': ui(STUDY) }],
  ])('leaves out: %s', (reason, json) => {
    expect(check(json, asked)).toEqual({ ok: false, reason });
  });

  it('by patient and time, case aside; without a time it stays', () => {
    const scope = { from: '20260115', to: '20260115', timeFrom: '100000', timeTo: '110000', patientId: 'ab' };
    const answer = { ...good, '00100020': { vr: 'LO', Value: ['ABC'] } };
    expect(check(answer, { level: 'STUDY', scope })).toMatchObject({ ok: true });
    const at = (time: string) => ({ ...answer, '00080030': { vr: 'TM', Value: [time] } });
    expect(check(at('103000'), { level: 'STUDY', scope })).toMatchObject({ ok: true });
    expect(check(at('1230'), { level: 'STUDY', scope })).toEqual({ ok: false, reason: 'outside' });
    const other = { ...answer, '00100020': { vr: 'LO', Value: ['XB'] } };
    expect(check(other, { level: 'STUDY', scope })).toEqual({ ok: false, reason: 'outside' });
  });

  it('undated ones: only those', () => {
    const undated: AskedFor = { level: 'STUDY', scope: { undated: true } };
    expect(check(good, undated)).toEqual({ ok: false, reason: 'dated' });
    expect(check({ '0020000D': ui(STUDY), '00080020': date('garbage') }, undated)).toMatchObject({ ok: true });
  });
});

describe('series and images', () => {
  const image: AskedFor = { level: 'IMAGE', study: STUDY, series: '1.2.3.4' };

  it('adds the parents that the archive left out', () => {
    expect(check({ '00080018': ui('1.2.3.4.5') }, image)).toMatchObject({
      ok: true,
      add: { StudyInstanceUID: STUDY, SeriesInstanceUID: '1.2.3.4' },
      item: { parent: '1.2.3.4' },
    });
  });

  it('leaves out another study’s and another series’', () => {
    const foreign = { '00080018': ui('1.5'), '0020000D': ui('1.9') };
    expect(check(foreign, image)).toEqual({ ok: false, reason: 'foreign' });
    const series = { '00080018': ui('1.5'), '0020000E': ui('1.9') };
    expect(check(series, image)).toEqual({ ok: false, reason: 'foreign' });
    // asked for by the study alone: it must say the series
    expect(check({ '00080018': ui('1.5') }, { level: 'IMAGE', study: STUDY })).toEqual({ ok: false, reason: 'no-uid' });
  });
});
