/** `sluice top`: what two looks at a director make of a screen. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { asked, figure, type Look, type Screen, screen } from '../../src/cli/top-screen.js';

/** Of so many connections a second. */
const rates = (cps: number) => ({
  cps,
  inPps: 10 * cps,
  outPps: 5 * cps,
  inBps: 1_000 * cps,
  outBps: 2_000 * cps,
});
const server = (last: number, cps: number, more: object = {}) => ({
  address: `198.51.100.${last}`,
  port: 8080,
  forward: 'FullNat',
  weight: 3,
  up: true,
  active: 260,
  inactive: 1,
  rates: rates(cps),
  ...more,
});
const service = (name: string, port: number, cps: number, servers: object[]) => ({
  name,
  protocol: 'tcp',
  address: '203.0.113.10',
  port,
  scheduler: 'wlc',
  rates: rates(cps),
  servers,
});

const TOTALS = { services: 1, servers: 2, serversUp: 1, serversDrained: 0, rates: rates(100) };

const look = (at: number, services: object[], dropped = 0, totals: object = {}): Look =>
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
      totals: { ...TOTALS, ...totals },
      workers: [{ cpu: 1, lagUs: 9, load: 37 }],
      alerts: [{ code: 'WARN_WORKER_LOAD', message: 'worker 0 is busy' }],
    },
  }) as unknown as Look;

const WIDE: Screen = { columns: 200, rows: 50, order: 'packets' };

test('ports’ and losses’ rates are of the two looks, services’ and servers’ the director’s own', () => {
  const before = look(1_000, []);
  const after = look(3_000, [
    service('web', 80, 100, [server(11, 100), server(12, 0, { up: false, active: 40 })]),
  ]);
  assert.is(
    screen(before, after, WIDE),
    [
      'd1  up 1 d 01:01:01  generation 3  1 worker',
      'in 1.00K pkt/s 800Kbit/s   out 0 pkt/s 0bit/s   connections 12 of 1000',
      'services 1   servers 1 of 2 up   100 conn/s',
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

test('what the director lists stays in its order, and is all that was asked for', () => {
  const all = [service('b', 81, 9, [server(1, 1)]), service('a', 80, 1, [])];
  const names = screen(look(0, []), look(1_000, all), WIDE).match(/^[ab](?= tcp)/gm);
  assert.equal(names, ['b', 'a']);
  assert.equal(asked({ ...WIDE, order: 'bits' }), { sort: 'bits', lines: 50 });
  assert.equal(asked({ ...WIDE, folded: true }), { sort: 'packets', lines: 50, servers: 0 });
  const unlimited = { ...WIDE, rows: Number.POSITIVE_INFINITY };
  assert.equal(asked(unlimited), { sort: 'packets' });
});

test('a small terminal gets what fits, and is told of the rest, also of what was not asked for', () => {
  const many = Array.from({ length: 12 }, (_, i) => server(i, 1));
  const small: Screen = { columns: 40, rows: 13, order: 'packets' };
  const totals = { services: 10_000, servers: 100_000, serversUp: 99_998, serversDrained: 3 };
  const now = look(1_000, [service('web', 80, 9, many)], 5, totals);
  const lines = screen(look(0, []), now, small).split('\n');
  assert.is(lines.length, 13);
  assert.ok(lines.every((line) => line.length <= 40));
  assert.is(lines[2], 'services 10000   servers 99998 of 100000');
  assert.is(lines[10], '… 109997 more lines');
  assert.match(lines[12] ?? '', /^dropped/);
  assert.match(
    screen(look(0, []), now, { ...small, columns: 80 }),
    /of 100000 up, 3 drained {3}100/,
  );
  const alone = look(
    1_000,
    [1, 2, 3, 4].map((port) => service('web', port, 9, [])),
    5,
    totals,
  );
  const folded = screen(look(0, []), alone, { ...small, folded: true });
  assert.match(folded, /\n… 9997 more lines\n/);
});

test('80 columns show every figure, both directions together, and names as far as they go', () => {
  const name = 'the-shop-of-the-north';
  const before = look(1_000, []);
  const after = look(3_000, [
    service(name, 80, 100, [server(11, 100), server(12, 0, { up: false, active: 40 })]),
  ]);
  const text = screen(before, after, { columns: 80, rows: 24, order: 'packets' });
  assert.equal(text.split('\n').slice(6), [
    'Service, server                      Weight  Active  Inact  conn/s  pkt/s  bit/s',
    'the-shop-of-the-north tcp 203.0.11…                            100  1.50K  2.40M',
    '  198.51.100.11:8080                 3          260      1     100  1.50K  2.40M',
    '  198.51.100.12:8080                 3 down      40      1       0      0      0',
  ]);
  assert.ok(text.split('\n').every(({ length }) => length <= 80));
  const folded = screen(before, look(3_000, [service(name, 80, 100, [])]), {
    ...{ columns: 80, rows: 24, order: 'packets', folded: true },
  });
  assert.is(folded.split('\n').length, 8);
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
