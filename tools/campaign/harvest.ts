import { setTimeout as pause } from 'node:timers/promises';
import { EXPLICIT_VR_LE } from '@archipelago/dicom-core';
import { HeaderReader } from '@archipelago/dicom-encoding';
import { ScriptedArchive, scriptedContent } from '@archipelago/dimse';
import { eventually } from '@archipelago/testing';
import type { Centre } from './kit/centre';
import type { CampaignOptions } from './kit/options';
import { defineCampaign, type Stage } from './kit/run';

const NAME = 'scripted';
/** Most studies of one step of a deeper level: so many may be read again for each process that is killed. */
const BATCH = 50;
/** On two cores, of which the scripted archive takes half of one: 50 studies a second in all. */
const LONG_MS_EACH = 20;
const LEVELS = { STUDY: 'study', SERIES: 'series', IMAGE: 'image' } as const;

let archive: ScriptedArchive;

/** Processes are killed at any moment of a first load; then the catalog is compared with the archive, answer by answer. */
async function play(stage: Stage): Promise<void> {
  const { options, system, checks, random } = stage;
  const strikes = options.long ? 40 : 10;
  const victims = ['edge', 'tag-replication-1', 'tag-replication-2', 'ingest-1', 'ingest-2'];
  let kills = 0;
  const done = (centre: Centre): Promise<boolean> => isComplete(centre, archive.studies.length);
  await stage.withCentre(async (centre) => {
    for (let i = 0; i < strikes && !(await done(centre)); i++) {
      await pause(random.int(300, options.long ? 4_000 : 2_000));
      const name = random.pick(victims);
      const victim = system.processes[name];
      if (!victim) throw new Error(`no process ${name}`);
      await victim.kill9();
      await pause(random.int(0, 800));
      await victim.restart();
      kills++;
      checks.note(
        `  killed ${name}: ${await centre.count('harvest_study')} of ${archive.studies.length} studies known`,
      );
    }
    checks.check('processes were killed while it was read', kills >= Math.min(3, strikes), String(kills));
    const patience = options.long ? 1_800_000 + archive.studies.length * LONG_MS_EACH : 240_000;
    await eventually('the archive is read to image depth', () => done(centre), patience, 500);
    checks.note('read to image depth');
    await compare(stage, centre, kills);
  });
  await archive.stop();
}

async function isComplete(centre: Centre, studies: number): Promise<boolean> {
  const [row] = await centre.rows<{ as_of: Date | null; complete_to: string; studies: string }>(
    'SELECT as_of, complete_to, studies FROM archive_status WHERE name = $1',
    [NAME],
  );
  if (!row?.as_of || row.complete_to !== 'image' || Number(row.studies) !== studies) return false;
  return (await centre.count(`harvest_step WHERE archive = $1 AND state IN ('open', 'read')`, [NAME])) === 0;
}

async function compare({ checks }: Stage, centre: Centre, kills: number): Promise<void> {
  const truth = new Map<string, string>();
  for (const { level, uid, dataset } of archive.everything()) {
    const reader = new HeaderReader(EXPLICIT_VR_LE);
    reader.push(dataset);
    truth.set(`${LEVELS[level]} ${uid}`, reader.end().headerDigest.toString('hex'));
  }
  const rows = await centre.rows<{ harvest: string; uid: string; digest: string; n: string }>(
    `SELECT e.harvest, e.sop_instance_uid AS uid, encode(e.header_digest, 'hex') AS digest, count(*) AS n
       FROM pack_entry e JOIN source s ON s.id = e.source WHERE s.name = $1 GROUP BY 1, 2, 3`,
    [NAME],
  );
  const seen = new Map(rows.map((row) => [`${row.harvest} ${row.uid}`, row.digest]));
  checks.equal('answers in the catalog', seen.size, truth.size);
  checks.none(
    'answers missing in the catalog',
    [...truth.keys()].filter((key) => !seen.has(key)),
  );
  checks.none(
    'answers in the catalog that the archive never gave',
    [...seen.keys()].filter((key) => !truth.has(key)),
  );
  checks.none(
    'answers whose tags differ',
    [...truth].filter(([key, digest]) => seen.has(key) && seen.get(key) !== digest).map(([key]) => key),
  );
  for (const [table, column, level] of [
    ['source_study', 'study_instance_uid', 'study'],
    ['source_series', 'series_instance_uid', 'series'],
    ['source_instance', 'sop_instance_uid', 'image'],
  ] as const) {
    const wanted = [...truth.keys()].filter((key) => key.startsWith(`${level} `)).length;
    const present = await centre.count(
      `(SELECT DISTINCT ${column} FROM ${table} t JOIN source s ON s.id = t.source WHERE s.name = $1 AND t.state = 'present') AS x`,
      [NAME],
    );
    checks.equal(`${table}: present`, present, wanted);
  }
  const again = (level: string): number =>
    rows.filter((row) => row.harvest === level).reduce((sum, row) => sum + Number(row.n) - 1, 0);
  const most = Math.max(...archive.studies.map((study) => study.series.reduce((n, s) => n + s.images.length, 0)));
  checks.note(`  written again: ${again('study')} studies, ${again('series')} series, ${again('image')} images`);
  // a killed process costs the steps that were under way: 4 at a time
  checks.check(
    'series read again: only what a kill had cut off',
    again('series') <= kills * 4 * BATCH * 2,
    String(again('series')),
  );
  checks.check(
    'images read again: only what a kill had cut off',
    again('image') <= kills * 4 * BATCH * most,
    String(again('image')),
  );
  if (kills === 0) checks.equal('nothing read twice', again('series') + again('image'), 0);
  checks.equal('parts that could not be listed', await centre.count(`harvest_step WHERE state = 'stuck'`), 0);
  checks.none('sums of the catalog', await centre.wrongSums());
}

export const harvest = defineCampaign({
  name: 'harvest',
  summary: 'edge, tag-replication and ingest are killed while an archive is read; then catalog equals archive',
  store: 'fs',
  system: async (options: CampaignOptions) => {
    const studies = options.instances ?? (options.long ? 5_000 : 400);
    const content = scriptedContent({ studies, seed: `campaign-${options.seed}`, undatedEvery: 97, days: 1_000 });
    archive = await new ScriptedArchive(content, { cap: 500 }).start();
    const budget = { associations: 4 };
    return {
      ingests: 2,
      replications: 2,
      config: {
        archives: [
          {
            name: NAME,
            aeTitle: archive.aeTitle,
            host: '127.0.0.1',
            port: archive.port,
            budget,
            harvest: { depth: 'image' },
          },
        ],
      },
      env: { ARCHIPELAGO_HARVEST_INTERVAL_SECONDS: '600', ARCHIPELAGO_AUDIT_HOURS: '0' },
    };
  },
  play,
});
