import { DifferenceEntity, PixelComparisonEntity, SeriesMetadataEntity, TombstoneEntity } from './decisions';
import { IdentityAssignmentEntity, IdentityStudyAssignmentEntity } from './identity';
import { PackEntity, PackEntryEntity, PackLocationEntity, SourceEntity } from './packs';
import { PatientEntity, SeriesEntity, StudyEntity } from './presentation';
import { SourceInstanceEntity, SourceSeriesEntity, SourceStudyEntity } from './sources';

export { DifferenceEntity, PixelComparisonEntity, SeriesMetadataEntity, TombstoneEntity } from './decisions';
export { IdentityAssignmentEntity, IdentityStudyAssignmentEntity } from './identity';
export { PackEntity, PackEntryEntity, PackLocationEntity, SourceEntity } from './packs';
export { PatientEntity, SeriesEntity, StudyEntity, type SeriesSaid, type StudySaid } from './presentation';
export { SourceInstanceEntity, SourceSeriesEntity, SourceStudyEntity, type SourceState } from './sources';

/**
 * The schema's typed face, for reading. Migrations make the tables, never these; a test holds both equal. `instance` is
 * left out: it is partitioned, which TypeORM does not know.
 */
export const CATALOG_ENTITIES = [
  SourceEntity,
  PackEntity,
  PackLocationEntity,
  PackEntryEntity,
  SourceStudyEntity,
  SourceSeriesEntity,
  SourceInstanceEntity,
  IdentityAssignmentEntity,
  IdentityStudyAssignmentEntity,
  PatientEntity,
  StudyEntity,
  SeriesEntity,
  DifferenceEntity,
  PixelComparisonEntity,
  TombstoneEntity,
  SeriesMetadataEntity,
];
