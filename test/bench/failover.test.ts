// timeout: 120
// The scenario at its smallest: that a kill is measured, every connection is accounted for, and
// nothing is left. Nothing is said about time.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { BenchError } from '../../bench/errors.js';
import { outage, runCourse } from '../../bench/failover/course.js';
import { type FailoverResult, failover } from '../../bench/scenarios/failover.js';
import { ALL_MODES } from '../../src/lab/five-modes.js';
import { skip } from '../support/skip.js';

const chosen = (filters: Parameters<typeof failover.cases>[0]) =>
  failover.cases(filters, false).map(failover.describe);

test('each mode at each advert interval, and keepalived beside them', () => {
  const all = chosen({});
  assert.is(all.length, 3 * ALL_MODES.length + 3);
  assert.ok(all.includes('sluice tun, 100 ms'));
  assert.ok(all.includes('keepalived vip, 1000 ms'));
  assert.equal(chosen({ mode: ['nat'], advert: ['10'] }), [
    'sluice nat, 10 ms',
    'keepalived vip, 10 ms',
  ]);
  assert.equal(chosen({ contestant: ['keepalived'], advert: ['50'] }), ['keepalived vip, 50 ms']);
});

test('modes of one interval share their pair of directors; one holds ten thousand', () => {
  const [first, ...others] = failover.cases({ contestant: ['sluice'], advert: ['10'] }, false);
  for (const other of others) assert.is(other.course, first!.course);
  assert.is(first!.course.connections.fullnat, 10_000);
  const [long] = failover.cases({ contestant: ['sluice'], advert: ['10'] }, true);
  for (const mode of ALL_MODES) assert.is(long!.course.connections[mode], 10_000);
  assert.is(long!.course.loadSeconds, 600);
});

test('an unknown value is refused with the choice', () => {
  const refused: [Parameters<typeof failover.cases>[0], RegExp][] = [
    [{ mode: ['snat'] }, /--mode snat: nat, dr, tun, fullnat, enat/],
    [{ advert: ['15'] }, /--advert 15: milliseconds, tens/],
    [{ contestant: ['ucarp'] }, /--contestant ucarp: sluice, keepalived/],
  ];
  for (const [filters, message] of refused) {
    try {
      failover.cases(filters, false);
      assert.unreachable();
    } catch (error) {
      assert.is((error as BenchError).code, 'ERR_BENCH_ARGUMENT');
      assert.match((error as Error).message, message);
    }
  }
});

const MS = 1e6;

test('an outage lasts from the cut to the first answer after the first silence', () => {
  for (const [what, probes, ms] of [
    [
      'answered by the new one',
      [
        [8, 8.1],
        [10, null],
        [12, null],
        [14, 14.5],
      ],
      5.5,
    ],
    [
      'the old one still answers a probe that is on its way',
      [
        [9, 9.2],
        [10, 10.1],
        [12, null],
        [14, 14.5],
      ],
      5.5,
    ],
    [
      'never again',
      [
        [8, 8.1],
        [10, null],
        [12, null],
      ],
      undefined,
    ],
    [
      'no silence',
      [
        [8, 8.1],
        [10, 10.1],
        [12, 12.1],
      ],
      0,
    ],
    [
      'a silence before the cut does not count',
      [
        [6, null],
        [8, 8.1],
        [10, null],
        [12, 13],
      ],
      4,
    ],
  ] as const) {
    const of = probes.map(([sent, got]): [number, number | null] => [
      sent * MS,
      got === null ? null : got * MS,
    ]);
    assert.is(outage(of, 9 * MS), ms, what);
  }
});

const RESULT: FailoverResult = {
  scenario: 'failover',
  director: 'sluice',
  mode: 'nat',
  advertMs: 10,
  takeoverMs: 28.1,
  worstMs: 33.3,
  kills: 5,
  probeMs: 2,
  connections: 10_000,
  survived: 9_998,
  falseTakeovers: 0,
  loadSeconds: 20,
  requestsPerSecond: 30_000,
};

test('the report shows both directors, and the targets the slowest mode', () => {
  const keepalived: FailoverResult = {
    ...RESULT,
    director: 'keepalived',
    mode: 'vip',
    takeoverMs: 41,
    connections: null,
    survived: null,
  };
  const results = {
    environment: { commit: 'c', date: 'd', cpu: 'e', cores: 2, kernel: 'k', hugepages: 0 },
    selection: 'usual' as const,
    cases: [
      RESULT,
      { ...RESULT, mode: 'dr' as const, takeoverMs: 30, survived: 10_000 },
      keepalived,
    ].map((result) => ({ result, circumstances: {} })),
  };
  const { markdown } = failover.report(results);
  assert.match(
    markdown,
    /\| Sluice nat \| 10 ms \| \*\*28\.1\*\* \(5, worst 33\.3\) \| 9 998 of 10 000 \|/,
  );
  assert.match(
    markdown,
    /\| keepalived, VIP only \| 10 ms \| \*\*41\*\* \(5, worst 33\.3\) \| – \|/,
  );
  assert.equal(failover.figures?.(results).failover, {
    'ms at 10 ms': { value: 30, note: 'dr' },
    'false takeovers': { value: 0, note: 'in 20 s' },
    'connections lost': { value: 2, note: 'of 20 000' },
  });
});

if (process.getuid?.() !== 0) {
  skip('failover in the lab', 'network namespaces need root');
} else {
  test('a kill in all modes: every connection goes on', async () => {
    const connections = Object.fromEntries(ALL_MODES.map((mode) => [mode, 20]));
    const of = { director: 'sluice', advertMs: 100, modes: ALL_MODES, connections } as const;
    const readings = await runCourse({ ...of, kills: 1, loadSeconds: 1 });
    assert.equal(readings.survived, connections);
    assert.equal(Object.keys(readings.takeoverMs), [...ALL_MODES]);
    for (const [ms] of Object.values(readings.takeoverMs)) assert.ok((ms ?? 0) > 0);
    assert.ok(readings.requestsPerSecond > 0);
  });
}

test.run();
