/**
 * Persistence between two directors: a client that has no connection that the other one knows of
 * gets its real server there all the same, in both families, for marks' services, whatever the workers.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Mode } from '../../src/native.js';
import { LIP, VIP } from '../support/flow.js';
import * as p from '../support/packet.js';
import * as q from '../support/packet6.js';
import type { Bench, BenchOptions } from '../support/replay.js';
import { fromFront } from '../support/table.js';
import { BACK_MAC, FRONT_MAC, ROUTER_MAC, serverMac, type World, world } from '../support/world.js';
import { VIPS, yaml6 } from '../support/world6.js';
import { yamlWorld } from '../support/yaml.js';
import { decodeDatagram, type ToldConnection } from './datagram-decoder.js';
import { KEY, Pair } from './pair.js';

const CLIENTS = [1, 2, 3, 4, 5, 6, 7];
const SERVERS = [1, 2, 3, 4].map((n) => ({ at: `198.51.100.${10 + n}:80` }));
const TIMEOUT_S = 300;

function four(mode: Mode, clientBits = 24): World {
  const locals = mode === 'fullnat' ? [LIP] : [];
  const service = { listen: `${VIP}:80`, mode, scheduler: 'rr' as const, servers: SERVERS, locals };
  const services = [{ ...service, persistenceMs: TIMEOUT_S * 1_000, clientBits }];
  return world({ services, owned: [VIP, ...locals] });
}
const six = () =>
  yamlWorld(yaml6({ servers: 4, more: `persistence: { timeout: ${TIMEOUT_S}s, netmask: 64 }` }));

const marked = () =>
  yamlWorld(`
director: { hugepages: false }
ports:
  - { name: front, mac: "${FRONT_MAC}", addresses: [192.0.2.1/24] }
  - { name: back, mac: "${BACK_MAC}", addresses: [198.51.100.1/24] }
routes: [{ to: 0.0.0.0/0, via: 192.0.2.254 }]
neighbours:
  - { address: 192.0.2.254, mac: "${ROUTER_MAC}", port: front }
  - { address: 198.51.100.11, mac: "${serverMac(1)}", port: back }
marks: [{ mark: 7, to: ${VIP}, protocol: tcp, ports: [80, 443] }]
services:
  - name: web
    mark: 7
    mode: dr
    persistence: { timeout: ${TIMEOUT_S}s, netmask: 24 }
    servers: [{ address: "198.51.100.11:0" }]
`);

/** Every client makes a connection and resets it; the servers that they got. */
type Visit = (
  bench: Bench,
  port: number,
  atMs: number,
  clients?: number[],
) => (number | undefined)[];
const visitFour: Visit = (bench, port, atMs, clients = CLIENTS) =>
  clients.map((n) => {
    const ends = { from: `198.18.${n}.1:${port}`, to: `${VIP}:80` };
    const frames = ['S', 'R'].map((flags) => fromFront(p.tcp({ ...ends, flags })));
    return bench.run(frames, atMs)[0]?.server;
  });
const visitSix =
  (way: 'dr' | 'fullnat'): Visit =>
  (bench, port, atMs, clients = CLIENTS) =>
    clients.map((n) => {
      const ends = { from: `[2001:db8:c:${n}::9]:${port}`, to: `[${VIPS[way]}]:80` };
      const frames = ['S', 'R'].map((flags) => fromFront(q.tcp6({ ...ends, flags })));
      return bench.run(frames, atMs)[0]?.server;
    });

const CREWS: [string, BenchOptions, BenchOptions][] = [
  ['one worker each', {}, {}],
  ['2 workers, 3 workers', { workers: 2 }, { workers: 3 }],
  [
    'NICs that spread to 4',
    { workers: 4, distribution: 'nic' },
    { workers: 4, distribution: 'nic' },
  ],
  ['4 workers, then one', { workers: 4 }, {}],
];
const KINDS: [string, () => World, Visit][] = [
  ['dr', () => four('dr'), visitFour],
  ['fullnat', () => four('fullnat'), visitFour],
  ['dr over IPv6', six, visitSix('dr')],
  ['fullnat over IPv6', six, visitSix('fullnat')],
];

/** Clocks go on, second by second; connections that have been reset are over after ten. */
function pass(pair: Pair, from: number, to: number): void {
  for (let at = from; at <= to; at += 500) pair.exchange(at);
}

for (const [kind, worldOf, visit] of KINDS) {
  for (const [crews, first, second] of CREWS) {
    test(`${kind}, ${crews}: a client without a connection goes on with its server`, () => {
      const pair = new Pair(worldOf(), { first, second });
      const had = visit(pair.first, 1_000, 0);
      assert.ok(new Set(had).size > 2, 'they are spread over the servers');
      pass(pair, 20, 20_000);
      assert.is(pair.second.counters().extra.connections_adopted, 0, 'none lasted long enough');
      assert.is(pair.second.sync().templates_adopted, CLIENTS.length);
      const others = [...CLIENTS].reverse();
      assert.equal(visit(pair.second, 2_000, 20_100, others), [...had].reverse());
      assert.equal(pair.second.invariants(), []);
      pair.close();
    });
  }
}

test('a director that starts later is told of them before it is told that this was everything', () => {
  const pair = new Pair(four('dr'));
  pair.wire = () => false;
  const had = visitFour(pair.first, 1_000, 0);
  pass(pair, 20, 20_000);
  pair.wire = () => true;
  pair.exchange(20_500);
  assert.is(pair.second.sync().bulks_done, 1);
  assert.equal(visitFour(pair.second, 2_000, 20_600), had);
  pair.close();
});

test('what is left of their time goes with them, and a new connection prolongs it over there', () => {
  const pair = new Pair(four('dr'));
  visitFour(pair.first, 1_000, 0, [1, 2]);
  pass(pair, 20, 100_000);
  visitFour(pair.first, 1_001, 100_000, [1]);
  pass(pair, 100_020, (TIMEOUT_S + 20) * 1_000);
  const told = pair.first.sync().templates_told;
  assert.is(told, 3, 'two that were new, one that was prolonged');
  const listed = pair.second.connections().filter(({ state }) => state === 'NONE');
  assert.equal(
    listed.map(({ client }) => client),
    ['198.18.1.0'],
  );
  pair.close();
});

test('of two that disagree both come to think what the later connection has made true', () => {
  const pair = new Pair(four('dr'));
  pair.wire = () => false;
  visitFour(pair.first, 1_000, 0);
  visitFour(pair.second, 1_000, 5_000, [7]);
  const later = visitFour(pair.second, 1_001, 5_000);
  pass(pair, 5_020, 20_000);
  pair.wire = () => true;
  pass(pair, 20_500, 25_000);
  assert.equal(visitFour(pair.first, 2_000, 25_100), later);
  assert.equal(visitFour(pair.second, 2_000, 25_100), later);
  pair.close();
});

test('on the wire: read by a decoder written apart, in both families and of a mark', () => {
  const records = (worldOf: World, visit: Visit) => {
    const pair = new Pair(worldOf);
    const told: ToldConnection[] = [];
    pair.wire = (datagram) => told.push(...decodeDatagram(datagram, KEY).connections) > 0 || true;
    const [server = 0] = visit(pair.first, 1_000, 0, [3]);
    const at = new RegExp(`[.:]${11 + (server % 4)}[\\]:]`);
    pass(pair, 20, 3_000);
    pair.close();
    for (const one of told) assert.match(one.server, at);
    return told.map((one) => [
      one.tale,
      one.protocol,
      one.mode,
      one.client,
      one.virtual,
      one.local,
      one.bits,
    ]);
  };
  assert.equal(records(four('fullnat'), visitFour), [
    ['template', 'tcp', 'fullnat', '198.18.3.0:0', `${VIP}:80`, '0.0.0.0:0', 24],
  ]);
  assert.equal(records(six(), visitSix('dr')), [
    ['template', 'tcp', 'dr', '[2001:db8:c:3::]:0', `[${VIPS.dr}]:80`, '[::]:0', 64],
  ]);
  assert.equal(records(marked(), visitFour), [
    ['template', 'mark', 'dr', '198.18.3.0:0', '0.0.0.7:0', '0.0.0.0:0', 24],
  ]);
});

test('a director that looks at more of the address refuses them, and goes on', () => {
  const pair = new Pair(four('dr'));
  const strict = four('dr', 32);
  pair.second.publish(strict.snapshot);
  visitFour(pair.first, 1_000, 0);
  pass(pair, 20, 5_000);
  assert.is(pair.second.sync().templates_adopted, 0);
  assert.is(pair.second.sync().refused_stale, CLIENTS.length);
  pair.close();
});

test.run();
