/** CounterView: sums over workers, names, new owners of slots. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { CounterLayout } from '../../src/native.js';
import { CounterView } from '../../src/stats/counters.js';
import { Memory } from '../../src/supervisor/memory.js';

const SERVICE = ['conns', 'inPkts', 'outPkts', 'inBytes', 'outBytes'];
const layout: CounterLayout = {
  workers: 2,
  words: 64,
  ends: { offset: 0, stride: 3, count: 1, names: ['forwarded_nat', '', 'no_route'] },
  endInfo: [
    { kind: 'forwarded', help: 'sent' },
    { kind: 'dropped', help: 'unused' },
    { kind: 'dropped', help: 'no route' },
  ],
  extra: { offset: 4, stride: 1, count: 1, names: ['received'] },
  ports: { offset: 8, stride: 2, count: 2, names: ['rx', 'tx'] },
  services: { offset: 16, stride: 8, count: 2, names: [...SERVICE, '', '', ''] },
  servers: {
    offset: 32,
    stride: 8,
    count: 2,
    names: [...SERVICE, 'active', 'inactive', ''],
  },
  handshakes: { offset: 48, stride: 4, count: 2, names: ['answered', 'refused', 'unanswered', ''] },
};

function workers(): { words: BigUint64Array; view: CounterView } {
  const words = new BigUint64Array(new SharedArrayBuffer(2 * 64 * 8));
  return { words, view: new CounterView(layout, () => words) };
}

test('figures are sums over workers, by name', () => {
  const { words, view } = workers();
  words[0] = 5n;
  words[64] = 7n;
  words[66] = 1n;
  words[4] = 6n;
  words[68] = 7n;
  words[10] = 1n; // port 1, worker 0
  words[64 + 11] = 2n;
  assert.equal(view.ends(), [
    { name: 'forwarded_nat', kind: 'forwarded', help: 'sent', count: 12 },
    { name: 'no_route', kind: 'dropped', help: 'no route', count: 1 },
  ]);
  assert.equal(view.extra(), { received: 13 });
  assert.equal(view.port(0), { rx: 0, tx: 0 });
  assert.equal(view.port(1), { rx: 1, tx: 2 });
});

test('handshakes by slot; a new owner counts from zero', () => {
  const { words, view } = workers();
  words[48 + 4] = 3n;
  words[64 + 48 + 4] = 4n;
  words[48 + 6] = 1n;
  assert.equal(view.handshakes(1), { answered: 7, refused: 0, unanswered: 1 });
  view.rebase({ services: [], servers: [1] });
  words[48 + 5] = 2n;
  assert.equal(view.handshakes(1), { answered: 0, refused: 2, unanswered: 0 });
});

test('services and servers by slot', () => {
  const { words, view } = workers();
  for (let word = 0; word < 5; word++) words[16 + 8 + word] = BigInt(word + 1);
  words[64 + 16 + 8] = 10n;
  for (let word = 0; word < 7; word++) words[32 + word] = BigInt(100 + word);
  assert.equal(view.service(0), { conns: 0, inPkts: 0, outPkts: 0, inBytes: 0, outBytes: 0 });
  assert.equal(view.service(1), { conns: 11, inPkts: 2, outPkts: 3, inBytes: 4, outBytes: 5 });
  assert.equal(view.server(0), {
    conns: 100,
    inPkts: 101,
    outPkts: 102,
    inBytes: 103,
    outBytes: 104,
    active: 105,
    inactive: 106,
  });
});

test('servers with connections of any worker are busy', () => {
  const { words, view } = workers();
  assert.equal(view.busyServers([0, 1]), new Set());
  words[32 + 8 + 6] = 1n;
  assert.equal(view.busyServers([0, 1]), new Set([1]));
  words[64 + 32 + 5] = 1n;
  assert.equal(view.busyServers([0, 1]), new Set([0, 1]));
});

test("a slot's new owner counts from zero, but has what there is now", () => {
  const { words, view } = workers();
  words[32] = 40n; // conns
  words[64 + 32] = 2n;
  words[32 + 5] = 3n; // active
  words[16] = 9n;
  view.rebase({ services: [0], servers: [0] });
  assert.is(view.server(0).conns, 0);
  assert.is(view.server(0).active, 3);
  assert.is(view.service(0).conns, 0);
  words[64 + 32] = 5n;
  words[16] = 10n;
  assert.is(view.server(0).conns, 3);
  assert.is(view.service(0).conns, 1);
});

test('one figure is read as all of them are; wide ones keep what digits a number has', () => {
  const { words, view } = workers();
  const conns = view.reader('servers', 'conns');
  const bytes = view.reader('servers', 'inBytes');
  words[32 + 8] = 2n ** 32n + 7n;
  words[64 + 32 + 8] = 2n ** 40n;
  assert.is(conns(1), 2 ** 40 + 2 ** 32 + 7);
  assert.is(conns(1), view.server(1).conns);
  words[32 + 8 + 3] = 2n ** 60n + 5n;
  assert.is(bytes(1), Number(2n ** 60n + 5n));
  // What is taken off is wide, what is left is not.
  view.rebase({ services: [], servers: [1] });
  words[32 + 8 + 3] = 2n ** 60n + 14n;
  assert.is(bytes(1), 9);
  // Counted by another process before this one: more than nothing is taken off.
  const total = { conns: 2n ** 63n, inPkts: 3n, outPkts: 0n, inBytes: 1n, outBytes: 0n };
  const slots = { services: new Map(), servers: new Map([['s', { slot: 1, live: true }]]) };
  view.goOnFrom({ services: {}, servers: { s: total } }, slots);
  assert.is(view.server(1).inPkts, 3);
  assert.is(bytes(1), 10);
  assert.is(conns(1), 2 ** 63);
});

test('what stands at zero needs nothing remembered; what another control plane knew goes on', () => {
  const { words, view: first } = workers();
  const memory = new Memory();
  const kept = memory.of<bigint[]>('counters.bases');
  const view = new CounterView(first.layout, () => words, memory);
  view.rebase({ services: [0, 1], servers: [0, 1] });
  assert.is([...kept.entries()].length, 0);
  words[32] = 40n;
  view.rebase({ services: [0, 1], servers: [0, 1] });
  assert.equal(
    [...kept.entries()].map(([key]) => key),
    ['32:0'],
  );
  words[32] = 43n;
  const next = new CounterView(first.layout, () => words, memory);
  assert.equal([view.server(0).conns, next.server(0).conns], [3, 3]);
});

test('a read past the end of an older layout is zero, not an error', () => {
  const short = new CounterView(layout, () => new BigUint64Array(64));
  assert.is(short.server(1).conns, 0);
});

test.run();
