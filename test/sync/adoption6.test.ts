/**
 * Connections of IPv6 made on one director go on through the other, in every mode: the same packets
 * leave in the same form, whatever the workers of either.
 */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readU16 } from '../support/bytes.js';
import type { Output } from '../support/model/verdicts.js';
import * as p from '../support/packet.js';
import * as q from '../support/packet6.js';
import type { Arriving, Bench, BenchOptions, Step } from '../support/replay.js';
import { fromBack, fromFront } from '../support/table.js';
import { LIP6, RIP6, VIPS, WAYS, type Way, yaml6 } from '../support/world6.js';
import { yamlWorld } from '../support/yaml.js';
import { agreed, Pair } from './pair.js';

const FLOWS = 120;
const numbers = Array.from({ length: FLOWS }, (_, flow) => flow);
const client = (flow: number) =>
  `[2001:db8:c:${(flow % 7).toString(16)}::${(flow + 2).toString(16)}]:${1024 + ((flow * 37) % 60000)}`;
const isUdp = (flow: number) => flow % 2 === 0;
const seesReplies = (way: Way) => way === 'nat' || way === 'fullnat';
const R = `[${RIP6}]:8080`;
const one = () => yamlWorld(yaml6());

const request = (way: Way, flow: number, flags: string, seq: number, ack = 0): Arriving => {
  const ends = { from: client(flow), to: `[${VIPS[way]}]:80` };
  if (isUdp(flow)) return fromFront(q.udp6({ ...ends, payload: p.pattern(20 + seq) }));
  return fromFront(q.tcp6({ ...ends, flags, seq: flow + seq, ack, payload: p.pattern(seq) }));
};

/** What the server says to whomever it was asked by. */
function reply(flow: number, asked: Step, flags: string, seq: number): Arriving {
  const { bytes } = asked.outputs[0] as Output;
  const words = Array.from({ length: 8 }, (_, at) => readU16(bytes, 22 + 2 * at).toString(16));
  const ends = { from: R, to: `[${words.join(':')}]:${readU16(bytes, 54)}` };
  if (isUdp(flow)) return fromBack(q.udp6({ ...ends, payload: p.pattern(30 + seq) }));
  return fromBack(q.tcp6({ ...ends, flags, seq, ack: flow + 1 }));
}

/** Established TCP, UDP that has gone on for a while. Returns the steps of the SYNs. */
function establish(bench: Bench, way: Way, atMs = 0): Step[] {
  const asked = bench.run(
    numbers.map((flow) => request(way, flow, 'S', 0)),
    atMs,
  );
  if (seesReplies(way)) {
    const said = numbers.map((flow) => reply(flow, asked[flow] as Step, 'SA', 7));
    bench.run(said, atMs + 10);
  }
  bench.run(
    numbers.map((flow) => request(way, flow, 'A', 1, 8)),
    atMs + 20,
  );
  return asked;
}

/** What left, but for the outer IP ID of a tunnel through IPv4, which is each director's own. */
function frames(steps: Step[], way: Way): unknown[] {
  return steps.map(({ kind, end, outputs }) => ({
    kind,
    end,
    out: outputs.map(({ port, bytes }) => {
      const copy = bytes.slice();
      if (way === 'sixInFour') copy.fill(0, 18, 20).fill(0, 24, 26);
      return { port, bytes: Buffer.from(copy).toString('hex') };
    }),
  }));
}

const CREWS: [string, BenchOptions, BenchOptions][] = [
  ['one worker each', {}, {}],
  ['2 workers, 3 workers', { workers: 2 }, { workers: 3 }],
  ['NICs that spread IPv4', { workers: 4, distribution: 'nic' }, { workers: 4 }],
  ['4 workers, then one', { workers: 4 }, {}],
];

for (const way of WAYS) {
  for (const [crews, first, second] of CREWS) {
    test(`${way}, ${crews}: all connections go on through the other director`, () => {
      const pair = new Pair(one(), { first, second });
      const asked = establish(pair.first, way);
      pair.exchange(50);
      assert.is(pair.second.connections().length, 0, 'not before they are 100 ms old');
      pair.exchange(150);
      assert.is(pair.second.connections().length, FLOWS, JSON.stringify(pair.second.sync()));
      assert.equal(agreed(pair.second.connections()), agreed(pair.first.connections()));

      const more = numbers.map((flow) => request(way, flow, 'PA', 5, 9));
      const there = pair.second.run(more, 1000);
      assert.equal(frames(there, way), frames(pair.first.run(more, 1000), way));
      assert.ok(there.every(({ kind }) => kind === 'forwarded'));
      if (seesReplies(way)) {
        const answers = numbers.map((flow) => reply(flow, asked[flow] as Step, 'PA', 60));
        const back = pair.second.run(answers, 1010);
        assert.equal(frames(back, way), frames(pair.first.run(answers, 1010), way));
        assert.ok(back.every(({ kind }) => kind === 'forwarded'));
      }
      // No new connection was made for any of this, and each is in the figures once.
      assert.is(pair.second.connections().length, FLOWS);
      assert.is(pair.second.counters().extra.connections_created, 0);
      assert.is(pair.second.counters().extra.connections, FLOWS);
      assert.equal(pair.second.invariants(), []);
      pair.close();
    });
  }
}

test('IPv4 in IPv6: connections to servers that a record cannot name go on, too', () => {
  const text = yaml6({ servers: 3 }).replaceAll(`"[${VIPS.tun}]:80"`, '"203.0.113.10:80"');
  for (const [crews, first, second] of CREWS) {
    const pair = new Pair(yamlWorld(text), { first, second });
    const from = (flow: number) => `198.18.0.${flow + 2}:${2000 + flow}`;
    const all = (seq: number) =>
      numbers.map((flow) =>
        fromFront(p.udp({ from: from(flow), to: '203.0.113.10:80', payload: p.pattern(seq) })),
      );
    pair.first.run(all(1), 0);
    pair.first.run(all(2), 20);
    pair.exchange(150);
    assert.is(pair.second.connections().length, FLOWS, crews);
    assert.equal(agreed(pair.second.connections()), agreed(pair.first.connections()));
    const servers = new Set(pair.second.connections().map(({ server }) => server));
    assert.equal([...servers].sort(), ['2001:db8:2::11', '2001:db8:2::12', '2001:db8:2::13']);
    const there = pair.second.run(all(3), 1000);
    assert.equal(frames(there, 'tun'), frames(pair.first.run(all(3), 1000), 'tun'));
    assert.ok(there.every(({ end }) => end === 'forwarded_tun'));
    assert.is(pair.second.counters().extra.connections_created, 0);
    pair.close();
  }
});

test('who carries the traffic tells of it: closed through the second, over on both', () => {
  const pair = new Pair(one());
  const asked = establish(pair.first, 'fullnat');
  pair.exchange(200);
  const tcp = numbers.filter((flow) => !isUdp(flow));
  const closing = tcp.filter((_, index) => index % 2 === 0);
  pair.second.run(
    closing.map((flow) => request('fullnat', flow, 'FA', 1, 8)),
    1000,
  );
  pair.second.run(
    closing.map((flow) => reply(flow, asked[flow] as Step, 'FA', 8)),
    1010,
  );
  pair.exchange(1200);
  assert.equal(agreed(pair.first.connections()), agreed(pair.second.connections()));
  const states = pair.first.connections().map(({ state }) => state);
  assert.is(states.filter((state) => state === 'TIME_WAIT').length, closing.length);
  pair.close();
});

test('a connection that lives is told again before it could time out; one that does not, ends', () => {
  const world = one();
  world.snapshot.timeouts = Array.from({ length: 12 }, () => 6000);
  const pair = new Pair(world, { first: { workers: 2 }, second: { workers: 3 } });
  establish(pair.first, 'fullnat');
  for (let at = 500; at <= 30_000; at += 500) {
    pair.first.run(
      numbers.slice(0, 20).map((flow) => request('fullnat', flow, 'A', 1, 8)),
      at,
    );
    pair.exchange(at);
  }
  assert.is(pair.first.connections().length, 20);
  assert.equal(agreed(pair.second.connections()), agreed(pair.first.connections()));
  for (let at = 31_000; at <= 50_000; at += 1000) pair.exchange(at);
  assert.is(pair.second.connections().length, 0);
  assert.is(pair.second.counters().extra.connections, 0);
  pair.close();
});

test('a client that only listens finds its way after longer than a timeout', () => {
  const world = one();
  world.snapshot.timeouts = Array.from({ length: 12 }, () => 6000);
  const udp = numbers.filter(isUdp);
  const pair = new Pair(world, { first: { workers: 2 }, second: { workers: 3 } });
  const asked = establish(pair.first, 'fullnat');
  pair.exchange(200);
  for (let at = 500; at <= 20_000; at += 500) {
    const said = udp.map((flow) => reply(flow, asked[flow] as Step, '', 1));
    assert.ok(pair.second.run(said, at).every(({ kind }) => kind === 'forwarded'));
    pair.exchange(at);
  }
  const heard = pair.second.run(
    udp.map((flow) => request('fullnat', flow, '', 2)),
    20_100,
  );
  assert.ok(heard.every(({ kind }) => kind === 'forwarded'));
  assert.is(pair.second.counters().extra.connections_created, 0);
  assert.ok((pair.second.sync().signposts ?? 0) > 0, 'some arrive at another worker');
  pair.close();
});

test('a director that starts later asks for everything, of both families in one answer', () => {
  const pair = new Pair(one(), { first: { workers: 4 } });
  pair.wire = () => false;
  establish(pair.first, 'nat');
  establish(pair.first, 'fullnat', 30);
  for (let at = 200; at <= 9000; at += 400) pair.exchange(at);
  assert.is(pair.second.connections().length, 0);
  pair.wire = () => true;
  pair.exchange(9500);
  assert.equal(agreed(pair.second.connections()), agreed(pair.first.connections()));
  assert.is(pair.first.sync().bulks_given, 1);
  assert.is(pair.second.sync().bulks_done, 1);
  pair.close();
});

test('directors that share local addresses give out different ports of them', () => {
  for (const crew of [{}, { workers: 3 }]) {
    const pair = new Pair(one(), {
      first: { ...crew, portHalf: 0 },
      second: { ...crew, portHalf: 1 },
    });
    const asked = numbers.map((flow) => request('fullnat', flow, 'S', 0));
    pair.first.run(asked, 0);
    pair.second.run(asked, 0);
    const ports = (bench: Bench) => bench.connections().map(({ localPort }) => localPort);
    assert.ok(ports(pair.first).every((port) => port >= 1024 && port < 32768));
    assert.ok(ports(pair.second).every((port) => port >= 32768));
    pair.close();
  }
});

test('an adopted local port is not given out again, and free when its connection has ended', () => {
  const pair = new Pair(one());
  establish(pair.first, 'fullnat');
  pair.exchange(200);
  const held = new Set(pair.second.connections().map(({ localPort }) => localPort));
  assert.is(held.size > 0, true);
  // Others of the same server, through the second director.
  pair.second.run(
    numbers.map((flow) => request('fullnat', flow + 1000, 'S', 0)),
    1000,
  );
  const ends = pair.second
    .connections()
    .map((c) => `${c.protocol} ${c.local} ${c.localPort} ${c.server}`);
  assert.is(new Set(ends).size, 2 * FLOWS);
  assert.is(pair.second.connections()[0]?.local, LIP6);
  pair.close();
});

test('what the other director does not have is refused by name', () => {
  const pair = new Pair(one());
  establish(pair.first, 'fullnat');
  const elsewhere = yaml6().replaceAll(`["${LIP6}"]`, '["2001:db8:2::299"]');
  pair.second.publish(yamlWorld(elsewhere).snapshot);
  pair.exchange(200);
  assert.is(pair.second.connections().length, 0);
  assert.ok((pair.second.sync().refused_local ?? 0) >= FLOWS);
  pair.close();
});

test('any traffic, any losses: in the end both have the same connections', () => {
  const step = fc.record({
    way: fc.constantFrom(...WAYS),
    flow: fc.nat(30),
    what: fc.constantFrom('S', 'A', 'A', 'A', 'FA', 'R'),
    wait: fc.constantFrom(0, 1, 30, 150, 700),
  });
  const losses = fc.array(fc.boolean(), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), losses, (steps, lost) => {
      const pair = new Pair(one(), { first: { workers: 2 }, second: { workers: 3 } });
      let sent = 0;
      pair.wire = () => !(lost[sent++ % lost.length] as boolean);
      let now = 0;
      for (const { way, flow, what, wait } of steps) {
        now += wait;
        pair.first.run([request(way, flow, what, 1, 2)], now);
        if (wait > 100) pair.exchange(now);
      }
      // The wire is whole again; two sweeps later whatever was lost has been told again.
      pair.wire = () => true;
      for (let tick = 1; tick <= 50; tick++) pair.exchange(now + tick * 500);
      const open = (bench: Bench) =>
        bench.connections().filter(({ state }) => state === 'ESTABLISHED' || state === 'UDP');
      const known = agreed(pair.second.connections());
      const missing = agreed(open(pair.first)).filter(
        (line) => !known.includes(line) && !line.startsWith('udp'),
      );
      assert.equal(missing, []);
      // And nothing that the first never had, or had with other ends.
      const ends = (line: string) => line.split(' ').slice(0, -1).join(' ');
      const had = new Set(agreed(pair.first.connections()).map(ends));
      assert.equal(
        agreed(open(pair.second)).filter((line) => !had.has(ends(line))),
        [],
      );
      assert.equal(pair.second.invariants(), []);
      pair.close();
    }),
    { numRuns: 40 },
  );
});

test.run();
