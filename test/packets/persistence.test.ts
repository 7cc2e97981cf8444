/**
 * Persistence: which server a client's next connection gets, for how long, and what becomes of that
 * when servers change; with one worker and with several. What a real Linux IPVS does is compared in
 * test/oracle/scenarios/persistence.ts.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Mode } from '../../src/native.js';
import { LIP, VIP } from '../support/flow.js';
import * as p from '../support/packet.js';
import { Bench } from '../support/replay.js';
import { fromBack, fromFront } from '../support/table.js';
import { type ServerWords, type Slots, serverAddress, world } from '../support/world.js';

const MINUTE = 60_000;

interface Words {
  mode?: Mode;
  protocol?: 'tcp' | 'udp';
  servers?: ServerWords[];
  timeoutS?: number;
  bits?: number;
  movesDrained?: boolean;
  onePacket?: boolean;
}

const SERVERS: ServerWords[] = [1, 2, 3].map((n) => ({ at: `${serverAddress(n)}:80` }));

const worldOf = (slots: Slots, words: Words = {}, generation = 1) =>
  world(
    {
      services: [
        {
          listen: `${VIP}:80`,
          protocol: words.protocol ?? 'tcp',
          mode: words.mode ?? 'nat',
          scheduler: 'rr',
          servers: words.servers ?? SERVERS,
          locals: words.mode === 'fullnat' ? [LIP] : [],
          onePacket: words.onePacket ?? false,
          persistenceMs: (words.timeoutS ?? 300) * 1_000,
          clientBits: words.bits ?? 32,
          movesDrained: words.movesDrained ?? false,
        },
      ],
    },
    slots,
    generation,
  );

/** A new connection each: `198.18.0.1:1000`. The servers they got, A B C … */
function connect(bench: Bench, clients: string[], atMs = 0, protocol: 'tcp' | 'udp' = 'tcp') {
  const to = `${VIP}:80`;
  const frames = clients.map((from) =>
    fromFront(protocol === 'tcp' ? p.tcp({ from, to, flags: 'S' }) : p.udp({ from, to })),
  );
  return bench
    .run(frames, atMs)
    .map(({ server }) => (server === undefined ? '-' : String.fromCharCode(65 + server)))
    .join('');
}

const templatesOf = (bench: Bench) =>
  bench
    .connections()
    .filter(({ state }) => state === 'NONE')
    .map(
      (one) => `${one.client}:${one.clientPort} ${one.virtual}:${one.virtualPort} ${one.server}`,
    );

function benchOf(words: Words = {}, workers = 1) {
  const slots: Slots = new Map();
  const bench = new Bench(worldOf(slots, words), { workers, limits: { maxServers: 16 } });
  let generation = 1;
  return {
    bench,
    publish: (next: Words) =>
      bench.publish(worldOf(slots, { ...words, ...next }, ++generation).snapshot),
  };
}

const from = (n: number, port: number) => `198.18.0.${n}:${port}`;

test('a client that comes again gets its server, others the next in turn', () => {
  const { bench } = benchOf();
  assert.is(connect(bench, [from(1, 1000), from(2, 1000), from(3, 1000)]), 'CBA');
  assert.is(connect(bench, [from(1, 1001), from(3, 1001), from(2, 1001), from(4, 1000)]), 'CABC');
  assert.equal(templatesOf(bench).sort(), [
    `198.18.0.1:0 ${VIP}:80 ${serverAddress(3)}`,
    `198.18.0.2:0 ${VIP}:80 ${serverAddress(2)}`,
    `198.18.0.3:0 ${VIP}:80 ${serverAddress(1)}`,
    `198.18.0.4:0 ${VIP}:80 ${serverAddress(3)}`,
  ]);
  assert.equal(bench.invariants(), []);
  bench.close();
});

test('with a netmask a whole network has one server', () => {
  const { bench } = benchOf({ bits: 24 });
  assert.is(connect(bench, [from(1, 1), from(200, 1), '198.18.1.1:1', '198.18.1.9:1']), 'CCBB');
  assert.equal(templatesOf(bench).length, 2);
  assert.ok(templatesOf(bench)[0]?.startsWith('198.18.'));
  bench.close();
});

test('it ends so long after the last new connection', () => {
  const { bench } = benchOf({ protocol: 'udp', timeoutS: 600 });
  const visit = (port: number, atMs: number) => connect(bench, [from(1, port)], atMs, 'udp');
  // UDP connections are forgotten after five minutes.
  assert.is(visit(1, 0) + visit(2, 9 * MINUTE) + visit(3, 18 * MINUTE), 'CCC');
  bench.advance(28 * MINUTE - 1_000);
  assert.is(templatesOf(bench).length, 1);
  bench.advance(28 * MINUTE + 1_000);
  assert.equal(templatesOf(bench), []);
  assert.is(visit(4, 28 * MINUTE + 2_000), 'B');
  bench.close();
});

test('it lasts as long as the client has a connection, and a minute', () => {
  const { bench } = benchOf({ timeoutS: 10, protocol: 'udp' });
  const use = (atMs: number) => connect(bench, [from(1, 1)], atMs, 'udp');
  for (let minute = 0; minute <= 60; minute += 4) assert.is(use(minute * MINUTE), 'C');
  assert.is(connect(bench, [from(1, 2)], 60 * MINUTE + 1, 'udp'), 'C');
  // Both are idle for five minutes: the template has another minute.
  bench.advance(65 * MINUTE + 30_000);
  assert.is(connect(bench, [from(2, 1)], 65 * MINUTE + 30_000, 'udp'), 'B');
  assert.is(connect(bench, [from(1, 3)], 65 * MINUTE + 31_000, 'udp'), 'C');
  bench.advance(71 * MINUTE);
  bench.advance(73 * MINUTE);
  assert.is(connect(bench, [from(1, 4)], 73 * MINUTE, 'udp'), 'A');
  bench.close();
});

test('a server that drains keeps its clients, or not', () => {
  for (const movesDrained of [false, true]) {
    const { bench, publish } = benchOf({ movesDrained });
    assert.is(connect(bench, [from(1, 1)]), 'C');
    publish({ servers: [...SERVERS.slice(0, 2), { ...SERVERS[2]!, weight: 0 }] });
    assert.is(connect(bench, [from(1, 2)]), movesDrained ? 'B' : 'C');
    bench.close();
  }
});

test('clients of a server that is down or gone move, and stay where they are then', () => {
  for (const servers of [
    [...SERVERS.slice(0, 2), { ...SERVERS[2]!, up: false }],
    SERVERS.slice(0, 2),
  ]) {
    const { bench, publish } = benchOf();
    assert.is(connect(bench, [from(1, 1)]), 'C');
    publish({ servers });
    const moved = connect(bench, [from(1, 2)]);
    assert.ok(moved === 'A' || moved === 'B', moved);
    publish({});
    assert.is(connect(bench, [from(1, 3), from(1, 4)]), moved + moved);
    assert.equal(bench.invariants(), []);
    bench.close();
  }
});

test('without persistence from now on each connection is scheduled', () => {
  const { bench, publish } = benchOf();
  assert.is(connect(bench, [from(1, 1), from(1, 2)]), 'CC');
  publish({ timeoutS: 0 });
  assert.equal(templatesOf(bench), []);
  assert.is(connect(bench, [from(1, 3), from(1, 4)]).length, 2);
  bench.close();
});

test('one-packet scheduling of a persistent service: the same server packet after packet', () => {
  const { bench } = benchOf({ protocol: 'udp', onePacket: true });
  assert.is(connect(bench, [from(1, 1), from(1, 2), from(2, 1), from(1, 1)], 0, 'udp'), 'CCBC');
  assert.equal(templatesOf(bench).length, 2);
  bench.close();
});

test('more clients than there is room for: nothing is lost but persistence', () => {
  const { bench } = benchOf({ protocol: 'udp' });
  const clients = Array.from({ length: 60_000 }, (_, n) => `198.18.${n >> 8}.${n & 255}:1`);
  for (let at = 0; at < clients.length; at += 1_000) {
    const got = connect(bench, clients.slice(at, at + 1_000), at, 'udp');
    assert.not.ok(got.includes('-'));
  }
  assert.ok(templatesOf(bench).length <= 16_400);
  assert.equal(bench.invariants(), []);
  bench.close();
});

for (const workers of [2, 4]) {
  for (const mode of ['nat', 'dr', 'fullnat'] as const) {
    test(`${mode}, ${workers} workers: all ports of a client get one server, replies come back`, () => {
      const { bench } = benchOf({ mode }, workers);
      for (let client = 1; client <= 30; client++) {
        const flows = Array.from({ length: 8 }, (_, n) => from(client, 1_000 + 77 * n));
        const got = connect(bench, flows);
        assert.is(new Set(got).size, 1, got);
        assert.not.ok(got.includes('-'));
      }
      const made = bench.connections().filter(({ state }) => state !== 'NONE');
      assert.is(made.length, 240);
      assert.is(templatesOf(bench).length, 30);
      assert.is(new Set(made.map(({ worker }) => worker)).size, workers);
      if (mode !== 'dr') {
        const replies = made.map((one) => {
          const to = mode === 'nat' ? [one.client, one.clientPort] : [one.local, one.localPort];
          const ends = { from: `${one.server}:${one.serverPort}`, to: to.join(':') };
          return fromBack(p.tcp({ ...ends, flags: 'SA' }));
        });
        const ends = new Set(bench.run(replies, 10).map(({ end }) => end));
        assert.equal([...ends], [`forwarded_${mode}_reply`]);
      }
      assert.equal(bench.invariants(), []);
      bench.close();
    });
  }
}

test.run();
