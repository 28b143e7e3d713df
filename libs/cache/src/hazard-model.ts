/** Ends of the intervals after an observation, in ticks, for which a hazard is learnt; each four times the last. */
export const HORIZONS = [32, 128, 512, 2048, 8192, 32768, 131072, 524288];
export const INTERVALS = HORIZONS.length;
/** Weights of one feature value: one for each interval, and one shared by all. */
const STRIDE = INTERVALS + 1;

const RATE = 0.05;
/** Sum of squared gradients that a weight starts with, and the most that it remembers: old traffic must not rule. */
const FIRST = 0.5;
const MOST = 400;
const LIMIT = 8;

/**
 * When will a study be used again? A discrete-time survival model with a complementary log-log link: in interval k the
 * expected number of uses is `rate × length × exp(Σ weights of the feature values)`, where `rate` is a first guess from
 * the study's own history. Weights start at 0, so an untrained model says what the guess says. Trained one observation
 * at a time by gradient ascent of the likelihood, step sizes by AdaGrad (Duchi, Hazan, Singer 2011).
 */
export class HazardModel {
  readonly weights: Float32Array;
  readonly squares: Float32Array;
  private readonly expected = new Float64Array(INTERVALS);

  constructor(values: number) {
    this.weights = new Float32Array(values * STRIDE);
    this.squares = new Float32Array(values * STRIDE).fill(FIRST);
  }

  /**
   * The best ratio of (chance of a use before a horizon) to (expected ticks that the study stays until it is used or the
   * horizon comes), over all horizons: what a tick of its presence earns, at best. Uses per tick.
   */
  index(features: Uint16Array, offset: number, count: number, rate: number): number {
    this.expect(features, offset, count, rate);
    let survives = 1;
    let stays = 0;
    let best = 0;
    let begin = 0;
    for (let k = 0; k < INTERVALS; k++) {
      const length = HORIZONS[k]! - begin;
      begin = HORIZONS[k]!;
      const expected = this.expected[k]!;
      const after = survives * Math.exp(-expected);
      stays += expected > 1e-9 ? (length * (survives - after)) / expected : length * survives;
      survives = after;
      const earns = (1 - survives) / stays;
      if (earns > best) best = earns;
      if (survives < 1e-4) break;
    }
    return best;
  }

  private expect(features: Uint16Array, offset: number, count: number, rate: number): void {
    const { weights, expected } = this;
    expected.fill(0);
    let shared = 0;
    for (let f = 0; f < count; f++) {
      const at = features[offset + f]! * STRIDE;
      for (let k = 0; k < INTERVALS; k++) expected[k]! += weights[at + k]!;
      shared += weights[at + INTERVALS]!;
    }
    let begin = 0;
    for (let k = 0; k < INTERVALS; k++) {
      expected[k] = bounded(rate * (HORIZONS[k]! - begin), expected[k]! + shared);
      begin = HORIZONS[k]!;
    }
  }

  /** Learns that a study which was not used before interval k was used in it, or was not. */
  learn(features: Uint16Array, offset: number, count: number, rate: number, k: number, used: boolean): void {
    const { weights, squares } = this;
    let sum = 0;
    for (let f = 0; f < count; f++) {
      const at = features[offset + f]! * STRIDE;
      sum += weights[at + k]! + weights[at + INTERVALS]!;
    }
    const expected = bounded(rate * (HORIZONS[k]! - (k > 0 ? HORIZONS[k - 1]! : 0)), sum);
    const gradient = used ? (expected > 1e-6 ? expected / Math.expm1(expected) : 1) : Math.max(-4, -expected);
    const square = gradient * gradient;
    for (let f = 0; f < count; f++) {
      const own = features[offset + f]! * STRIDE + k;
      const shared = features[offset + f]! * STRIDE + INTERVALS;
      const ownSum = Math.min(MOST, squares[own]! + square);
      const sharedSum = Math.min(MOST, squares[shared]! + square);
      squares[own] = ownSum;
      squares[shared] = sharedSum;
      weights[own]! += (RATE * gradient) / Math.sqrt(ownSum);
      weights[shared]! += (RATE * gradient) / Math.sqrt(sharedSum);
    }
  }
}

function bounded(uses: number, log: number): number {
  return Math.min(30, uses * Math.exp(Math.min(LIMIT, Math.max(-LIMIT, log))));
}
