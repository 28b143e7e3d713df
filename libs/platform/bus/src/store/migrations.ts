import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Tables of the bus: they hold our own bookkeeping only and are written by whoever publishes or consumes. */
export class BusTables1763856000000 implements MigrationInterface {
  name = 'BusTables1763856000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE outbox (
        seq          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        id           uuid NOT NULL UNIQUE,
        stream       text NOT NULL,
        subject      text NOT NULL,
        data         text NOT NULL,
        created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
        published_at timestamptz,
        stream_seq   bigint
      )`);
    await runner.query('CREATE INDEX outbox_open ON outbox (seq) WHERE published_at IS NULL');
    await runner.query('CREATE INDEX outbox_by_stream ON outbox (stream, stream_seq) WHERE published_at IS NOT NULL');
    await runner.query('CREATE INDEX outbox_by_age ON outbox (published_at) WHERE published_at IS NOT NULL');
    await runner.query(`
      CREATE TABLE outbox_stream (
        stream     text PRIMARY KEY,
        created    timestamptz NOT NULL,
        last_seq   bigint NOT NULL,
        checked_at timestamptz NOT NULL DEFAULT clock_timestamp()
      )`);
    await runner.query(`
      CREATE TABLE inbox (
        consumer   text NOT NULL,
        event_id   uuid NOT NULL,
        handled_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (consumer, event_id)
      )`);
    await runner.query('CREATE INDEX inbox_age ON inbox (handled_at)');
    await runner.query(`
      CREATE TABLE dead_letter (
        id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        consumer        text NOT NULL,
        stream          text NOT NULL,
        stream_sequence bigint NOT NULL,
        subject         text NOT NULL,
        data            bytea NOT NULL,
        data_sha256     bytea NOT NULL,
        deliveries      integer NOT NULL,
        kind            text NOT NULL,
        code            text NOT NULL,
        reason          text NOT NULL,
        state           text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'replayed', 'discarded')),
        first_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
        last_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
        times           integer NOT NULL DEFAULT 1,
        decided_at      timestamptz,
        replays         integer NOT NULL DEFAULT 0
      )`);
    // the same message buried again (a crash before term, a stream published again) is the same letter
    await runner.query(
      "CREATE UNIQUE INDEX dead_letter_open ON dead_letter (consumer, subject, data_sha256) WHERE state = 'open'",
    );
    await runner.query(`
      CREATE TABLE lease (
        name       text PRIMARY KEY,
        holder     uuid NOT NULL,
        token      bigint NOT NULL,
        expires_at timestamptz NOT NULL
      )`);
  }

  async down(): Promise<void> {
    throw new Error('migrations are forward-only');
  }
}
