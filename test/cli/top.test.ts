/** `sluice top`: what two looks at a director make of a screen. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { figure, type Look, type Screen, screen } from '../../src/cli/top-screen.js';

const traffic = (n: number) => ({
  conns: n,
  inPkts: 10 * n,
  outPkts: 5 * n,
  inBytes: 1_000 * n,
  outBytes: 2_000 * n,
});
const server = (last: number, n: number, more: object = {}) => ({
  address: `198.51.100.${last}`,
  port: 8080,
  forward: 'FullNat',
  weight: 3,
  up: true,
  active: n,
  inactive: 1,
  ...traffic(n),
  ...more,
});
const service = (name: string, port: number, n: number, servers: object[]) => ({
  name,
  protocol: 'tcp',
  address: '203.0.113.10',
  port,
  scheduler: 'wlc',
  ...traffic(n),
  servers,
});

const look = (at: number, services: object[], dropped = 0): Look =>
  ({
    at,
    services,
    ports: [{ rxPackets: at, rxBytes: 100 * at, txPackets: 0, txBytes: 0 }],
    drops: {
      ends: [
        { name: 'table_full', kind: 'dropped', help: 'no room', count: dropped },
        { name: 'forwarded_nat', kind: 'forwarded', help: '', count: 9 * at },
      ],
      extra: {},
    },
    status: {
      name: 'd1',
      uptimeSeconds: 90_061,
      controlRestarts: 0,
      generation: 3,
      connections: 12,
      maxConnections: 1_000,
      workers: [{ cpu: 1, lagUs: 9, load: 37 }],
      alerts: [{ code: 'WARN_WORKER_LOAD', message: 'worker 0 is busy' }],
    },
  }) as unknown as Look;

const WIDE: Screen = { columns: 200, rows: 50, order: 'packets' };

test('rates are what happened between the looks, a second', () => {
  const before = look(1_000, [service('web', 80, 100, [server(11, 60), server(12, 40)])]);
  const after = look(3_000, [
    service('web', 80, 300, [server(11, 260), server(12, 40, { up: false })]),
  ]);
  assert.is(
    screen(before, after, WIDE),
    [
      'd1  up 1 d 01:01:01  generation 3  1 worker',
      'in 1.00K pkt/s 800Kbit/s   out 0 pkt/s 0bit/s   connections 12 of 1000',
      'busy 37 % (CPU 1)',
      'alert: worker 0 is busy [WARN_WORKER_LOAD]',
      '',
      'Service, server          How      Weight  Active  Inact  conn/s  in pkt/s  out pkt/s  in bit/s  out bit/s',
      'web tcp 203.0.113.10:80  wlc                                100     1.00K        500      800K      1.60M',
      '  198.51.100.11:8080     FullNat  3          260      1     100     1.00K        500      800K      1.60M',
      '  198.51.100.12:8080     FullNat  3 down      40      1       0         0          0         0          0',
    ].join('\n'),
  );
});

test('what is lost now is told, what was lost before is not', () => {
  const text = screen(look(0, [], 7), look(1_000, [], 7), WIDE);
  assert.not.match(text, /dropped/);
  const losing = screen(look(0, [], 7), look(1_000, [], 1_507), WIDE);
  assert.match(losing, /\ndropped 1\.50K pkt\/s {2}table_full: no room$/);
});

test('a service that is new, or whose counters were set back, has no rates yet', () => {
  const before = look(0, [service('web', 80, 100, [])]);
  const after = look(1_000, [service('web', 80, 1, []), service('new', 81, 50, [])]);
  for (const line of screen(before, after, WIDE).split('\n').slice(6)) {
    assert.match(line, /( +0){5}$/);
  }
});

test('busy services come first, or as asked', () => {
  const before = look(0, [service('a', 80, 0, []), service('b', 81, 0, [])]);
  const after = look(1_000, [service('a', 80, 1, []), service('b', 81, 9, [])]);
  const names = (order: Screen['order']) =>
    screen(before, after, { ...WIDE, order }).match(/^[ab](?= tcp)/gm);
  assert.equal(names('packets'), ['b', 'a']);
  assert.equal(names('connections'), ['b', 'a']);
  assert.equal(names('name'), ['a', 'b']);
});

test('a small terminal gets what fits, and is told of the rest', () => {
  const many = Array.from({ length: 30 }, (_, i) => server(i, 1));
  const text = screen(look(0, []), look(1_000, [service('web', 80, 9, many)], 5), {
    columns: 40,
    rows: 12,
    order: 'packets',
  });
  const lines = text.split('\n');
  assert.is(lines.length, 12);
  assert.ok(lines.every((line) => line.length <= 40));
  assert.is(lines[9], '… 28 more lines');
  assert.match(lines[11] ?? '', /^dropped/);
});

test('80 columns show every figure, both directions together, and names as far as they go', () => {
  const name = 'the-shop-of-the-north';
  const before = look(1_000, [service(name, 80, 100, [server(11, 60), server(12, 40)])]);
  const after = look(3_000, [
    service(name, 80, 300, [server(11, 260), server(12, 40, { up: false })]),
  ]);
  const text = screen(before, after, { columns: 80, rows: 24, order: 'packets' });
  assert.equal(text.split('\n').slice(5), [
    'Service, server                      Weight  Active  Inact  conn/s  pkt/s  bit/s',
    'the-shop-of-the-north tcp 203.0.11…                            100  1.50K  2.40M',
    '  198.51.100.11:8080                 3          260      1     100  1.50K  2.40M',
    '  198.51.100.12:8080                 3 down      40      1       0      0      0',
  ]);
  assert.ok(text.split('\n').every(({ length }) => length <= 80));
  const folded = screen(before, after, { columns: 80, rows: 24, order: 'packets', folded: true });
  assert.is(folded.split('\n').length, 7);
});

test('figures have three digits', () => {
  const rows: [number, string][] = [
    [0, '0'],
    [0.5, '0.50'],
    [9.994, '9.99'],
    [9.996, '10.0'],
    [999.4, '999'],
    [999.6, '1.00K'],
    [12_345, '12.3K'],
    [987_654_321, '988M'],
    [4e15, '4000T'],
  ];
  for (const [value, text] of rows) assert.is(figure(value), text);
});

test.run();
