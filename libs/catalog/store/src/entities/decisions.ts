import { Check, Column, Entity, Index, Unique } from 'typeorm';
import { bigint, bytes, createdAt, identity, integer, json, keyBigint, keyBytes, moment, text, words } from './columns';

/** What needs a person's decision. */
@Entity('difference')
@Unique('difference_kind_subject_key', ['kind', 'subject'])
@Index('difference_open', { synchronize: false })
@Index('difference_archives', { synchronize: false })
@Check('difference_state_check', "state IN ('open', 'decided')")
export class DifferenceEntity {
  @identity('difference_pkey') id!: string;
  @words('kind') kind!: string;
  @text('subject') subject!: string;
  @json('evidence') evidence!: Record<string, unknown>;
  @words('state', { default: 'open' }) state!: 'open' | 'decided';
  @createdAt('created_at') createdAt!: Date;
  @moment('decided_at', { nullable: true }) decidedAt!: Date | null;
  @words('decided_by', { nullable: true }) decidedBy!: string | null;
  @json('decision', { nullable: true }) decision!: Record<string, unknown> | null;
}

/** Whether two datasets with one header have the same pixels: decided once, for every rebuild. */
@Entity('pixel_comparison')
export class PixelComparisonEntity {
  @keyBytes('wire_a', 'pixel_comparison_pkey') wireA!: Buffer;
  @keyBytes('wire_b', 'pixel_comparison_pkey') wireB!: Buffer;
  @Column({ type: 'boolean', name: 'equal' }) equal!: boolean;
  @createdAt('compared_at') comparedAt!: Date;
}

/** What was deleted, and is held back when it comes again. */
@Entity('tombstone')
@Index('tombstone_uid', { synchronize: false })
@Check('tombstone_level_check', "level IN ('STUDY', 'SERIES', 'IMAGE')")
export class TombstoneEntity {
  @identity('tombstone_pkey') id!: string;
  @words('level') level!: 'STUDY' | 'SERIES' | 'IMAGE';
  @text('uid') uid!: string;
  @words('reason') reason!: string;
  @createdAt('created_at') createdAt!: Date;
  @moment('lifted_at', { nullable: true }) liftedAt!: Date | null;
}

/** Pointer to the metadata object of a series, and the lease of who writes the next. Written by `apps/catalog` only. */
@Entity('series_metadata')
export class SeriesMetadataEntity {
  @keyBigint('series', 'series_metadata_pkey') seriesRow!: string;
  @bigint('revision', { default: -1 }) revision!: string;
  @words('store', { nullable: true }) store!: string | null;
  @words('key', { nullable: true }) key!: string | null;
  @bigint('bytes', { nullable: true }) bytes!: string | null;
  @integer('instances', { nullable: true }) instances!: number | null;
  @bytes('sha256', { nullable: true }) sha256!: Buffer | null;
  @moment('written_at', { nullable: true }) writtenAt!: Date | null;
  @bigint('fence', { default: 0 }) fence!: string;
  @moment('leased_until', { default: () => "'-infinity'" }) leasedUntil!: Date;
}
