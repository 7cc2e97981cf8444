/** A table or a set of local ports that is full: who gives way to a new connection, and who never. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Mode } from '../../src/native.js';
import { dissect } from '../support/dissect.js';
import { data, firstAck, LIP, query, R, RIP, response, syn, synAck, V } from '../support/flow.js';
import * as p from '../support/packet.js';
import { type Arriving, Bench, type BenchOptions } from '../support/replay.js';
import { fromBack, fromFront } from '../support/table.js';
import { type WorldWords, world } from '../support/world.js';

const MODES: Mode[] = ['nat', 'dr', 'tun', 'fullnat', 'enat'];
const ROOM = 128;

const wordsFor = (mode: Mode): WorldWords => ({
  services: (['tcp', 'udp'] as const).map((protocol) => ({
    listen: V,
    protocol,
    mode,
    servers: [R],
    locals: mode === 'fullnat' || mode === 'enat' ? [LIP] : [],
  })),
});
const benchFor = (mode: Mode, options: BenchOptions = {}) =>
  new Bench(world(wordsFor(mode)), { limits: { maxConnections: ROOM }, ...options });

const address = (n: number) => `198.18.${1 + (n >> 14)}.2`;
const client = (n: number) => `${address(n)}:${1024 + (n & 0x3fff)}`;
const opening = (n: number) => fromFront(p.tcp({ ...syn, from: client(n) }));
const acknowledging = (n: number) => fromFront(p.tcp({ ...firstAck, from: client(n) }));
const finishing = (n: number) => fromFront(p.tcp({ ...firstAck, from: client(n), flags: 'FA' }));
const segment = (n: number) => fromFront(p.tcp({ ...data, from: client(n) }));
const datagram = (n: number) => fromFront(p.udp({ ...query, from: client(n) }));
/** NAT's, whose replies go to the client's own address. */
const natReply = (n: number) => fromBack(p.udp({ ...response, to: client(n) }));
const natSynAck = (n: number) => fromBack(p.tcp({ ...synAck, to: client(n) }));
const natReset = (n: number) => fromBack(p.tcp({ ...synAck, to: client(n), flags: 'RA' }));

const range = (from: number, count: number) => Array.from({ length: count }, (_, n) => from + n);

function ends(bench: Bench, arriving: Arriving[], at = 0): string[] {
  return [...new Set(bench.run(arriving, at).map(({ end }) => end))];
}
function clients(bench: Bench): string[] {
  return bench.connections().map((one) => `${one.client}:${one.clientPort}`);
}
/** Every connection made is there, has expired or has given way; ActiveConn + InActConn agree. */
function check(bench: Bench): void {
  assert.equal(bench.invariants(), []);
  const { extra, servers } = bench.counters();
  const value = (name: string) => extra[name] as number;
  assert.is(
    value('connections_created'),
    value('connections') + value('connections_expired') + evicted(bench),
  );
  const counted = servers.reduce((sum, one) => sum + (one.active ?? 0) + (one.inactive ?? 0), 0);
  assert.is(counted, value('connections'));
  assert.is(bench.connections().length, value('connections'));
}
function evicted(bench: Bench): number {
  const { extra } = bench.counters();
  return ['evicted_half_open', 'evicted_closed', 'evicted_udp'].reduce(
    (sum, name) => sum + (extra[name] as number),
    0,
  );
}
function establish(bench: Bench, flows: number[], at = 0): void {
  bench.run(flows.map(opening), at);
  bench.run(flows.map(acknowledging), at);
}

for (const mode of MODES) {
  for (const [kind, flood, counter] of [
    ['SYN', opening, 'evicted_half_open'],
    ['UDP', datagram, 'evicted_udp'],
  ] as const) {
    test(`${mode}: a flood of ${kind} neither stops the established nor keeps new ones out`, () => {
      const bench = benchFor(mode);
      const established = range(0, ROOM / 4);
      establish(bench, established);
      let next = 1000;
      for (let round = 0; round < 20; round++) {
        const newcomer = 100 + round;
        assert.equal(ends(bench, [opening(newcomer)], round), [`forwarded_${mode}`]);
        assert.equal(ends(bench, range(next, 30).map(flood), round), [`forwarded_${mode}`]);
        next += 30;
        assert.equal(ends(bench, [acknowledging(newcomer), segment(newcomer)], round), [
          `forwarded_${mode}`,
        ]);
        assert.equal(ends(bench, [finishing(newcomer)], round), [`forwarded_${mode}`]);
        assert.equal(ends(bench, established.map(segment), round), [`forwarded_${mode}`]);
      }
      const { extra } = bench.counters();
      assert.is(extra.connections, ROOM);
      assert.ok((extra[counter] as number) > 300, `${extra[counter]} ${counter}`);
      assert.is(bench.counters().ends.table_full, 0);
      check(bench);
      bench.close();
    });
  }
}

test('the oldest half-open connection gives way first', () => {
  const bench = benchFor('nat');
  range(0, ROOM).forEach((n) => {
    bench.run([opening(n)], n);
  });
  for (const n of range(0, 3 * ROOM)) {
    bench.run([opening(ROOM + n)], ROOM + n);
    const there = clients(bench);
    assert.not.ok(there.includes(client(n)), `${n} is gone`);
    assert.ok(there.includes(client(n + 1)), `${n + 1} is next`);
  }
  assert.is(bench.counters().extra.evicted_half_open, 3 * ROOM);
  check(bench);
  bench.close();
});

test('a handshake that the server has answered is half-open until the client acknowledges', () => {
  const bench = benchFor('nat');
  bench.run(range(0, ROOM).map(opening), 0);
  bench.run(range(0, ROOM).map(natSynAck), 0);
  assert.equal(ends(bench, [opening(500)], 1), ['forwarded_nat']);
  assert.is(bench.counters().extra.evicted_half_open, 1);
  bench.close();
});

test('nothing but established connections: the new one is dropped, none gives way', () => {
  const bench = benchFor('fullnat');
  establish(bench, range(0, ROOM));
  assert.equal(ends(bench, range(200, 500).map(opening), 1), ['table_full']);
  assert.equal(ends(bench, range(200, 500).map(datagram), 1), ['table_full']);
  assert.equal(ends(bench, range(0, ROOM).map(segment), 2), ['forwarded_fullnat']);
  assert.is(evicted(bench), 0);
  check(bench);
  bench.close();
});

test('connections that both ends are done with give way before those one end has closed', () => {
  const bench = benchFor('nat');
  establish(bench, range(0, ROOM));
  bench.run([finishing(3)], 1);
  bench.run([opening(200)], 2);
  assert.not.ok(clients(bench).includes(client(3)), 'half-closed, and nothing less worthy');
  bench.run([acknowledging(200)], 2);
  bench.run([finishing(5)], 3);
  bench.run([natReset(9)], 3);
  bench.run([opening(201)], 4);
  assert.not.ok(clients(bench).includes(client(9)), 'reset');
  assert.ok(clients(bench).includes(client(5)));
  assert.is(bench.counters().extra.evicted_closed, 2);
  check(bench);
  bench.close();
});

/** So few that a single packet's looks go all the way round. */
const FEW = 32;

test('UDP of both directions stays once it has lasted two seconds', () => {
  const bench = benchFor('nat', { limits: { maxConnections: FEW } });
  const lasting = range(0, FEW - 2);
  const brief = FEW - 2;
  const lonely = FEW - 1;
  bench.run([...lasting, brief, lonely].map(datagram), 0);
  bench.run([...lasting, brief].map(natReply), 1);
  bench.run(lasting.map(datagram), 2000);
  bench.run([datagram(500)], 2001);
  assert.not.ok(clients(bench).includes(client(lonely)), 'never answered');
  bench.run([natReply(500)], 2002);
  bench.run([datagram(501)], 2003);
  assert.not.ok(clients(bench).includes(client(brief)), 'answered, of a moment, longest idle');
  bench.run(range(600, 300).map(datagram), 2004);
  const there = clients(bench);
  for (const n of lasting) assert.ok(there.includes(client(n)), `${n} stays`);
  check(bench);
  bench.close();
});

test('UDP whose replies pass elsewhere stays once its packets span two seconds', () => {
  const bench = benchFor('dr', { limits: { maxConnections: FEW } });
  bench.run(range(0, FEW).map(datagram), 0);
  bench.run(range(0, FEW - 1).map(datagram), 2000);
  bench.run(range(100, 200).map(datagram), 2001);
  const there = clients(bench);
  for (const n of range(0, FEW - 1)) assert.ok(there.includes(client(n)), `${n} stays`);
  assert.not.ok(there.includes(client(FEW - 1)));
  check(bench);
  bench.close();
});

test('local ports that are all taken: a half-open connection to that server gives its port', () => {
  const place = world({
    services: [
      { listen: V, mode: 'fullnat', servers: [R], locals: [LIP] },
      { listen: `${V}1`, mode: 'fullnat', servers: [`${RIP}:9`], locals: [LIP] },
    ],
  });
  const bench = new Bench(place, { limits: { maxConnections: 100_000 }, burst: 32 });
  const flows = 65536 - 1024;
  const other = fromFront(p.tcp({ ...syn, from: '198.18.99.2:9', to: `${V}1` }));
  bench.run([other], 0);
  const established = 2000;
  for (let from = 0; from < flows; from += 8192) {
    bench.run(range(from, Math.min(8192, flows - from)).map(opening), 0);
  }
  bench.run(range(0, established).map(acknowledging), 0);
  const more = range(flows, 100).map(opening);
  // The hand may have to walk past the established ones first, so many a packet.
  const steps = bench.run([...more, ...more, ...more], 1);
  const forwarded = steps.filter(({ end }) => end === 'forwarded_fullnat').length;
  assert.ok(forwarded > 200, `${forwarded} of 300 forwarded`);
  const half = bench.counters().extra.evicted_half_open as number;
  assert.ok(half >= 100, `${half} gave way`);
  assert.is(bench.counters().extra.connections, flows + 1);
  const last = bench.run([opening(flows + 99)], 2)[0]!;
  const port = dissect(last.outputs[0]!.bytes).ip?.tcp?.sport as number;
  assert.ok(port >= 1024, `port ${port}`);
  assert.equal(ends(bench, range(0, established).map(segment), 3), ['forwarded_fullnat']);
  assert.ok(clients(bench).includes('198.18.99.2:9'), 'of another server');
  check(bench);
  bench.close();
});

for (const workers of [1, 2, 4]) {
  test(`${workers} workers: each makes room in its own table`, () => {
    const bench = benchFor('fullnat', { workers, burst: 32 });
    const established = range(0, 16);
    establish(bench, established);
    for (let round = 0; round < 30; round++) {
      const flood = range(1000 + round * 200, 200).map(round % 2 === 0 ? opening : datagram);
      assert.equal(ends(bench, flood, round), ['forwarded_fullnat'], `round ${round}`);
      assert.equal(ends(bench, established.map(segment), round), ['forwarded_fullnat']);
    }
    assert.is(bench.counters().extra.connections, ROOM * workers);
    assert.ok(evicted(bench) > 30 * 200 - ROOM * workers);
    check(bench);
    bench.close();
  });
}

/** Of a flow: open, acknowledge, send, finish, reset by the server; a datagram, and its answer. */
const STEPS = { opening, acknowledging, segment, finishing, natReset, datagram, natReply };
type Step = keyof typeof STEPS;

test('random traffic in a table too small: the established stay until they expire', () => {
  const step = fc.constantFrom(...(Object.keys(STEPS) as Step[]));
  const event = fc.tuple(step, fc.nat(40), fc.constantFrom(0, 0, 1, 700, 5000));
  fc.assert(
    fc.property(fc.array(event, { minLength: 20, maxLength: 300 }), (events) => {
      const bench = benchFor('nat', { limits: { maxConnections: 8 } });
      let now = 0;
      for (const [what, flow, wait] of events) {
        now += wait;
        bench.advance(now);
        const before = new Map(
          bench
            .connections()
            .filter(({ state }) => state === 'ESTABLISHED')
            .map((one) => [`${one.client}:${one.clientPort}`, one]),
        );
        const full = bench.counters().extra.connections === 8;
        const [outcome] = bench.run([STEPS[what](flow)], now);
        if (outcome?.end === 'table_full') assert.ok(full, 'table_full with room left');
        const after = new Set(clients(bench));
        for (const name of before.keys()) assert.ok(after.has(name), `${name} is gone`);
        check(bench);
      }
      bench.close();
    }),
    { seed: Number(process.env.SLUICE_SEED ?? 7), numRuns: Number(process.env.SLUICE_RUNS ?? 60) },
  );
});

test.run();
