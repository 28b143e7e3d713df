import type { ArchiveTaskOrder, StudyScopeV1 } from '@archipelago/contracts';

export type StepKind = Exclude<ArchiveTaskOrder['kind'], 'probe' | 'live'>;
export type StepScope = StudyScopeV1 & { studies?: string[] };

export interface RunRow {
  id: string;
  archive: string;
  purpose: 'load' | 'incremental' | 'audit';
  full_audit: boolean;
  scope_from: string | null;
  started_at: Date;
  finished_at: Date | null;
  /** windows, undated, series, images, end, verify: what is planned next. */
  phase: string;
  frontier: string | null;
  step_days: number;
  cursor: string;
  failed: number;
}

export interface StepRow {
  id: string;
  archive: string;
  run: string | null;
  kind: StepKind;
  scope: StepScope;
  state: 'open' | 'read' | 'done' | 'split' | 'stuck';
  attempts: number;
  rewrite: boolean;
  /** Somebody named its studies: before all else. */
  asked: boolean;
  job_id: string | null;
  edge_id: string | null;
}

export interface StudyRow {
  study_uid: string;
  study_date: string | null;
  digest: string;
  level: number;
  /** [series uid, digest, images said] */
  series: [string, string, number | null][] | null;
  sop_classes: string[];
  instances: number | null;
  step: string | null;
  batch: string | null;
}

export interface StatusRow {
  as_of: Date | null;
  complete_to: string;
  cap: number | null;
  proven: number;
  max_seen: number;
  cap_checked_at: Date | null;
  wanted: { harvest?: boolean; again?: boolean; audit?: 'full' | 'sample'; studies?: string[] };
}

/** What changed in an archive, found by comparing an answer with what was known. */
export interface Changes {
  level: 'study' | 'series' | 'image';
  compared: number;
  appeared: string[];
  changed: string[];
  vanished: string[];
}
