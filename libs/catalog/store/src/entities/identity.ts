import { Entity } from 'typeorm';
import { bigint, keyBigint, text } from './columns';

/** The person of a local identity, where identity-resolution decided on one. Written by that service only. */
@Entity('identity_assignment', {
  comment: 'written by identity-resolution only; read by ingest, which brings it into patient.person',
})
export class IdentityAssignmentEntity {
  @keyBigint('patient', 'identity_assignment_pkey') patientRow!: string;
  @text('person') person!: string;
  @bigint('revision') revision!: string;
}

/** The person of a single study, which goes before its patient's. */
@Entity('identity_study_assignment', {
  comment: "written by identity-resolution only; a study's own assignment goes before its patient's",
})
export class IdentityStudyAssignmentEntity {
  @keyBigint('study', 'identity_study_assignment_pkey') studyRow!: string;
  @text('person') person!: string;
  @bigint('revision') revision!: string;
}
