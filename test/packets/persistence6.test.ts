/**
 * Persistence of IPv6 services: what persistence.test.ts has of IPv4's, services for any port, FTP
 * and marks with it, and a dumb model that random visits are put to as well.
 */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { NO_SLOTS } from '../../src/plan.js';
import * as p from '../support/packet.js';
import * as q from '../support/packet6.js';
import { Bench } from '../support/replay.js';
import { fromBack, fromFront } from '../support/table.js';
import { LIP6, VIPS, type Way, yaml6 } from '../support/world6.js';
import { yamlWorld } from '../support/yaml.js';

const MINUTE = 60_000;
const SERVERS = 3;
const SIXTY_FOUR = 'persistence: { timeout: 5m, netmask: 64 }';

const client = (network: number, host: number, port: number) =>
  `[2001:db8:c:${network.toString(16)}::${host.toString(16)}]:${port}`;

function benchOf(more: string, workers = 1) {
  let { snapshot, ports, slots } = yamlWorld(yaml6({ servers: SERVERS, more }));
  const bench = new Bench({ snapshot, ports }, { workers });
  return {
    bench,
    publish: (change: (yaml: string) => string, next = more) => {
      ({ snapshot, ports, slots } = yamlWorld(
        change(yaml6({ servers: SERVERS, more: next })),
        slots,
      ));
      bench.publish(snapshot);
    },
  };
}

interface Visit {
  way?: Way;
  port?: number;
  protocol?: 'tcp' | 'udp';
  atMs?: number;
}

/** A new connection each. The servers they got, by their last word: 11 12 13. */
function connect(bench: Bench, clients: string[], visit: Visit = {}): string[] {
  const { way = 'nat', port = 80, protocol = 'tcp', atMs = 0 } = visit;
  const to = `[${VIPS[way]}]:${port}`;
  const frames = clients.map((from) =>
    fromFront(protocol === 'tcp' ? q.tcp6({ from, to, flags: 'S' }) : q.udp6({ from, to })),
  );
  const steps = bench.run(frames, atMs);
  const bySlot = new Map(bench.connections().map((one) => [one.serverSlot, one.server]));
  return steps.map(
    ({ server, end }) => bySlot.get(server as number)?.replace(/^.*::/, '') ?? `- ${end}`,
  );
}

const templatesOf = (bench: Bench) =>
  bench
    .connections()
    .filter(({ state }) => state === 'NONE')
    .map((one) => {
      const { protocol, client: from, virtual, virtualPort, server, serverPort } = one;
      return `${protocol} ${from}:${one.clientPort} ${virtual}:${virtualPort} ${server}:${serverPort}`;
    })
    .sort();

test('a client that comes again gets its server, others the next in turn', () => {
  const { bench } = benchOf('persistence: 5m');
  assert.equal(connect(bench, [client(1, 1, 1), client(1, 2, 1), client(2, 1, 1)]), [
    '13',
    '12',
    '11',
  ]);
  assert.equal(connect(bench, [client(1, 1, 2), client(2, 1, 2), client(1, 2, 2)]), [
    '13',
    '11',
    '12',
  ]);
  assert.equal(templatesOf(bench), [
    'tcp 2001:db8:c:1::1:0 2001:db8:f::10:80 2001:db8:2::13:8080',
    'tcp 2001:db8:c:1::2:0 2001:db8:f::10:80 2001:db8:2::12:8080',
    'tcp 2001:db8:c:2::1:0 2001:db8:f::10:80 2001:db8:2::11:8080',
  ]);
  assert.equal(bench.invariants(), []);
  bench.close();
});

test('by a length a whole network has one server, and one that is no multiple of eight', () => {
  const { bench } = benchOf(SIXTY_FOUR);
  assert.equal(
    connect(bench, [client(1, 1, 1), client(1, 0xffff, 1), client(2, 1, 1), client(2, 2, 1)]),
    ['13', '13', '12', '12'],
  );
  assert.is(templatesOf(bench)[0]?.split(' ')[1], '2001:db8:c:1:::0');
  bench.close();
  const { bench: odd } = benchOf('persistence: { timeout: 5m, netmask: 127 }');
  assert.equal(connect(odd, [client(1, 2, 1), client(1, 3, 1), client(1, 4, 1)]), [
    '13',
    '13',
    '12',
  ]);
  odd.close();
});

test('a server that drains keeps its clients, or not; one that is gone keeps nobody', () => {
  const drained = (yaml: string) => yaml.replaceAll('::13]:8080" }', '::13]:8080", weight: 0 }');
  for (const whenDrained of ['stay', 'move']) {
    const { bench, publish } = benchOf(`persistence: { timeout: 5m, whenDrained: ${whenDrained} }`);
    assert.equal(connect(bench, [client(1, 1, 1)]), ['13']);
    publish(drained);
    assert.equal(connect(bench, [client(1, 1, 2)]), [whenDrained === 'stay' ? '13' : '12']);
    publish((yaml) => yaml.replaceAll('\n      - { address: "[2001:db8:2::13]:8080" }', ''));
    const [moved] = connect(bench, [client(1, 1, 3)]);
    assert.ok(moved === '11' || moved === '12', moved);
    publish((yaml) => yaml);
    assert.equal(connect(bench, [client(1, 1, 4)]), [moved]);
    assert.equal(bench.invariants(), []);
    bench.close();
  }
});

test('one-packet scheduling of a persistent service: the same server packet after packet', () => {
  const slots = NO_SLOTS;
  const text = yaml6({ servers: SERVERS, more: 'persistence: 5m' }).replace(
    'name: nat-udp',
    'name: nat-udp\n    onePacket: true',
  );
  const bench = new Bench(yamlWorld(text, slots));
  const run = (from: string) => {
    const [step] = bench.run([fromFront(q.udp6({ from, to: `[${VIPS.nat}]:80` }))], 0);
    return step?.server;
  };
  const first = run(client(1, 1, 1));
  assert.is(run(client(1, 1, 2)), first);
  assert.is.not(run(client(1, 2, 1)), first);
  assert.is(run(client(1, 1, 1)), first);
  assert.is(templatesOf(bench).length, 2);
  bench.close();
});

test('any port: one server for all of a client’s, which keep theirs', () => {
  const text = yaml6({ servers: SERVERS, more: SIXTY_FOUR }).replace(
    `listen: "[${VIPS.nat}]:80"`,
    `listen: "[${VIPS.nat}]:0"`,
  );
  const bench = new Bench(yamlWorld(text));
  const ports = [80, 443, 9999];
  const got = ports.map((port) => connect(bench, [client(1, 1, port)], { port })[0]);
  assert.equal(got, ['13', '13', '13']);
  const made = bench.connections().filter(({ state }) => state !== 'NONE');
  assert.equal(
    made.map(({ serverPort }) => serverPort).sort(),
    ['443', '80', '9999'].map(Number).sort(),
  );
  assert.equal(templatesOf(bench), ['tcp 2001:db8:c:1:::0 2001:db8:f::10:0 2001:db8:2::13:0']);
  assert.equal(bench.invariants(), []);
  bench.close();
});

test('FTP: data connections are the service’s, and with the server of the first', () => {
  const text = yaml6({ servers: SERVERS, more: 'persistence: 5m' }).replace(
    `listen: "[${VIPS.nat}]:80"`,
    `listen: "[${VIPS.nat}]:21"`,
  );
  const bench = new Bench(yamlWorld(text));
  assert.equal(connect(bench, [client(1, 1, 1)], { port: 21 }), ['13']);
  assert.equal(connect(bench, [client(1, 2, 1)], { port: 21 }), ['12']);
  assert.equal(connect(bench, [client(1, 1, 2)], { port: 40_000 }), ['13']);
  assert.equal(connect(bench, [client(1, 1, 3)], { port: 20 }), ['13']);
  assert.equal(connect(bench, [client(1, 1, 4)], { port: 22 }), ['- answered_reset']);
  bench.close();
});

test('marks: the ports and addresses of a rule have one server together', () => {
  const text = `${yaml6({ servers: SERVERS }).replace(
    'services:',
    `marks:
  - { mark: 7, to: "2001:db8:e::/64", protocol: tcp, ports: [80, 443] }
  - { mark: 7, to: "${VIPS.dr}", ports: 8000-8010 }
services:
  - name: marked
    mark: 7
    mode: nat
    scheduler: rr
    ${SIXTY_FOUR}
    servers:
      - { address: "[2001:db8:2::11]:0" }
      - { address: "[2001:db8:2::12]:0" }`,
  )}`;
  for (const workers of [1, 3]) {
    const bench = new Bench(yamlWorld(text), { workers });
    const got = ['[2001:db8:e::1]:80', '[2001:db8:e::9]:443', `[${VIPS.dr}]:8001`].map((to, at) => {
      const [step] = bench.run(
        [fromFront(q.tcp6({ from: client(1, 1 + at, 1000 + at), to, flags: 'S' }))],
        0,
      );
      assert.is(step?.end, 'forwarded_nat');
      return step?.server;
    });
    assert.is(new Set(got).size, 1);
    assert.equal(templatesOf(bench), ['ip 2001:db8:c:1:::0 0:7:::0 2001:db8:2::12:0']);
    assert.equal(bench.invariants(), []);
    bench.close();
  }
});

for (const workers of [2, 4]) {
  for (const way of ['nat', 'dr', 'fullnat', 'tun'] as const) {
    test(`${way}, ${workers} workers: all of a network’s flows get one server, replies come back`, () => {
      const { bench } = benchOf(SIXTY_FOUR, workers);
      for (let network = 1; network <= 30; network++) {
        const flows = Array.from({ length: 8 }, (_, n) => client(network, n + 1, 1_000 + 77 * n));
        const got = connect(bench, flows, { way });
        assert.is(new Set(got).size, 1, got.join());
      }
      const made = bench.connections().filter(({ state }) => state !== 'NONE');
      assert.is(made.length, 240);
      assert.is(templatesOf(bench).length, 30);
      assert.is(new Set(made.map(({ worker }) => worker)).size, workers);
      if (way === 'nat' || way === 'fullnat') {
        const replies = made.map((one) => {
          const to = way === 'nat' ? [one.client, one.clientPort] : [LIP6, one.localPort];
          const ends = { from: `[${one.server}]:${one.serverPort}`, to: `[${to[0]}]:${to[1]}` };
          return fromBack(q.tcp6({ ...ends, flags: 'SA' }));
        });
        const ends = new Set(bench.run(replies, 10).map(({ end }) => end));
        assert.equal([...ends], [`forwarded_${way}_reply`]);
      }
      assert.equal(bench.invariants(), []);
      bench.close();
    });
  }
}

/** Templates as a Map of texts: what a network has, and until when. */
class Keeper {
  readonly #templates = new Map<string, { server: string; until: number; connections: number }>();
  readonly #connections = new Map<string, { network: string; server: string; seen: number }>();
  #turn = 0;

  constructor(
    readonly timeoutMs: number,
    readonly udpMs: number,
  ) {}

  visit(network: string, from: string, now: number): string {
    this.#end(now);
    const known = this.#connections.get(from);
    if (known) {
      known.seen = now;
      return known.server;
    }
    const kept = this.#templates.get(network);
    const good = kept && (kept.connections > 0 || kept.until > now);
    const template = good
      ? kept
      : { server: `${10 + SERVERS - (this.#turn++ % SERVERS)}`, until: 0, connections: 0 };
    template.until = now + this.timeoutMs;
    template.connections++;
    this.#templates.set(network, template);
    this.#connections.set(from, { network, server: template.server, seen: now });
    return template.server;
  }

  #end(now: number): void {
    for (const [from, { network, server, seen }] of this.#connections) {
      const ended = seen + this.udpMs;
      if (ended > now) continue;
      this.#connections.delete(from);
      const template = this.#templates.get(network);
      if (template?.server !== server) continue;
      if (--template.connections === 0) template.until = Math.max(template.until, ended + MINUTE);
    }
  }
}

test('random visits: engine and model agree about every server', () => {
  const visit = fc.record({
    network: fc.integer({ min: 1, max: 4 }),
    host: fc.integer({ min: 1, max: 2 }),
    port: fc.integer({ min: 1, max: 3 }),
    pauseMs: fc.constantFrom(0, 1, 5_000, 30_000, MINUTE, 5 * MINUTE + 1, 7 * MINUTE),
  });
  fc.assert(
    fc.property(
      fc.array(visit, { minLength: 1, maxLength: 40 }),
      fc.constantFrom(20, 90, 600),
      fc.constantFrom(64, 128),
      (visits, timeoutS, bits) => {
        const { bench } = benchOf(`persistence: { timeout: ${timeoutS}s, netmask: ${bits} }`);
        const keeper = new Keeper(timeoutS * 1_000, 5 * MINUTE);
        let atMs = 0;
        try {
          for (const { network, host, port, pauseMs } of visits) {
            atMs += pauseMs;
            const from = client(network, host, port);
            const whose = bits === 64 ? `${network}` : `${network} ${host}`;
            const expected = keeper.visit(whose, from, atMs);
            assert.equal(connect(bench, [from], { protocol: 'udp', atMs }), [expected]);
          }
          assert.equal(bench.invariants(), []);
        } finally {
          bench.close();
        }
      },
    ),
    { numRuns: 60, seed: 20261122, endOnFailure: true },
  );
});

test('more clients than there is room for: nothing is lost but persistence', () => {
  const { bench } = benchOf('persistence: 5m');
  const from = (n: number) => client(1 + (n >> 8), n & 255, 1 + (n >> 16));
  for (let at = 0; at < 40_000; at += 1_000) {
    const frames = Array.from({ length: 1_000 }, (_, n) =>
      fromFront(q.udp6({ from: from(at + n), to: `[${VIPS.nat}]:80`, payload: p.pattern(1) })),
    );
    const lost = bench.run(frames, at).filter(({ end }) => end !== 'forwarded_nat');
    assert.equal(lost, []);
  }
  assert.ok(templatesOf(bench).length <= 16_400);
  assert.equal(bench.invariants(), []);
  bench.close();
});

test.run();
