import { Check, Entity, Index, Unique } from 'typeorm';
import type { KeptAttributes, RowOverlay } from '@archipelago/catalog-model';
import { bigint, createdAt, falseUnless, identity, integer, json, text, textOrEmpty, texts, words } from './columns';

const BASES = "basis IN ('held', 'archive', 'both')";

/** Claims of archives that were asked no deeper, the largest of each; absent: no archive said. */
export interface StudySaid {
  series?: number;
  instances?: number;
  modalities?: string[];
  classes?: string[];
}
export interface SeriesSaid {
  instances?: number;
}

/** A patient as shown: one local identity (issuer, id), or one study's where the id names nobody. */
@Entity('patient')
@Index('patient_grouped', { synchronize: false })
@Check('patient_basis_check', BASES)
@Unique('patient_patient_id_issuer_scope_key', ['patientId', 'issuer', 'scope'])
@Index('patient_name', ['nameAlphabetic'])
@Index('patient_person', ['person'])
@Index('patient_ideographic', { synchronize: false })
@Index('patient_phonetic', { synchronize: false })
export class PatientEntity {
  @identity('patient_pkey') id!: string;
  @text('scope') scope!: string;
  @text('patient_id') patientId!: string;
  @text('issuer') issuer!: string;
  @textOrEmpty('name_alphabetic') nameAlphabetic!: string;
  @textOrEmpty('name_ideographic') nameIdeographic!: string;
  @textOrEmpty('name_phonetic') namePhonetic!: string;
  @textOrEmpty('name_words') nameWords!: string;
  /** YYYYMMDD */
  @integer('birth_date', { nullable: true }) birthDate!: number | null;
  @textOrEmpty('sex') sex!: string;
  @json('attributes', { default: {} }) attributes!: KeptAttributes;
  /** What `attributes` are made of; the layers stand beside where there are both. */
  @words('basis', { default: 'held' }) basis!: 'held' | 'archive' | 'both';
  @json('held_attributes', { nullable: true }) heldAttributes!: KeptAttributes | null;
  @json('archive_attributes', { nullable: true }) archiveAttributes!: KeptAttributes | null;
  /** Tells effective values in `attributes` from what was said (docs/adr/0022). */
  @json('overlay', { nullable: true }) overlay!: RowOverlay | null;
  @integer('studies', { default: 0 }) studies!: number;
  @integer('series', { default: 0 }) series!: number;
  @integer('instances', { default: 0 }) instances!: number;
  @texts('labels') labels!: string[];
  /** Super-id (docs/adr/0019). */
  @text('person') person!: string;
  /** Row that shows it in its place; null: it shows itself. */
  @bigint('grouped', { nullable: true }) grouped!: string | null;
  /** Made to show several rows of one person. */
  @falseUnless('is_group') isGroup!: boolean;
}

/** A study as shown. `changed_xid` (xid8, for the change feed) and the generated `study_id` are not mapped. */
@Entity('study')
@Index('study_grouped', { synchronize: false })
@Check('study_basis_check', BASES)
@Unique('study_study_instance_uid_patient_key', ['studyInstanceUid', 'patientRow'])
@Index('study_order', ['sortDate', 'sortTime', 'studyInstanceUid', 'id'])
@Index('study_patient', ['patientRow'])
@Index('study_patient_id', ['patientId'])
@Index('study_person', ['person'])
@Index('study_name', ['nameAlphabetic'])
@Index('study_birth_date', ['birthDate'])
@Index('study_accession', { synchronize: false })
@Index('study_ideographic', { synchronize: false })
@Index('study_phonetic', { synchronize: false })
@Index('study_modalities', { synchronize: false })
@Index('study_name_trigrams', { synchronize: false })
@Index('study_words_trigrams', { synchronize: false })
export class StudyEntity {
  @identity('study_pkey') id!: string;
  @bigint('patient') patientRow!: string;
  @text('study_instance_uid') studyInstanceUid!: string;
  @text('patient_id') patientId!: string;
  @text('issuer') issuer!: string;
  @textOrEmpty('name_alphabetic') nameAlphabetic!: string;
  @textOrEmpty('name_ideographic') nameIdeographic!: string;
  @textOrEmpty('name_phonetic') namePhonetic!: string;
  @textOrEmpty('name_words') nameWords!: string;
  /** YYYYMMDD */
  @integer('birth_date', { nullable: true }) birthDate!: number | null;
  @textOrEmpty('sex') sex!: string;
  /** YYYYMMDD */
  @integer('study_date', { nullable: true }) studyDate!: number | null;
  /** Microseconds since midnight. */
  @bigint('study_time', { nullable: true }) studyTime!: string | null;
  @integer('sort_date', { default: 0 }) sortDate!: number;
  @bigint('sort_time', { default: 0 }) sortTime!: string;
  @textOrEmpty('accession_number') accessionNumber!: string;
  @texts('modalities') modalities!: string[];
  @texts('sop_classes') sopClasses!: string[];
  @json('attributes', { default: {} }) attributes!: KeptAttributes;
  /** What `attributes` are made of; the layers stand beside where there are both. */
  @words('basis', { default: 'held' }) basis!: 'held' | 'archive' | 'both';
  @json('held_attributes', { nullable: true }) heldAttributes!: KeptAttributes | null;
  @json('archive_attributes', { nullable: true }) archiveAttributes!: KeptAttributes | null;
  /** Tells effective values in `attributes` from what was said (docs/adr/0022). */
  @json('overlay', { nullable: true }) overlay!: RowOverlay | null;
  /** What archives claim of it; null where no archive has it. */
  @json('said', { nullable: true }) said!: StudySaid | null;
  @integer('series', { default: 0 }) series!: number;
  @integer('instances', { default: 0 }) instances!: number;
  @bigint('bytes', { default: 0 }) bytes!: string;
  @texts('labels') labels!: string[];
  /** Super-id (docs/adr/0019). */
  @text('person') person!: string;
  /** Its person has more than one row of `patient`. */
  @falseUnless('linked') linked!: boolean;
  /** Row that shows it in its place; null: it shows itself. */
  @bigint('grouped', { nullable: true }) grouped!: string | null;
  /** Made to show several rows of one person. */
  @falseUnless('is_group') isGroup!: boolean;
  @bigint('revision', { default: 0 }) revision!: string;
  @createdAt('changed_at') changedAt!: Date;
}

/** A series as shown. */
@Entity('series')
@Index('series_grouped', { synchronize: false })
@Index('series_shown_in', { synchronize: false })
@Check('series_basis_check', BASES)
@Unique('series_series_instance_uid_study_key', ['seriesInstanceUid', 'studyRow'])
@Index('series_order', ['studyRow', 'sortNumber', 'seriesInstanceUid', 'id'])
@Index('series_changed', ['changedAt'])
export class SeriesEntity {
  @identity('series_pkey') id!: string;
  @bigint('study') studyRow!: string;
  @text('series_instance_uid') seriesInstanceUid!: string;
  @textOrEmpty('modality') modality!: string;
  @integer('series_number', { nullable: true }) seriesNumber!: number | null;
  @integer('sort_number', { default: 2147483647 }) sortNumber!: number;
  @texts('sop_classes') sopClasses!: string[];
  @json('attributes', { default: {} }) attributes!: KeptAttributes;
  /** What `attributes` are made of; the layers stand beside where there are both. */
  @words('basis', { default: 'held' }) basis!: 'held' | 'archive' | 'both';
  @json('held_attributes', { nullable: true }) heldAttributes!: KeptAttributes | null;
  @json('archive_attributes', { nullable: true }) archiveAttributes!: KeptAttributes | null;
  /** Tells effective values in `attributes` from what was said (docs/adr/0022). */
  @json('overlay', { nullable: true }) overlay!: RowOverlay | null;
  /** What archives claim of it; null where no archive has it. */
  @json('said', { nullable: true }) said!: SeriesSaid | null;
  @integer('instances', { default: 0 }) instances!: number;
  @bigint('bytes', { default: 0 }) bytes!: string;
  @texts('labels') labels!: string[];
  /** Row that shows it in its place; null: it shows itself. */
  @bigint('grouped', { nullable: true }) grouped!: string | null;
  /** Made to show several rows of one person. */
  @falseUnless('is_group') isGroup!: boolean;
  @bigint('revision', { default: 0 }) revision!: string;
  @createdAt('changed_at') changedAt!: Date;
}
