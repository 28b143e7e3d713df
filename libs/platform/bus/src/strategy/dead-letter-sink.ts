/** Injection token of the sink; `BusStoreModule` provides it. A process that handles events must have one. */
export const DEAD_LETTER_SINK = Symbol('dead-letter-sink');

export interface NewDeadLetter {
  consumer: string;
  stream: string;
  streamSequence: number;
  subject: string;
  /** The message as it came. */
  data: Uint8Array;
  deliveries: number;
  kind: 'transient' | 'permanent' | 'bug';
  code: string;
  reason: string;
}

export interface DeadLetterSink {
  /** Resolves when the row is committed: only then the message may be terminated. */
  store(letter: NewDeadLetter): Promise<void>;
}
