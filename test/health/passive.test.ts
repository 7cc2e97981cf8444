/** Passive checks: what connections' ends come to, and how the monitor acts on it. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { PassiveCheck } from '../../src/health/model.js';
import {
  eject,
  mostOut,
  observe,
  type PassiveState,
  passiveState,
} from '../../src/health/passive.js';
import { monitorWith } from './monitor-bench.js';
import { modelWith, SERVICE, serverName } from './support.js';

const CHECK: PassiveCheck = {
  failures: 3,
  ratio: undefined,
  windowMs: 10_000,
  minimum: 10,
  ejectionMs: 30_000,
  maxEjectionMs: 100_000,
  maxEjected: 50,
};

/** Seconds, each with its answered, refused and unanswered connections; the second of the ejection. */
type Second = [answered: number, refused: number, unanswered: number];
const steady = (count: number, second: Second): Second[] =>
  Array.from({ length: count }, () => second);
const TABLE: [
  it: string,
  check: Partial<PassiveCheck>,
  seconds: Second[],
  at: number | undefined,
][] = [
  ['nothing happens', {}, steady(20, [0, 0, 0]), undefined],
  ['all is well', {}, steady(20, [100, 0, 0]), undefined],
  [
    'as many refused as are allowed',
    {},
    [
      [5, 0, 0],
      [0, 2, 0],
    ],
    undefined,
  ],
  [
    'one more',
    {},
    [
      [5, 0, 0],
      [0, 2, 0],
      [0, 1, 0],
    ],
    2,
  ],
  [
    'refused and unanswered count alike',
    {},
    [
      [0, 1, 0],
      [0, 0, 1],
      [0, 1, 0],
    ],
    2,
  ],
  [
    'an answer in between begins anew',
    {},
    [
      [0, 2, 0],
      [1, 0, 0],
      [0, 2, 0],
    ],
    undefined,
  ],
  ['failures and answers mixed are none in a row', {}, steady(20, [1, 50, 0]), undefined],
  ['with a ratio they are too many', { ratio: 90 }, steady(20, [1, 50, 0]), 0],
  ['a ratio that is just reached', { ratio: 50 }, steady(9, [1, 1, 0]), 4],
  ['or not', { ratio: 51 }, steady(20, [1, 1, 0]), undefined],
  ['too few to judge a ratio', { ratio: 10, minimum: 100 }, steady(20, [3, 2, 0]), undefined],
  [
    'what is older than the window is forgotten',
    { ratio: 50 },
    [[0, 2, 0], ...steady(12, [0, 0, 0]), [9, 0, 0]],
    undefined,
  ],
];

function run(check: PassiveCheck, seconds: Second[], state = passiveState(), from = 0) {
  const total = { ...(state.seen ?? { answered: 0, refused: 0, unanswered: 0 }) };
  state = observe(check, state, { ...total }, from).state;
  for (const [index, [answered, refused, unanswered]] of seconds.entries()) {
    total.answered += answered;
    total.refused += refused;
    total.unanswered += unanswered;
    const seen = observe(check, state, { ...total }, from + index * 1_000);
    state = seen.state;
    if (seen.verdict) return { at: index, verdict: seen.verdict, state };
  }
  return { at: undefined, verdict: undefined, state };
}

for (const [it, more, seconds, at] of TABLE) {
  test(it, () => {
    const seen = run({ ...CHECK, ...more }, seconds);
    assert.is(seen.at, at);
    if (at !== undefined) assert.is(seen.verdict?.wants, 'ejection');
  });
}

test('out for its time, back on probation, out for twice as long, up to the most', () => {
  let state = eject(CHECK, passiveState(), 0);
  const lengths: number[] = [];
  let now = 0;
  for (let round = 0; round < 4; round++) {
    const until = state.untilMs as number;
    lengths.push((until - now) / 1_000);
    const figures = state.seen ?? { answered: 0, refused: 0, unanswered: 0 };
    assert.is(observe(CHECK, state, figures, until - 1).verdict, undefined);
    const back = observe(CHECK, state, figures, until);
    assert.is(back.verdict?.wants, 'return');
    const again = { ...figures, refused: figures.refused + 1 };
    const failed = observe(CHECK, back.state, again, until + 1_000);
    assert.is(failed.verdict?.wants, 'ejection', 'one failure is enough');
    now = until + 1_000;
    state = eject(CHECK, failed.state, now);
  }
  assert.equal(lengths, [30, 60, 100, 100]);
});

test('an answer ends the probation; being well for a while shortens the next ejection', () => {
  const once = eject(CHECK, passiveState(), 0);
  const figures = { answered: 0, refused: 0, unanswered: 0 };
  const back = observe(CHECK, once, figures, 30_000).state;
  const well = observe(CHECK, back, { ...figures, answered: 1 }, 31_000).state;
  assert.is(run(CHECK, [[0, 2, 0]], well, 32_000).verdict, undefined);
  assert.is(eject(CHECK, well, 40_000).untilMs, 40_000 + 60_000);
  assert.is(eject(CHECK, well, 30_000 + 100_000).untilMs, 130_000 + 30_000);
});

test('counters of another owner, and a clock that was set back', () => {
  const seen = { answered: 5, refused: 9, unanswered: 9 };
  const state: PassiveState = { ...passiveState(), seen };
  assert.is(
    observe(CHECK, state, { answered: 0, refused: 0, unanswered: 0 }, 0).verdict,
    undefined,
  );
  const out = eject(CHECK, state, 1e12);
  assert.is(observe(CHECK, out, seen, 1e12 - 1e9).verdict?.wants, 'return');
});

test('how many may be out', () => {
  const most = (servers: number, maxEjected: number) => mostOut({ ...CHECK, maxEjected }, servers);
  assert.equal(
    [most(1, 50), most(1, 100), most(2, 10), most(9, 50), most(9, 100)],
    [0, 1, 1, 4, 9],
  );
});

/** A monitor of `n` servers with passive checks alone; figures as the test sets them. */
function place(n: number, check: Partial<PassiveCheck> = {}, health = {}, server = {}) {
  const bench = monitorWith();
  const passive = { ...CHECK, ...check };
  bench.monitor.update(
    modelWith(
      Array.from({ length: n }, () => []),
      health,
      { passive, ...server },
    ),
  );
  const figures = new Map(
    Array.from({ length: n }, (_, i) => [
      serverName(i + 1),
      { answered: 0, refused: 0, unanswered: 0 },
    ]),
  );
  let now = 1e12;
  const look = (ms = 1_000) => {
    now += ms;
    bench.monitor.observe((key) => ({ ...(figures.get(key) as never as object) }) as never, now);
  };
  look();
  const fail = (server: number, count = 3) => {
    (figures.get(serverName(server)) as { refused: number }).refused += count;
  };
  const up = (server: number) => bench.monitor.health().servers.get(serverName(server))?.up;
  return { ...bench, look, fail, up };
}

test('the monitor: out and back, told once each, without any active check', async () => {
  const { monitor, look, fail, up, log, changes, world } = place(2);
  fail(1);
  look();
  await world.pass(10);
  assert.equal([up(1), up(2), changes()], [false, true, 1]);
  assert.equal(monitor.checksOf(serverName(1)), [
    {
      type: 'PASSIVE_CHECK',
      up: false,
      detail: '3 connections in a row refused or unanswered',
    },
  ]);
  look(29_000);
  assert.is(up(1), false);
  look(1_000);
  assert.is(up(1), true);
  assert.equal(await log(), [
    'warn: PASSIVE_CHECK on service [198.51.100.11]:tcp:80 failed: 3 connections in a row refused or unanswered; out for 30 s.',
    'Removing service [198.51.100.11]:tcp:80 from VS [203.0.113.10]:tcp:80',
    'PASSIVE_CHECK on service [198.51.100.11]:tcp:80 success (its time is over).',
    'Adding service [198.51.100.11]:tcp:80 to VS [203.0.113.10]:tcp:80',
  ]);
});

test('no more than maxEjected are out, and the log says who should be', async () => {
  const { look, fail, up, log } = place(3);
  for (const server of [1, 2, 3]) fail(server);
  look();
  look();
  assert.equal([up(1), up(2), up(3)], [false, true, true]);
  const kept = (await log()).filter((line) => line.includes('ERR_PASSIVE_LIMIT'));
  assert.is(kept.length, 2);
  assert.match(kept[0] as string, /\[198\.51\.100\.12\].*it is kept, as 1 of 3 servers are out/);
});

test('all out: the quorum is lost as by active checks', () => {
  const { monitor, look, fail } = place(2, { maxEjected: 100 });
  for (const server of [1, 2]) fail(server);
  look();
  assert.equal([...monitor.health().lost], [SERVICE]);
});

test('an ejection is resumed by another monitor; without the setting it is over', () => {
  const { monitor, look, fail } = place(2);
  fail(1);
  look();
  const state = JSON.parse(JSON.stringify(monitor.state()));
  const next = monitorWith(state).monitor;
  next.update(modelWith([[], []], {}, { passive: CHECK }));
  assert.is(next.health().servers.get(serverName(1))?.up, false);
  next.update(modelWith([[], []]));
  assert.is(next.health().servers.get(serverName(1))?.up, true);
  assert.equal(next.checksOf(serverName(1)), []);
});

test.run();
