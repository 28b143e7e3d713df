import {
  IdentityCommand,
  type IdentityAction,
  type IdentityRef,
  type IdentityReplyV1,
  PatientUpdated,
} from '@archipelago/contracts';
import type { Bus } from '@archipelago/platform-bus';
import type { Database } from '@archipelago/platform-storage';
import { startNats, startPostgres } from '@archipelago/testing';
import { type RunningService, startService } from './testing/running-service';

interface Demographics {
  name: string;
  dob?: string;
  sex?: string;
  further?: { issuer: string; id: string }[];
}

const ref = (issuer: string, patientId: string): IdentityRef => ({ issuer, patientId, scope: '' });

describe('identity resolution, on a real NATS and a real PostgreSQL', () => {
  let service: RunningService;
  let bus: Bus;
  let database: Database;

  beforeAll(async () => {
    service = await startService(...(await Promise.all([startNats(), startPostgres()])));
    ({ bus, database } = service);
  }, 60_000);
  afterAll(() => service?.stop());

  /** As ingest writes and announces it. */
  async function say(issuer: string, id: string, said: Demographics, study?: string): Promise<void> {
    const attributes = {
      '00100010': { vr: 'PN', Value: [{ Alphabetic: said.name }] },
      '00100030': said.dob === undefined ? { vr: 'DA' } : { vr: 'DA', Value: [said.dob] },
      '00100040': said.sex === undefined ? { vr: 'CS' } : { vr: 'CS', Value: [said.sex] },
      ...(said.further
        ? {
            '00101002': {
              vr: 'SQ',
              Value: said.further.map((one) => ({
                '00100020': { vr: 'LO', Value: [one.id] },
                '00100021': { vr: 'LO', Value: [one.issuer] },
              })),
            },
          }
        : {}),
    };
    const { rows } = await database.query<{ id: string }>(
      `INSERT INTO patient (patient_id, issuer, scope, person, attributes) VALUES ($1, $2, '', super_id($2, $1, ''), $3)
       ON CONFLICT (patient_id, issuer, scope) DO UPDATE SET attributes = excluded.attributes RETURNING id::text`,
      [id, issuer, JSON.stringify(attributes)],
    );
    const patientId = rows[0]!.id;
    if (study !== undefined)
      await database.query(
        `INSERT INTO study (study_instance_uid, patient, person, patient_id, issuer) VALUES ($1, $2, super_id($3, $4, ''), $4, $3)
         ON CONFLICT DO NOTHING`,
        [study, patientId, issuer, id],
      );
    const { seq } = await bus.publish(PatientUpdated, { patientId });
    expect(seq).toBeGreaterThan(0);
    await settled();
  }

  /** All that was published has been handled: its row in the inbox is there for each. */
  let published = 0;
  async function settled(): Promise<void> {
    published += 1;
    for (let i = 0; i < 1600; i++) {
      const { rows } = await database.query<{ n: number }>(
        "SELECT count(*)::int AS n FROM inbox WHERE consumer = 'identity-resolution-patient-updated'",
      );
      if ((rows[0]?.n ?? 0) >= published) return;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new Error('the event was not handled');
  }

  const run = (request: IdentityAction): Promise<IdentityReplyV1> =>
    bus.request(IdentityCommand, { request }, { timeoutMs: 10_000 });
  const members = async (identity: IdentityRef, at?: string): Promise<string[]> => {
    const { identities } = await run({ action: 'show', identity, ...(at === undefined ? {} : { at }) });
    return identities!.map(({ issuer, patientId }) => `${issuer}:${patientId}`).sort();
  };
  const assigned = async (): Promise<Record<string, string>> => {
    const { rows } = await database.query<{ key: string; person: string }>(
      `SELECT p.issuer || ':' || p.patient_id AS key, a.person FROM identity_assignment a JOIN patient p ON p.id = a.patient ORDER BY 1`,
    );
    return Object.fromEntries(rows.map((row) => [row.key, row.person]));
  };

  it('one id in two archives is two persons', async () => {
    await say('NORTH', '100', { name: 'HAUSMANN^HEDWIG', dob: '19311104', sex: 'F' });
    await say('SOUTH', '100', { name: 'OKONKWO^CHIDI', dob: '19880215', sex: 'M' });
    expect(await members(ref('NORTH', '100'))).toEqual(['NORTH:100']);
    expect(await assigned()).toEqual({});
  });

  it('an id that the other authority gave links at once, and says by which rule', async () => {
    await say('NORTH', '200', { name: 'VAN DER BERG^ANNEKE', dob: '19640722', sex: 'F' });
    await say('SOUTH', '9001', {
      name: 'BERG^ANNEKE',
      dob: '19640722',
      sex: 'F',
      further: [{ issuer: 'NORTH', id: '200' }],
    });
    expect(await members(ref('NORTH', '200'))).toEqual(['NORTH:200', 'SOUTH:9001']);
    const { rows } = await database.query<{ own: string }>("SELECT super_id('NORTH', '200', '') AS own");
    expect(await assigned()).toEqual({ 'NORTH:200': rows[0]!.own, 'SOUTH:9001': rows[0]!.own });
    const { assertions } = await run({ action: 'history', identity: ref('SOUTH', '9001') });
    expect(assertions).toMatchObject([{ kind: 'link', reason: 'shared further id', holds: true }]);
  });

  it('the same study under two identities with one birth date is one person', async () => {
    await say('NORTH', '300', { name: 'ZIELINSKI^MAREK', dob: '19790130', sex: 'M' }, '1.2.300');
    await say('SOUTH', '9300', { name: 'ZIELINSKI^MAREK', dob: '19790130', sex: 'M' }, '1.2.300');
    expect(await members(ref('NORTH', '300'))).toEqual(['NORTH:300', 'SOUTH:9300']);
  });

  it('two ids of one issuer are left to a person, however alike', async () => {
    await say('NORTH', '400', { name: 'QUATTLEBAUM^EPHRAIM', dob: '19550901', sex: 'M' }, '1.2.400');
    await say('NORTH', '401', { name: 'QUATTLEBAUM^EPHRAIM', dob: '19550901', sex: 'M' }, '1.2.400');
    expect(await members(ref('NORTH', '400'))).toEqual(['NORTH:400']);
    const { reviews } = await run({ action: 'reviews', state: 'open', after: '0', limit: 50 });
    expect(reviews!.find((one) => one.a.patientId === '400' && one.b.patientId === '401')).toMatchObject({
      why: 'two ids of one issuer',
    });
  });

  it('a person links and unlinks; what was is restored, and can be asked for by date', async () => {
    await say('NORTH', '500', { name: 'ABERNATHY^LUCINDA', dob: '19400503' });
    await say('SOUTH', '9500', { name: 'ABERNATHY-STONE^LUCY', dob: '19400503' });
    const before = await assigned();
    const pair = { a: ref('NORTH', '500'), b: ref('SOUTH', '9500'), by: 'admin', reason: 'asked' };
    await run({ action: 'link', ...pair });
    const during = new Date().toISOString();
    expect(await members(ref('SOUTH', '9500'))).toEqual(['NORTH:500', 'SOUTH:9500']);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await run({ action: 'unlink', ...pair });
    expect(await assigned()).toEqual(before);
    expect(await members(ref('SOUTH', '9500'), during)).toEqual(['NORTH:500', 'SOUTH:9500']);
    // kept apart from now on, whatever is said
    await say('SOUTH', '9500', {
      name: 'ABERNATHY^LUCINDA',
      dob: '19400503',
      further: [{ issuer: 'NORTH', id: '500' }],
    });
    expect(await members(ref('SOUTH', '9500'))).toEqual(['SOUTH:9500']);
  });

  it('what is said differently takes an automatic link back, and it is never made again without a person', async () => {
    const same = { name: 'FFORDE^MYFANWY', dob: '19720817', sex: 'F' };
    const linked = { ...same, further: [{ issuer: 'NORTH', id: '600' }] };
    await say('NORTH', '600', same);
    await say('SOUTH', '9600', linked);
    expect(await members(ref('NORTH', '600'))).toHaveLength(2);
    await say('SOUTH', '9600', { name: 'MBEKI^THANDI', dob: '19991231', sex: 'F' });
    expect(await members(ref('NORTH', '600'))).toEqual(['NORTH:600']);
    await say('SOUTH', '9600', linked);
    expect(await members(ref('NORTH', '600'))).toEqual(['NORTH:600']);
    const { reviews } = await run({ action: 'reviews', state: 'open', after: '0', limit: 100 });
    const review = reviews!.find((one) => one.a.patientId === '600')!;
    expect(review.why).toBe('linked once and taken back');
    await run({ action: 'decide', review: review.id, same: true, by: 'admin', reason: 'passport seen' });
    expect(await members(ref('NORTH', '600'))).toHaveLength(2);
  });

  it('an unlink that others still contradict is refused, and says by whom', async () => {
    for (const [issuer, id] of [
      ['NORTH', '700'],
      ['SOUTH', '9700'],
      ['EAST', '77'],
    ] as const)
      await say(issuer, id, { name: `SEVEN^${issuer}` });
    const by = { by: 'admin', reason: '' };
    await run({ action: 'link', a: ref('NORTH', '700'), b: ref('SOUTH', '9700'), ...by });
    await run({ action: 'link', a: ref('SOUTH', '9700'), b: ref('EAST', '77'), ...by });
    await run({ action: 'link', a: ref('NORTH', '700'), b: ref('EAST', '77'), ...by });
    await expect(run({ action: 'unlink', a: ref('NORTH', '700'), b: ref('EAST', '77'), ...by })).rejects.toMatchObject({
      code: 'identity-connected',
    });
    // nothing of the refused one stays
    expect(await members(ref('NORTH', '700'))).toHaveLength(3);
    await run({ action: 'unlink', a: ref('SOUTH', '9700'), b: ref('EAST', '77'), ...by }).catch(() => undefined);
  });

  it('a misfiled study goes to another person, and comes back', async () => {
    await say('NORTH', '800', { name: 'EIGHT^ONE' }, '1.2.800');
    await say('NORTH', '801', { name: 'EIGHT^TWO' });
    const by = { by: 'admin', reason: 'wrong wristband' };
    const from = ref('NORTH', '800');
    const studies = async (): Promise<string[]> =>
      (await database.query<{ person: string }>('SELECT person FROM identity_study_assignment')).rows.map(
        (r) => r.person,
      );
    await run({ action: 'assign-study', studyInstanceUid: '1.2.800', from, to: ref('NORTH', '801'), ...by });
    const { rows } = await database.query<{ own: string }>("SELECT super_id('NORTH', '801', '') AS own");
    expect(await studies()).toEqual([rows[0]!.own]);
    await run({ action: 'assign-study', studyInstanceUid: '1.2.800', from, ...by });
    expect(await studies()).toEqual([]);
  });

  it('ids that name nobody link nobody', async () => {
    const { rows } = await database.query<{ n: number }>(
      "SELECT count(*)::int AS n FROM identity_assertion WHERE a_id IN ('', 'UNKNOWN') OR b_id IN ('', 'UNKNOWN')",
    );
    expect(rows[0]!.n).toBe(0);
    await say('NORTH', 'UNKNOWN', { name: '' });
    await say('SOUTH', 'UNKNOWN', { name: '' });
    expect(await members(ref('NORTH', 'UNKNOWN'))).toEqual(['NORTH:UNKNOWN']);
  });
});
