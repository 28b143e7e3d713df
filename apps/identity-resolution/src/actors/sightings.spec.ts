import { judgeActor, type ActorAssertion } from './actor-links';
import { serialMark, sightingsOf } from './sightings';

const equipment = (manufacturer: string, model: string, serial: string) => ({ manufacturer, model, serial });

describe('what is seen in a series', () => {
  it('names the modality as the place does, its equipment, and the staff', () => {
    expect(
      sightingsOf({
        place: 'main',
        sentBy: 'CT_1',
        attributes: {
          '00080070': { Value: ['ACME'] },
          '00081090': { Value: ['One'] },
          '00181000': { Value: ['A-4711'] },
          '00081010': { Value: ['CT1 '] },
          '00081070': { Value: [{ Alphabetic: 'Møller^Åse^^' }, { Alphabetic: '' }, null] },
          '00081050': { Value: [{ Ideographic: '山田' }] },
        },
      }),
    ).toEqual([
      {
        kind: 'modality',
        place: 'main',
        name: 'station:CT1',
        equipment: equipment('ACME', 'One', 'A-4711'),
        mark: 'acme|one|A4711',
      },
      {
        kind: 'modality',
        place: 'main',
        name: 'ae:CT_1',
        equipment: equipment('ACME', 'One', 'A-4711'),
        mark: 'acme|one|A4711',
      },
      { kind: 'user', place: 'main', name: 'operator:MOLLER^ASE' },
    ]);
    expect(sightingsOf({ place: 'north', attributes: {} })).toEqual([]);
  });

  it.each([
    ['A-4711', true],
    ['0000', false],
    ['1234', false],
    ['12345678', false],
    ['SN123456', false],
    ['98765', false],
    ['XXXX', false],
    ['A1', false],
    ['', false],
    ['300187', true],
  ])('serial number %j is one: %s', (serial, is) => {
    expect(serialMark(equipment('ACME', 'One', serial)) !== undefined).toBe(is);
  });

  it('a serial number without manufacturer or model is none', () => {
    expect(serialMark(equipment('', 'One', 'A-4711'))).toBeUndefined();
    expect(serialMark(equipment('ACME', '', 'A-4711'))).toBeUndefined();
  });
});

describe('who is one device', () => {
  const at = new Date('2026-11-26T10:00:00Z');
  let ids = 0;
  const said = (
    what: ActorAssertion['what'],
    a: string,
    b: string,
    source: ActorAssertion['source'],
  ): ActorAssertion => ({
    id: String(++ids),
    ...{ what, a, b, label: null, retracts: null, source, madeAt: at, madeBy: 'x', reason: '' },
  });

  it('one mark in common links; two marks are nobody in particular', () => {
    const north = { key: 'n', marks: ['m1'] };
    expect(judgeActor(north, [{ key: 's', marks: ['m1'] }], []).link).toEqual([['n', 's']]);
    expect(judgeActor(north, [{ key: 's', marks: ['m1', 'm2'] }], []).link).toEqual([]);
    expect(judgeActor({ key: 'n', marks: ['m1', 'm2'] }, [{ key: 's', marks: ['m1'] }], []).link).toEqual([]);
  });

  it('a second mark takes an automatic link back, not a person’s', () => {
    const automatic = said('link', 'n', 's', 'rule');
    const gateway = { key: 'n', marks: ['m1', 'm2'] };
    const other = { key: 's', marks: ['m1'] };
    expect(judgeActor(gateway, [other], [automatic]).takeBack).toEqual([automatic]);
    expect(judgeActor(gateway, [other], [said('link', 'n', 's', 'person')]).takeBack).toEqual([]);
  });

  it('what a person keeps apart stays apart, also over a third', () => {
    const all = [said('apart', 'n', 's', 'person'), said('link', 's', 't', 'rule')];
    const others = [
      { key: 's', marks: ['m1'] },
      { key: 't', marks: ['m1'] },
    ];
    expect(judgeActor({ key: 'n', marks: ['m1'] }, others, all)).toEqual({ link: [], takeBack: [] });
  });
});
