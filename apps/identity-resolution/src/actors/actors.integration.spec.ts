import { ActorCommand, type ActorAction, type ActorRef, type ActorReplyV1, StudyUpdated } from '@archipelago/contracts';
import type { Bus } from '@archipelago/platform-bus';
import type { Database } from '@archipelago/platform-storage';
import { startNats, startPostgres } from '@archipelago/testing';
import { type RunningService, startService } from '../testing/running-service';
import { ActorsService } from './actors.service';

interface Said {
  station?: string;
  serial?: string;
  operator?: string;
  /** Own object, sent under this AE title. */
  sentBy?: string;
}

const modality = (place: string, name: string): ActorRef => ({ kind: 'modality', place, name });

describe('modalities, workstations, servers and users, on a real NATS and a real PostgreSQL', () => {
  let service: RunningService;
  let bus: Bus;
  let database: Database;

  beforeAll(async () => {
    service = await startService(
      ...(await Promise.all([startNats(), startPostgres()])),
      'peers: [{ aeTitle: WS1, name: READING-1, origin: derived }, { aeTitle: CT_ER, name: CT-ER-1 }, { aeTitle: WS2, origin: derived }]',
    );
    ({ bus, database } = service);
  }, 60_000);
  afterAll(() => service?.stop());

  let numbers = 0;
  /** A series as ingest writes it for one source, and the event that tells of it. */
  async function say(place: string, { station, serial, operator, sentBy }: Said): Promise<void> {
    const number = ++numbers;
    const [study, series] = [`1.2.${number}`, `1.2.${number}.1`];
    const value = (text: string | undefined) => (text === undefined ? {} : { Value: [text] });
    const attributes = {
      '00080070': { vr: 'LO', Value: ['ACME'] },
      '00081090': { vr: 'LO', Value: ['One'] },
      '00181000': { vr: 'LO', ...value(serial) },
      '00081010': { vr: 'SH', ...value(station) },
      '00081070': { vr: 'PN', ...(operator === undefined ? {} : { Value: [{ Alphabetic: operator }] }) },
    };
    const { rows } = await database.query<{ id: string }>(
      `WITH s AS (INSERT INTO source (name) VALUES ($1) ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id),
       r AS (INSERT INTO source_series (series_instance_uid, study_instance_uid, tag_digest, attributes, source, version, depth, state,
               as_of, patient_id, issuer, pack, ordinal)
             SELECT $2, $3, '\\x00', $4, s.id, 1, 'full', 'present', now(), '1', '', $5, 0 FROM s),
       p AS (INSERT INTO pack (id, pack_id, edge_id, site, bytes, tail_offset, entries, sha256, created_at, sealed_at)
             VALUES ($5, gen_random_uuid(), gen_random_uuid(), 'main', 1, 1, 1, '\\x00', now(), now())),
       e AS (INSERT INTO pack_entry SELECT $5, 0, s.id, $6, '1.2.3', '1.2', '1.2', '\\x00', '\\x00', NULL, 0, 1, 0, 1, 1, now(), $7, 'X' FROM s)
       INSERT INTO study (study_instance_uid, patient, person, patient_id, issuer) VALUES ($3, $5, 'P', '1', '') RETURNING id::text`,
      [
        place,
        series,
        study,
        JSON.stringify(attributes),
        number,
        sentBy === undefined ? 'fetched' : 'acquired',
        sentBy ?? 'X',
      ],
    );
    await bus.publish(StudyUpdated, { studyId: rows[0]!.id, revision: 1 });
    const wanted = station === undefined ? `ae:${sentBy}` : `station:${station}`;
    await until(async () => {
      const { rows: seen } = await database.query<{ ok: boolean }>(
        `SELECT EXISTS (SELECT 1 FROM actor WHERE place = $1 AND name = $2 AND ($3::text IS NULL OR EXISTS
           (SELECT 1 FROM unnest(marks) m WHERE m LIKE '%|' || $3))) AS ok`,
        [place, wanted, serial?.replace('-', '') ?? null],
      );
      return seen[0]!.ok;
    });
  }

  async function until(holds: () => Promise<boolean>): Promise<void> {
    for (let i = 0; i < 800; i++) {
      if (await holds()) return;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new Error('it did not come to that');
  }

  const run = (request: ActorAction): Promise<ActorReplyV1> =>
    bus.request(ActorCommand, { request }, { timeoutMs: 10_000 });
  const members = async (actor: ActorRef, at?: string): Promise<string[]> => {
    const { actors } = await run({ action: 'show', actor, ...(at === undefined ? {} : { at }) });
    return actors!.map(({ place, name }) => `${place} ${name}`).sort();
  };
  const who = { by: 'admin', reason: 'asked' };

  it('knows the peers of the site file, under the names it gives', async () => {
    const { actors } = await run({ action: 'list', limit: 100 });
    const own = expect.stringMatching(/^AD[0-9A-Z]{12}$/) as unknown;
    expect(actors!.map(({ kind, place, name, identity }) => [kind, place, name, identity])).toEqual([
      ['modality', 'main', 'ae:CT_ER', 'CT-ER-1'],
      ['workstation', 'main', 'ae:WS1', 'READING-1'],
      ['workstation', 'main', 'ae:WS2', own],
    ]);
  });

  it('two archives that both have a CT1 have two scanners', async () => {
    await say('north', { station: 'CT1', serial: 'A4711', operator: 'Doe^Jane' });
    await say('south', { station: 'CT1', serial: 'B9914' });
    expect(await members(modality('north', 'station:CT1'))).toEqual(['north station:CT1']);
  });

  it('one serial number under two names and an AE title is one scanner', async () => {
    await say('main', { station: 'CT-ER', serial: 'A-4711', sentBy: 'CT_ER' });
    const together = ['main ae:CT_ER', 'main station:CT-ER', 'north station:CT1'];
    expect(await members(modality('main', 'ae:CT_ER'))).toEqual(together);
    const { actors } = await run({ action: 'list', kind: 'modality', limit: 100 });
    const identities = new Set(
      actors!.filter(({ equipment }) => equipment[0]?.serial.endsWith('4711')).map((a) => a.identity),
    );
    expect([...identities]).toEqual(['CT-ER-1']);
  });

  it('an AE title that sends for several devices is a gateway: its link is taken back', async () => {
    await say('main', { serial: 'C-5577', sentBy: 'CT_ER' });
    await until(async () => (await members(modality('main', 'ae:CT_ER'))).length === 1);
    expect(await members(modality('main', 'station:CT-ER'))).toEqual(['main station:CT-ER', 'north station:CT1']);
  });

  it('a person names it, links and unlinks; past days can be asked for', async () => {
    const [ct, other] = [modality('north', 'station:CT1'), modality('south', 'station:CT1')];
    expect((await run({ action: 'name', actor: ct, label: 'CT-EMERGENCY', ...who })).identity).toBe('CT-EMERGENCY');
    await run({ action: 'link', a: ct, b: other, ...who });
    expect((await run({ action: 'show', actor: other })).identity).toBe('CT-EMERGENCY');
    const during = new Date().toISOString();
    await new Promise((resolve) => setTimeout(resolve, 20));
    await run({ action: 'unlink', a: ct, b: other, ...who });
    expect((await run({ action: 'show', actor: other })).identity).toMatch(/^AD/);
    expect(await members(other, during)).toContain('north station:CT1');
    const { rows } = await database.query('SELECT 1 FROM actor_assignment WHERE place = $1', ['south']);
    expect(rows).toEqual([]);
    await run({ action: 'name', actor: ct, ...who });
    expect((await run({ action: 'show', actor: ct })).identity).toMatch(/^AD/);
  });

  it('an unlink that other links contradict is refused and named; so is what is not known', async () => {
    const [a, b] = [modality('main', 'station:CT-ER'), modality('north', 'station:CT1')];
    const c = modality('south', 'station:CT1');
    await run({ action: 'link', a, b: modality('main', 'ae:CT_ER'), ...who });
    await run({ action: 'link', a: modality('main', 'ae:CT_ER'), b, ...who });
    await expect(run({ action: 'unlink', a, b, ...who })).rejects.toMatchObject({ code: 'actor-connected' });
    const user: ActorRef = { kind: 'user', place: 'north', name: 'operator:DOE^JANE' };
    await expect(run({ action: 'link', a: c, b: user, ...who })).rejects.toMatchObject({ code: 'actor-kind' });
    const nobody = modality('west', 'station:NO');
    await expect(run({ action: 'link', a: c, b: nobody, ...who })).rejects.toMatchObject({ code: 'actor-unknown' });
  });

  it('one server under two names of the registry is one', async () => {
    await database.query('CREATE TABLE archive (name text, site text, ae_title text, host text, port int, state text)');
    await database.query(
      `INSERT INTO archive VALUES ('north', 'main', 'PACS', 'pacs.example', 104, 'active'), ('alt', 'b', 'PACS', 'PACS.example', 104, 'active'),
         ('south', 'main', 'PACS', 'other.example', 104, 'active')`,
    );
    await service.app.get(ActorsService).archivesChanged();
    expect(await members({ kind: 'server', place: 'b', name: 'archive:alt' })).toEqual([
      'b archive:alt',
      'main archive:north',
    ]);
  });
});
