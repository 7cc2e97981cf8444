/** Alerts: what raises them, what ends them, and that each is told once. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  Alerts,
  type Change,
  DEFAULT_THRESHOLDS,
  loads,
  type Reading,
  type WorkerReading,
} from '../../src/alerts/alerts.js';

const worker = (more: Partial<WorkerReading> = {}): WorkerReading => ({
  connections: 0,
  received: 0,
  cycles: 0,
  busyCycles: 0,
  ports: { set: '198.51.100.200 towards TCP 198.51.100.11:8080', used: 0, all: 1000 },
  ...more,
});

const reading = (at: number, more: Partial<Reading> = {}): Reading => ({
  at,
  maxConnections: 1000,
  workers: [worker()],
  mbufs: 100,
  mbufsInUse: 0,
  lost: { punt_full: 0 },
  ...more,
});

const told = (changes: Change[]) =>
  changes.map(({ alert, begins }) => `${begins ? '+' : '-'} ${alert.code} ${alert.of}`.trim());

const over = (alerts: Alerts, at: number, more: Partial<Reading>) =>
  told(alerts.take(reading(at, more), DEFAULT_THRESHOLDS));

test('a table that fills: told once, also while it wavers, and again when it has been empty', () => {
  const alerts = new Alerts();
  let now = 0;
  const at_ = (connections: number) => {
    now += 1000;
    return over(alerts, now, { workers: [worker({ connections })] });
  };
  assert.equal(at_(899), []);
  assert.equal(at_(900), ['+ WARN_TABLE_NEARLY_FULL worker 0']);
  assert.equal(at_(1000), []);
  assert.equal(at_(880), []);
  assert.equal(at_(905), []);
  assert.equal(alerts.raised.length, 1);
  assert.match(alerts.raised[0]?.message ?? '', /worker 0 is 90 % full: 905 of 1000$/);
  assert.equal(at_(809), ['- WARN_TABLE_NEARLY_FULL worker 0']);
  assert.equal(alerts.raised, []);
  assert.equal(at_(900), ['+ WARN_TABLE_NEARLY_FULL worker 0']);
});

test('local ports: the fullest set is named', () => {
  const alerts = new Alerts();
  const set = '198.51.100.200 towards TCP 198.51.100.11:8080';
  const workers = [worker(), worker({ ports: { set, used: 950, all: 1000 } })];
  assert.equal(over(alerts, 0, { workers }), ['+ WARN_LOCAL_PORTS_NEARLY_USED worker 1']);
  assert.is(
    alerts.raised[0]?.message,
    `local ports of worker 1 are 95 % used: 950 of 1000, ${set}`,
  );
});

test('packet buffers', () => {
  assert.equal(over(new Alerts(), 0, { mbufsInUse: 90 }), ['+ WARN_MBUFS_NEARLY_USED']);
});

test('rings: what is lost now, not what was lost before anybody looked', () => {
  const alerts = new Alerts();
  assert.equal(over(alerts, 0, { lost: { punt_full: 500 } }), []);
  assert.equal(over(alerts, 1000, { lost: { punt_full: 500 } }), []);
  assert.equal(over(alerts, 2000, { lost: { punt_full: 510 } }), [
    '+ WARN_RING_OVERFLOW punt_full',
  ]);
  assert.equal(over(alerts, 3000, { lost: { punt_full: 510 } }), [
    '- WARN_RING_OVERFLOW punt_full',
  ]);
});

test('load: the part of the time since the last look', () => {
  const alerts = new Alerts();
  const busy = (cycles: number, busyCycles: number) => ({
    workers: [worker({ cycles, busyCycles })],
  });
  assert.equal(over(alerts, 0, busy(1000, 1000)), []);
  assert.equal(over(alerts, 1000, busy(2000, 1900)), []);
  assert.equal(over(alerts, 2000, busy(3000, 2890)), ['+ WARN_WORKER_LOAD worker 0']);
  assert.equal(over(alerts, 3000, busy(4000, 2900)), ['- WARN_WORKER_LOAD worker 0']);
  assert.equal(loads(reading(1, busy(2000, 1500)), reading(0, busy(1000, 1000))), [50]);
  assert.equal(loads(reading(1, busy(1000, 0)), reading(0, busy(1000, 0))), [0]);
});

test('skew: against the others, and only where there is traffic', () => {
  const alerts = new Alerts();
  const got = (...received: number[]) => ({
    workers: received.map((n) => worker({ received: n })),
  });
  assert.equal(over(alerts, 0, got(0, 0, 0)), []);
  assert.equal(over(alerts, 1000, got(900, 10, 10)), [], 'too few to tell');
  assert.equal(over(alerts, 2000, got(100_900, 10_010, 10_010)), ['+ WARN_QUEUE_SKEW worker 0']);
  assert.equal(over(alerts, 3000, got(150_900, 60_010, 60_010)), ['- WARN_QUEUE_SKEW worker 0']);
  const alone = new Alerts();
  over(alone, 0, got(0));
  assert.equal(over(alone, 1000, got(1_000_000)), []);
});

test('0 switches an alert off, also one that is raised', () => {
  const alerts = new Alerts();
  const full = { workers: [worker({ connections: 1000 })] };
  assert.equal(over(alerts, 0, full), ['+ WARN_TABLE_NEARLY_FULL worker 0']);
  const off = { ...DEFAULT_THRESHOLDS, table: 0 };
  assert.equal(told(alerts.take(reading(1000, full), off)), ['- WARN_TABLE_NEARLY_FULL worker 0']);
  assert.equal(told(alerts.take(reading(2000, full), off)), []);
});

test.run();
