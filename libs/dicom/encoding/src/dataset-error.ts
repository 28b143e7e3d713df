/** Why bytes cannot be (or are refused as) a dataset; stable, may go to logs and to a protocol answer. */
export type DatasetErrorCode =
  | 'truncated'
  | 'invalid-vr'
  | 'invalid-tag'
  | 'invalid-length'
  | 'value-past-container'
  | 'unexpected-item'
  | 'missing-item'
  | 'too-deep'
  | 'header-too-large'
  | 'too-many-fragments'
  | 'inflate-failed'
  | 'inflate-limit'
  | 'not-dicom'
  | 'not-native'
  | 'not-encodable';

/** A dataset that is refused. Its message never holds a value of the dataset. `offset` counts dataset bytes. */
export class DatasetError extends Error {
  override readonly name = 'DatasetError';

  constructor(
    readonly code: DatasetErrorCode,
    readonly tag: number,
    readonly offset: number,
    detail = '',
  ) {
    const hex = (tag >>> 0).toString(16).toUpperCase().padStart(8, '0');
    super(`${code} at (${hex.slice(0, 4)},${hex.slice(4)}), byte ${offset}${detail && `: ${detail}`}`);
  }
}
