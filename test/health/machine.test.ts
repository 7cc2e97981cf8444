/** The verdict machine: what a row of results makes of a check, and of a quorum. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { advance, type CheckState, hasQuorum, initialState } from '../../src/health/machine.js';
import { TIMING } from './support.js';

interface Row {
  it: string;
  alpha?: boolean;
  retry?: number;
  steps?: number;
  fast?: boolean;
  /** `+` a success, `-` a failure. */
  results: string;
  /** After each result: U up, D down; capital where it has just changed. */
  states: string;
  /** L delay_loop, R delay_before_retry, 0 at once. */
  delays: string;
}

const ROWS: Row[] = [
  { it: 'a healthy server stays up', results: '+++', states: 'uuu', delays: 'LLL' },
  { it: 'one failure is retried', results: '-+', states: 'uu', delays: 'RL' },
  { it: 'a failure after the retries takes it out', results: '--', states: 'uD', delays: 'RL' },
  { it: 'no retry: out at once', retry: 0, results: '-', states: 'D', delays: 'L' },
  { it: 'three retries', retry: 3, results: '----', states: 'uuuD', delays: 'RRRL' },
  { it: 'a success forgets failures', retry: 1, results: '-+-+', states: 'uuuu', delays: 'RLRL' },
  { it: 'out, it is asked at the slow pace', results: '-----', states: 'uDddd', delays: 'RLLLL' },
  { it: 'one success brings it back', results: '--+', states: 'uDU', delays: 'RLL' },
  { it: 'alpha: down until it succeeds', alpha: true, results: '+', states: 'U', delays: 'L' },
  {
    it: 'alpha: first failures are retried without a change',
    alpha: true,
    results: '--+',
    states: 'ddU',
    delays: 'RLL',
  },
  {
    it: 'coming back takes every URL, at the slow pace',
    steps: 3,
    results: '--+++',
    states: 'uDddU',
    delays: 'RLLLL',
  },
  {
    it: 'or, with fast_recovery, at once',
    steps: 3,
    fast: true,
    results: '--+++',
    states: 'uDddU',
    delays: 'RL00L',
  },
  {
    it: 'a failure on the way back starts over',
    steps: 2,
    results: '--+-++',
    states: 'uDdddU',
    delays: 'RLLLLL',
  },
];

for (const row of ROWS) {
  test(row.it, () => {
    const timing = { ...TIMING, retry: row.retry ?? 1 };
    let state = initialState(row.alpha ?? false);
    let states = '';
    let delays = '';
    for (const result of row.results) {
      const turn = advance(timing, state, result === '+', row.steps, row.fast);
      state = turn.state;
      assert.is(turn.change === undefined || (turn.change === 'up') === state.up, true);
      const letter = state.up ? 'u' : 'd';
      states += turn.change ? letter.toUpperCase() : letter;
      delays += { [timing.delayLoopMs]: 'L', [timing.delayBeforeRetryMs]: 'R', 0: '0' }[
        turn.delayMs
      ];
    }
    assert.is(states, row.states);
    assert.is(delays, row.delays);
  });
}

test('whatever comes, a change is told exactly when the state changes', () => {
  fc.assert(
    fc.property(
      fc.array(fc.boolean(), { maxLength: 60 }),
      fc.nat(4),
      fc.integer({ min: 1, max: 4 }),
      fc.boolean(),
      (results, retry, steps, alpha) => {
        let state: CheckState = initialState(alpha);
        let failures = 0;
        for (const ok of results) {
          const before = state;
          const turn = advance({ ...TIMING, retry }, state, ok, steps);
          state = turn.state;
          failures = ok ? 0 : failures + 1;
          assert.is(turn.change, before.up === state.up ? undefined : state.up ? 'up' : 'down');
          if (failures > retry) assert.is(state.up, false);
          if (before.up && failures <= retry) assert.is(state.up, true);
        }
      },
    ),
  );
});

test('a quorum with hysteresis is gained later than it is lost', () => {
  const walk = (weights: number[]) => {
    let up: boolean | undefined;
    return weights.map((weight) => {
      up = hasQuorum(up, weight, 4, 1);
      return up;
    });
  };
  assert.equal(walk([4, 3, 2, 3, 4, 5, 4, 3]), [true, true, false, false, false, true, true, true]);
});

test.run();
