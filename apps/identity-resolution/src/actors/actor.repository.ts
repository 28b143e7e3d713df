import { Injectable } from '@nestjs/common';
import type { ActorKind, ActorRef, ActorV1, EquipmentV1 } from '@archipelago/contracts';
import type { SqlClient } from '@archipelago/platform-storage';
import { actorKey } from './actor-key';
import type { KnownActor } from './actor-links';
import type { SeenSeries, Sighting } from './sightings';

/** A name that stands for more than so many devices is nobody's: what more it shows is not kept. */
const MOST_MARKS = 16;
/** A sighting within so long after the last changes nothing. */
const FRESH = '1 hour';

interface ActorRow extends ActorRef {
  equipment: EquipmentV1[];
  label: string | null;
  superId: string;
  firstSeen: Date;
  lastSeen: Date;
}

/** `actor` and `actor_assignment`: who was seen, and which super-identity that is. */
@Injectable()
export class ActorRepository {
  /** What archives and our own sources say of the series of a study. */
  async seriesOf(client: SqlClient, studyId: string): Promise<SeenSeries[]> {
    const { rows } = await client.query<Omit<SeenSeries, 'sentBy'> & { sentBy: string | null }>(
      `SELECT DISTINCT s.name AS place, ss.attributes, CASE WHEN e.origin = 'acquired' THEN e.calling_ae_title END AS "sentBy"
       FROM study st JOIN source_series ss ON ss.study_instance_uid = st.study_instance_uid AND ss.state = 'present'
       JOIN source s ON s.id = ss.source LEFT JOIN pack_entry e ON e.pack = ss.pack AND e.ordinal = ss.ordinal
       WHERE st.id = $1`,
      [studyId],
    );
    return rows.map(({ sentBy, ...row }) => ({ ...row, ...(sentBy === null ? {} : { sentBy }) }));
  }

  /** Archives of the registry; none while nobody has made it. */
  async archives(client: SqlClient): Promise<Sighting[]> {
    const { rows: there } = await client.query<{ is: boolean }>("SELECT to_regclass('archive') IS NOT NULL AS is");
    if (!there[0]?.is) return [];
    const { rows } = await client.query<{ name: string; site: string; mark: string }>(
      `SELECT name, site, ae_title || '@' || lower(host) || ':' || port AS mark FROM archive WHERE state <> 'removed' ORDER BY name`,
    );
    return rows.map(({ name, site, mark }) => ({ kind: 'server', place: site, name: `archive:${name}`, mark }));
  }

  /** Keeps it. @returns whether there is news of its marks: it was not known, or not by this one */
  async keep(client: SqlClient, { kind, place, name, equipment, mark }: Sighting): Promise<boolean> {
    const { rows } = await client.query<{ news: boolean }>(
      `WITH before AS (SELECT marks FROM actor WHERE kind = $1 AND place = $2 AND name = $3)
       INSERT INTO actor AS a (kind, place, name, equipment, marks) VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (kind, place, name) DO UPDATE SET last_seen = clock_timestamp(),
         marks = CASE WHEN excluded.marks <@ a.marks OR cardinality(a.marks) >= ${MOST_MARKS} THEN a.marks ELSE a.marks || excluded.marks END,
         equipment = CASE WHEN a.equipment @> excluded.equipment OR jsonb_array_length(a.equipment) >= ${MOST_MARKS} THEN a.equipment
           ELSE a.equipment || excluded.equipment END
         WHERE a.last_seen < clock_timestamp() - interval '${FRESH}' OR NOT excluded.marks <@ a.marks
           OR NOT a.equipment @> excluded.equipment
       RETURNING coalesce((SELECT NOT a.marks <@ b.marks FROM before b), true) AS news`,
      [kind, place, name, JSON.stringify(equipment === undefined ? [] : [equipment]), mark === undefined ? [] : [mark]],
    );
    return rows[0]?.news ?? false;
  }

  async known(client: SqlClient, actors: readonly ActorRef[]): Promise<KnownActor[]> {
    const { rows } = await client.query<ActorRef & { marks: string[] }>(
      `SELECT a.kind, a.place, a.name, a.marks FROM unnest($1::text[], $2::text[], $3::text[]) k(kind, place, name)
       JOIN actor a USING (kind, place, name) ORDER BY a.first_seen, a.place, a.name`,
      columns(actors),
    );
    return rows.map(({ marks, ...ref }) => ({ key: actorKey(ref), marks }));
  }

  /** Others of the kind that showed one of the marks. */
  async sharing(client: SqlClient, actor: ActorRef, marks: readonly string[]): Promise<KnownActor[]> {
    const { rows } = await client.query<ActorRef & { marks: string[] }>(
      `SELECT kind, place, name, marks FROM actor WHERE kind = $1 AND marks && $4 AND (place, name) <> ($2, $3)
       ORDER BY first_seen, place, name LIMIT 200`,
      [actor.kind, actor.place, actor.name, marks],
    );
    return rows.map(({ marks: shown, ...ref }) => ({ key: actorKey(ref), marks: shown }));
  }

  async assign(client: SqlClient, members: readonly ActorRef[], superId: string, label: string | null): Promise<void> {
    await client.query(
      `INSERT INTO actor_assignment (kind, place, name, super_id, label)
       SELECT kind, place, name, $4, $5 FROM unnest($1::text[], $2::text[], $3::text[]) k(kind, place, name)
       ON CONFLICT (kind, place, name) DO UPDATE SET super_id = excluded.super_id, label = excluded.label`,
      [...columns(members), superId, label],
    );
  }

  async unassign(client: SqlClient, actors: readonly ActorRef[]): Promise<void> {
    await client.query(
      `DELETE FROM actor_assignment a USING unnest($1::text[], $2::text[], $3::text[]) k(kind, place, name)
       WHERE (a.kind, a.place, a.name) = (k.kind, k.place, k.name)`,
      columns(actors),
    );
  }

  async list(
    client: SqlClient,
    kind: ActorKind | undefined,
    after: ActorRef | undefined,
    limit: number,
    superIdOf: (actor: ActorRef) => string,
  ): Promise<ActorV1[]> {
    const { rows } = await client.query<ActorRow>(
      `${SELECT} WHERE ($1::text IS NULL OR a.kind = $1) AND ($2::text IS NULL OR (a.kind, a.place, a.name) > ($2, $3, $4))
       ORDER BY a.kind, a.place, a.name LIMIT $5`,
      [kind ?? null, after?.kind ?? null, after?.place ?? null, after?.name ?? null, limit],
    );
    return rows.map((row) => wire(row, superIdOf));
  }

  async among(
    client: SqlClient,
    actors: readonly ActorRef[],
    superIdOf: (actor: ActorRef) => string,
  ): Promise<ActorV1[]> {
    const { rows } = await client.query<ActorRow>(
      `${SELECT} JOIN unnest($1::text[], $2::text[], $3::text[]) k(kind, place, name) USING (kind, place, name)
       ORDER BY a.first_seen, a.place, a.name`,
      columns(actors),
    );
    return rows.map((row) => wire(row, superIdOf));
  }
}

const SELECT = `SELECT kind, place, name, a.equipment, s.label, coalesce(s.super_id, '') AS "superId",
    a.first_seen AS "firstSeen", a.last_seen AS "lastSeen"
  FROM actor a LEFT JOIN actor_assignment s USING (kind, place, name)`;

const columns = (actors: readonly ActorRef[]): [string[], string[], string[]] => [
  actors.map((one) => one.kind),
  actors.map((one) => one.place),
  actors.map((one) => one.name),
];

function wire(
  { kind, place, name, equipment, label, superId, ...seen }: ActorRow,
  own: (a: ActorRef) => string,
): ActorV1 {
  return {
    ...{ kind, place, name, equipment },
    identity: label ?? (superId === '' ? own({ kind, place, name }) : superId),
    firstSeen: seen.firstSeen.toISOString(),
    lastSeen: seen.lastSeen.toISOString(),
  };
}
