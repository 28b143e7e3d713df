import type { DecodedFrame, PixelAttributes, PixelErrorCode, PixelLimits } from './api';

/** Messages between the pool and its threads. */
export interface PoolTask {
  id: number;
  op: 'decode' | 'encode';
  transferSyntaxUid: string;
  attributes: PixelAttributes;
  data: Uint8Array;
  limits: PixelLimits;
}

export type PoolReply =
  | { id: number; ok: true; data: Uint8Array; frame?: Omit<DecodedFrame, 'data'> }
  | { id: number; ok: false; code: PixelErrorCode; message: string };

/** What a thread is started with. */
export interface WorkerData {
  codecMemoryBytes: number;
}
