import { Check, Entity, Index, JoinColumn, ManyToOne, Unique, type Relation } from 'typeorm';
import type { KeptAttributes } from '@archipelago/catalog-model';
import { bigint, bytes, integer, json, keyInteger, keyText, moment, text, trueUnless, words } from './columns';
import { SourceEntity } from './packs';

/** Of a version: still there; gone from the source; refused there; deleted. */
export type SourceState = 'present' | 'vanished' | 'rejected' | 'deleted';
const STATES = "state IN ('present', 'vanished', 'rejected', 'deleted')";

/** What a source said of a study: one row a version, never merged. */
@Entity('source_study')
@Index('source_study_patient', { synchronize: false })
@Unique('source_study_study_instance_uid_source_tag_digest_key', ['studyInstanceUid', 'source', 'tagDigest'])
@Check('source_study_state_check', STATES)
export class SourceStudyEntity {
  @keyText('study_instance_uid', 'source_study_pkey') studyInstanceUid!: string;
  @keyInteger('source', 'source_study_pkey') sourceId!: number;
  @ManyToOne(() => SourceEntity, { nullable: false })
  @JoinColumn({ name: 'source', foreignKeyConstraintName: 'source_study_source_fkey' })
  source!: Relation<SourceEntity>;
  @keyInteger('version', 'source_study_pkey') version!: number;
  @bytes('tag_digest') tagDigest!: Buffer;
  @json('attributes') attributes!: KeptAttributes;
  @words('depth') depth!: string;
  @words('state') state!: SourceState;
  @moment('as_of') asOf!: Date;
  @text('patient_id') patientId!: string;
  @text('issuer') issuer!: string;
  @bigint('pack') packRow!: string;
  @integer('ordinal') ordinal!: number;
  /** Said with an object that we hold; false: an answer of the archive. */
  @trueUnless('held') held!: boolean;
}

/** What a source said of a series. */
@Entity('source_series')
@Index('source_series_study', { synchronize: false })
@Unique('source_series_series_instance_uid_source_tag_digest_key', ['seriesInstanceUid', 'source', 'tagDigest'])
@Check('source_series_state_check', STATES)
export class SourceSeriesEntity {
  @keyText('series_instance_uid', 'source_series_pkey') seriesInstanceUid!: string;
  @text('study_instance_uid') studyInstanceUid!: string;
  @keyInteger('source', 'source_series_pkey') sourceId!: number;
  @ManyToOne(() => SourceEntity, { nullable: false })
  @JoinColumn({ name: 'source', foreignKeyConstraintName: 'source_series_source_fkey' })
  source!: Relation<SourceEntity>;
  @keyInteger('version', 'source_series_pkey') version!: number;
  @bytes('tag_digest') tagDigest!: Buffer;
  @json('attributes') attributes!: KeptAttributes;
  @words('depth') depth!: string;
  @words('state') state!: SourceState;
  @moment('as_of') asOf!: Date;
  @text('patient_id') patientId!: string;
  @text('issuer') issuer!: string;
  @bigint('pack') packRow!: string;
  @integer('ordinal') ordinal!: number;
  /** Said with an object that we hold; false: an answer of the archive. */
  @trueUnless('held') held!: boolean;
}

/** What a source said of an instance; a new version is another wire digest. */
@Entity('source_instance')
@Index('source_instance_study', { synchronize: false })
@Unique('source_instance_sop_instance_uid_source_wire_digest_key', ['sopInstanceUid', 'source', 'wireDigest'])
@Check('source_instance_state_check', STATES)
export class SourceInstanceEntity {
  @keyText('sop_instance_uid', 'source_instance_pkey') sopInstanceUid!: string;
  @text('series_instance_uid') seriesInstanceUid!: string;
  @text('study_instance_uid') studyInstanceUid!: string;
  @text('sop_class_uid') sopClassUid!: string;
  @keyInteger('source', 'source_instance_pkey') sourceId!: number;
  @ManyToOne(() => SourceEntity, { nullable: false })
  @JoinColumn({ name: 'source', foreignKeyConstraintName: 'source_instance_source_fkey' })
  source!: Relation<SourceEntity>;
  @keyInteger('version', 'source_instance_pkey') version!: number;
  @bytes('tag_digest') tagDigest!: Buffer;
  @bytes('wire_digest') wireDigest!: Buffer;
  @words('depth') depth!: string;
  @words('state') state!: SourceState;
  @moment('as_of') asOf!: Date;
  @text('patient_id') patientId!: string;
  @text('issuer') issuer!: string;
  @bigint('pack') packRow!: string;
  @integer('ordinal') ordinal!: number;
  /** Said with an object that we hold; false: an answer of the archive. */
  @trueUnless('held') held!: boolean;
  /** What an archive answered; null with an object, whose header block has it. */
  @json('attributes', { nullable: true }) attributes!: KeptAttributes | null;
}
