/** One access to a study, as the retrieval broker sees it. */
export interface Access {
  /** Seconds on any clock that does not run backwards; an earlier value than the last one counts as the last one. */
  time: number;
  /** Size of the whole study as far as it is known, in bytes. */
  bytes: number;
  /** What fetching the study from its archive costs, in milliseconds (measured or estimated). */
  fetchMs: number;
}

export interface Decision {
  /** Whether the study was in the cache when it was asked for. */
  hit: boolean;
  /** Whether the study is in the cache now. After a miss: whether what is fetched is to be kept. */
  admit: boolean;
  /** Studies that leave the cache now, to make room. */
  evict: string[];
}

/** What the simulator runs: our policy and those it is compared with. */
export interface OnlinePolicy {
  readonly name: string;
  readonly usedBytes: number;
  access(study: string, access: Access): Decision;
}

/** What a hit is worth: each the same, its bytes, or the time that fetching would have taken. */
export type Objective = 'objects' | 'bytes' | 'fetch-time';
