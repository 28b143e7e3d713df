import { Entity, Index, JoinColumn, ManyToOne, OneToMany, Unique, type Relation } from 'typeorm';
import { bigint, bytes, createdAt, identity, integer, keyBigint, keyInteger, moment, text, words } from './columns';

/** An archive, as the origin of what we know. */
@Entity('source')
@Unique('source_name_key', ['name'])
export class SourceEntity {
  @identity('source_pkey', 'integer') id!: number;
  @text('name') name!: string;
  @createdAt('created_at') createdAt!: Date;
}

/** A pack that was indexed; sums of its bytes are in the footer of the object. */
@Entity('pack')
@Unique('pack_pack_id_key', ['packId'])
@Unique('pack_indexed_order_key', ['indexedOrder'])
export class PackEntity {
  @identity('pack_pkey') id!: string;
  @words('pack_id', { type: 'uuid' }) packId!: string;
  @words('edge_id', { type: 'uuid' }) edgeId!: string;
  @words('site') site!: string;
  @bigint('bytes') bytes!: string;
  @bigint('tail_offset') tailOffset!: string;
  @integer('entries') entries!: number;
  @bytes('sha256') sha256!: Buffer;
  @moment('created_at') createdAt!: Date;
  @moment('sealed_at') sealedAt!: Date;
  @createdAt('indexed_at') indexedAt!: Date;
  @bigint('indexed_order', {
    nullable: true,
    comment: 'taken after all locks: the order in which packs took effect, for the rebuild',
  })
  indexedOrder!: string | null;
  @OneToMany(() => PackLocationEntity, (location) => location.pack) locations!: Relation<PackLocationEntity>[];
  @OneToMany(() => PackEntryEntity, (entry) => entry.pack) rows!: Relation<PackEntryEntity>[];
}

/** Where a pack lies: any number of stores. */
@Entity('pack_location')
@Index('pack_location_key', ['store', 'key'])
export class PackLocationEntity {
  @keyBigint('pack', 'pack_location_pkey') packRow!: string;
  @ManyToOne(() => PackEntity, (pack) => pack.locations, { nullable: false })
  @JoinColumn({ name: 'pack', foreignKeyConstraintName: 'pack_location_pack_fkey' })
  pack!: Relation<PackEntity>;
  @words('store', { primary: true, primaryKeyConstraintName: 'pack_location_pkey' }) store!: string;
  @text('key') key!: string;
  @words('site') site!: string;
  @words('tier', { default: 'hot' }) tier!: string;
  @moment('verified_at') verifiedAt!: Date;
  @moment('missing_at', { nullable: true }) missingAt!: Date | null;
}

/** One entry of a pack: what was received, and which kept instance it is a copy of. */
@Entity('pack_entry')
@Index('pack_entry_uid', ['sopInstanceUid'])
export class PackEntryEntity {
  @keyBigint('pack', 'pack_entry_pkey') packRow!: string;
  @ManyToOne(() => PackEntity, (pack) => pack.rows, { nullable: false })
  @JoinColumn({ name: 'pack', foreignKeyConstraintName: 'pack_entry_pack_fkey' })
  pack!: Relation<PackEntity>;
  @keyInteger('ordinal', 'pack_entry_pkey') ordinal!: number;
  @ManyToOne(() => SourceEntity, { nullable: false })
  @JoinColumn({ name: 'source', foreignKeyConstraintName: 'pack_entry_source_fkey' })
  source!: Relation<SourceEntity>;
  @words('origin') origin!: string;
  @text('sop_instance_uid') sopInstanceUid!: string;
  @text('sop_class_uid') sopClassUid!: string;
  @text('transfer_syntax_uid') transferSyntaxUid!: string;
  @bytes('wire_digest') wireDigest!: Buffer;
  @bytes('header_digest') headerDigest!: Buffer;
  @bytes('same_as', {
    nullable: true,
    comment: 'wire digest of the kept instance that this is a copy of; null: held back, or no object but an answer',
  })
  sameAs!: Buffer | null;
  @bigint('dataset_offset') datasetOffset!: string;
  @bigint('dataset_length') datasetLength!: string;
  @bigint('header_offset') headerOffset!: string;
  @integer('header_length') headerLength!: number;
  @integer('header_raw_length') headerRawLength!: number;
  @moment('received_at') receivedAt!: Date;
  @words('calling_ae_title') callingAeTitle!: string;
  @words('called_ae_title') calledAeTitle!: string;
  /** No object, but what an archive answered: how deep. */
  @words('harvest', { nullable: true }) harvest!: string | null;
}
