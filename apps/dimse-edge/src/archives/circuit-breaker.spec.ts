import { CircuitBreaker } from './circuit-breaker';

let now = 0;
const make = (): CircuitBreaker =>
  new CircuitBreaker({ failures: 3, pauseMs: 1_000, maxPauseMs: 3_000, now: () => now, random: () => 0.5 });

beforeEach(() => (now = 0));

function open(breaker: CircuitBreaker): void {
  for (let i = 0; i < 3; i++) {
    expect(breaker.enter()).toBe(true);
    breaker.failed();
  }
}

test('opens after failures in a row, not after as many with a success between', () => {
  const breaker = make();
  breaker.failed();
  breaker.failed();
  breaker.succeeded();
  breaker.failed();
  breaker.failed();
  expect(breaker.state).toBe('closed');
  breaker.failed();
  expect(breaker.state).toBe('open');
  expect(breaker.enter()).toBe(false);
});

test('half open lets one through; its success closes it', () => {
  const breaker = make();
  open(breaker);
  now = 999;
  expect(breaker.enter()).toBe(false);
  now = 1_000;
  expect([breaker.enter(), breaker.enter()]).toEqual([true, false]);
  breaker.succeeded();
  expect([breaker.state, breaker.enter(), breaker.enter()]).toEqual(['closed', true, true]);
});

test('a failed trial doubles the pause up to its bound, and one that says nothing lets the next try', () => {
  const breaker = make();
  open(breaker);
  for (const pause of [2_000, 3_000, 3_000]) {
    now += breaker.waitMs;
    expect(breaker.enter()).toBe(true);
    breaker.failed();
    expect(breaker.waitMs).toBe(pause);
  }
  now += 3_000;
  expect(breaker.enter()).toBe(true);
  breaker.undecided();
  expect(breaker.enter()).toBe(true);
});

test('late failures of what began before do not prolong the pause', () => {
  const breaker = make();
  open(breaker);
  now = 500;
  breaker.failed();
  expect(breaker.waitMs).toBe(500);
});
