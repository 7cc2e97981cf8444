/**
 * Connections made on one director go on through the other, in every mode: the same packets leave
 * in the same form, whatever the workers and NICs of either.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Mode } from '../../src/native.js';
import { dissect, type Ip } from '../support/dissect.js';
import { LIP, R, RIP, V, VIP } from '../support/flow.js';
import type { Output } from '../support/model/verdicts.js';
import * as p from '../support/packet.js';
import type { Arriving, Bench, BenchOptions, Step } from '../support/replay.js';
import { fromBack, fromFront } from '../support/table.js';
import { world } from '../support/world.js';
import { agreed, Pair } from './pair.js';

const FLOWS = 200;
const numbers = Array.from({ length: FLOWS }, (_, flow) => flow);
const client = (flow: number) =>
  `198.18.${flow >> 8}.${flow & 255}:${1024 + ((flow * 37) % 60000)}`;
const isUdp = (flow: number) => flow % 2 === 0;
const seesReplies = (mode: Mode) => mode === 'nat' || mode === 'fullnat';

function worldOf(mode: Mode, up = true) {
  const services = (['tcp', 'udp'] as const).map((protocol) => ({
    listen: V,
    protocol,
    mode,
    servers: [{ at: mode === 'dr' || mode === 'tun' ? `${RIP}:80` : R, up }],
    locals: mode === 'fullnat' || mode === 'enat' ? [LIP] : [],
  }));
  return world({ services, owned: [VIP, ...(mode === 'fullnat' || mode === 'enat' ? [LIP] : [])] });
}

const request = (flow: number, flags: string, seq: number, ack = 0): Arriving => {
  const ends = { from: client(flow), to: V };
  if (isUdp(flow)) return fromFront(p.udp({ ...ends, payload: p.pattern(20 + seq) }));
  return fromFront(p.tcp({ ...ends, flags, seq: flow + seq, ack, payload: p.pattern(seq) }));
};

/** What the server says to whomever it was asked by. */
function reply(flow: number, asked: Step, flags: string, seq: number): Arriving {
  const { src, tcp, udp } = dissect((asked.outputs[0] as Output).bytes).ip as Ip;
  const ends = { from: R, to: `${src}:${(tcp ?? udp)?.sport}` };
  if (isUdp(flow)) return fromBack(p.udp({ ...ends, payload: p.pattern(30 + seq) }));
  return fromBack(p.tcp({ ...ends, flags, seq, ack: flow + 1 }));
}

/** Established TCP, UDP that has gone on for a while. Returns the steps of the SYNs. */
function establish(one: Bench, mode: Mode): Step[] {
  const asked = one.run(
    numbers.map((flow) => request(flow, 'S', 0)),
    0,
  );
  if (seesReplies(mode)) {
    one.run(
      numbers.map((flow) => reply(flow, asked[flow] as Step, 'SA', 7)),
      10,
    );
  }
  one.run(
    numbers.map((flow) => request(flow, 'A', 1, 8)),
    20,
  );
  return asked;
}

/** What left, but for the outer IP ID of a tunnel, which is each director's own. */
function frames(steps: Step[], mode: Mode): unknown[] {
  return steps.map(({ kind, end, outputs }) => ({
    kind,
    end,
    out: outputs.map(({ port, bytes }) => {
      const copy = bytes.slice();
      if (mode === 'tun') copy.fill(0, 18, 20).fill(0, 24, 26);
      return { port, bytes: Buffer.from(copy).toString('hex') };
    }),
  }));
}

const CREWS: [string, BenchOptions, BenchOptions][] = [
  ['one worker each', {}, {}],
  ['2 workers, 3 workers, by ring', { workers: 2 }, { workers: 3 }],
  ['a NIC that spreads to 2, 4 by ring', { workers: 2, distribution: 'nic' }, { workers: 4 }],
  [
    'NICs with different keys',
    { workers: 4, distribution: 'nic' },
    { workers: 4, distribution: 'nic' },
  ],
  ['4 workers, then one', { workers: 4 }, {}],
];

for (const mode of ['nat', 'dr', 'tun', 'fullnat', 'enat'] as const) {
  for (const [crews, first, second] of CREWS) {
    test(`${mode}, ${crews}: all connections go on through the other director`, () => {
      const pair = new Pair(worldOf(mode), { first, second });
      const asked = establish(pair.first, mode);
      pair.exchange(50);
      assert.is(pair.second.connections().length, 0, 'not before they are 100 ms old');
      pair.exchange(150);
      assert.is(pair.second.connections().length, FLOWS);
      assert.equal(agreed(pair.second.connections()), agreed(pair.first.connections()));

      const more = numbers.map((flow) => request(flow, 'PA', 5, 9));
      const there = pair.second.run(more, 1000);
      assert.equal(frames(there, mode), frames(pair.first.run(more, 1000), mode));
      assert.ok(there.every(({ kind }) => kind === 'forwarded'));
      if (seesReplies(mode)) {
        const answers = numbers.map((flow) => reply(flow, asked[flow] as Step, 'PA', 60));
        const back = pair.second.run(answers, 1010);
        assert.equal(frames(back, mode), frames(pair.first.run(answers, 1010), mode));
        assert.ok(back.every(({ kind }) => kind === 'forwarded'));
      }
      // No new connection was made for any of this, and each is in the figures once.
      assert.is(pair.second.connections().length, FLOWS);
      assert.is(pair.second.counters().extra.connections_created, 0);
      assert.is(pair.second.counters().extra.connections, FLOWS);
      const { active, inactive } = pair.second.counters().servers[0] as Record<string, number>;
      assert.is((active ?? 0) + (inactive ?? 0), FLOWS / 2);
      assert.equal(pair.second.invariants(), []);
      pair.close();
    });
  }
}

for (const [crews, first, second] of CREWS) {
  test(`a persistent client with a connection stays with its server, ${crews}`, () => {
    persistent(first, second);
  });
}

function persistent(first: BenchOptions, second: BenchOptions): void {
  const servers = [1, 2, 3, 4].map((n) => `198.51.100.${10 + n}:80`);
  const persistent = { persistenceMs: 300_000, clientBits: 24 };
  const service = { listen: V, mode: 'dr' as const, scheduler: 'rr' as const, servers };
  const services = [{ ...service, ...persistent }];
  const pair = new Pair(world({ services, owned: [VIP] }), { first, second });
  const visit = (one: Bench, n: number, port: number, atMs: number) => {
    const ends = { from: `198.18.${n}.1:${port}`, to: V };
    const syn = fromFront(p.tcp({ ...ends, flags: 'S' }));
    const ack = fromFront(p.tcp({ ...ends, flags: 'A' }));
    return one.run([syn, ack], atMs)[0]?.server;
  };
  const had = [1, 2, 3, 4, 5].map((n) => visit(pair.first, n, 1_000, 0));
  pair.exchange(500);
  pair.exchange(1_000);
  const got = [5, 3, 1, 2, 4].map((n) => [n, visit(pair.second, n, 2_000, 1_500)] as const);
  for (const [n, server] of got) assert.is(server, had[n - 1], `client ${n}`);
  // Their connections lie where their packets come.
  for (const n of [1, 2, 3, 4, 5]) {
    const more = p.tcp({ from: `198.18.${n}.1:1000`, to: V, flags: 'PA', seq: 1 });
    assert.is(pair.second.run([fromFront(more)], 1_600)[0]?.server, had[n - 1], `client ${n}`);
  }
  assert.is(pair.second.counters().extra.connections_created, 5);
  pair.close();
}

test('connections that end within the bound are never told', () => {
  const pair = new Pair(worldOf('dr'));
  pair.first.run(
    numbers.map((flow) => request(flow, 'S', 0)),
    0,
  );
  pair.first.run(
    numbers.map((flow) => request(flow, 'A', 1, 8)),
    5,
  );
  pair.first.run(
    numbers.map((flow) => request(flow, 'FA', 1, 8)),
    10,
  );
  pair.first.run(
    numbers.map((flow) => request(flow, 'R', 2)),
    15,
  );
  pair.exchange(2000);
  // UDP flows have sent more than one packet.
  assert.equal([...new Set(pair.second.connections().map(({ protocol }) => protocol))], ['udp']);
  pair.close();
});

test('UDP that asks once is not told', () => {
  const pair = new Pair(worldOf('fullnat'));
  pair.first.run(
    numbers.filter(isUdp).map((flow) => request(flow, '', 0)),
    0,
  );
  for (const at of [150, 2500, 11_000, 21_000]) pair.exchange(at);
  assert.is(pair.second.connections().length, 0);
  pair.close();
});

test('UDP that goes on late is told by a sweep', () => {
  const pair = new Pair(worldOf('fullnat'));
  pair.first.run([request(0, '', 0)], 0);
  pair.exchange(3000);
  pair.first.run([request(0, '', 1)], 4000);
  for (let at = 5000; at <= 30_000; at += 1000) pair.exchange(at);
  assert.is(pair.second.connections().length, 1);
  pair.close();
});

test('who carries the traffic tells of it: back and forth without a word from anybody', () => {
  const pair = new Pair(worldOf('fullnat'));
  const asked = establish(pair.first, 'fullnat');
  pair.exchange(200);
  const tcp = numbers.filter((flow) => !isUdp(flow));
  // Half of the clients close, through the second director.
  const closing = tcp.filter((_, index) => index % 2 === 0);
  const last = pair.second.run(
    closing.map((flow) => request(flow, 'FA', 1, 8)),
    1000,
  );
  assert.ok(last.every(({ kind }) => kind === 'forwarded'));
  pair.second.run(
    closing.map((flow) => reply(flow, asked[flow] as Step, 'FA', 8)),
    1010,
  );
  pair.exchange(1200);
  assert.equal(agreed(pair.first.connections()), agreed(pair.second.connections()));
  const states = pair.first.connections().map(({ state }) => state);
  assert.is(states.filter((state) => state === 'TIME_WAIT').length, closing.length);
  // And the others go on through the first again.
  const others = tcp.filter((_, index) => index % 2 === 1);
  const back = pair.first.run(
    others.map((flow) => request(flow, 'PA', 3, 9)),
    2000,
  );
  assert.ok(back.every(({ kind }) => kind === 'forwarded'));
  pair.close();
});

test('a connection that lives is told again before it could time out; one that does not, ends', () => {
  const timeouts = Array.from({ length: 12 }, () => 6000);
  const one = worldOf('nat');
  one.snapshot.timeouts = timeouts;
  const pair = new Pair(one);
  establish(pair.first, 'nat');
  for (let at = 500; at <= 30_000; at += 500) {
    pair.first.run(
      numbers.slice(0, 20).map((flow) => request(flow, 'A', 1, 8)),
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
  const one = worldOf('fullnat');
  one.snapshot.timeouts = Array.from({ length: 12 }, () => 6000);
  const udp = numbers.filter(isUdp);
  for (const second of [{ workers: 3 }, { workers: 4, distribution: 'nic' }] as const) {
    const pair = new Pair(one, { first: { workers: 2, distribution: 'nic' }, second });
    const asked = establish(pair.first, 'fullnat');
    pair.exchange(200);
    for (let at = 500; at <= 20_000; at += 500) {
      const said = pair.second.run(
        udp.map((flow) => reply(flow, asked[flow] as Step, '', 1)),
        at,
      );
      assert.ok(said.every(({ kind }) => kind === 'forwarded'));
      pair.exchange(at);
    }
    const heard = pair.second.run(
      udp.map((flow) => request(flow, '', 2)),
      20_100,
    );
    assert.ok(heard.every(({ kind }) => kind === 'forwarded'));
    assert.is(pair.second.counters().extra.connections_created, 0);
    assert.ok((pair.second.sync()?.signposts ?? 0) > 0, 'some arrive at another worker');
    pair.close();
  }
});

test('a director that starts later asks for everything, and gets it', () => {
  const pair = new Pair(worldOf('fullnat'), { first: { workers: 4 } });
  pair.wire = () => false;
  establish(pair.first, 'fullnat');
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
  for (const crew of [{}, { workers: 2 }, { workers: 4, distribution: 'nic' }] as const) {
    const pair = new Pair(worldOf('fullnat'), {
      first: { ...crew, portHalf: 0 },
      second: { ...crew, portHalf: 1 },
    });
    const asked = numbers.map((flow) => request(flow, 'S', 0));
    pair.first.run(asked, 0);
    pair.second.run(asked, 0);
    const ports = (one: Bench) => one.connections().map(({ localPort }) => localPort);
    assert.ok(ports(pair.first).every((port) => port >= 1024 && port < 32768));
    assert.ok(ports(pair.second).every((port) => port >= 32768));
    pair.close();
  }
});

test('the connection that saw a packet last is the true one', () => {
  // Each director has its own connection of the same clients, as after a split; the first's is newer.
  const pair = new Pair(worldOf('fullnat'));
  pair.wire = () => false;
  establish(pair.second, 'fullnat');
  pair.exchange(500);
  pair.first.run(
    numbers.map((flow) => request(flow, 'S', 0)),
    1000,
  );
  const asked = pair.first.run(
    numbers.map((flow) => request(flow, 'S', 0)),
    1001,
  );
  pair.first.run(
    numbers.map((flow) => reply(flow, asked[flow] as Step, 'SA', 7)),
    1010,
  );
  pair.first.run(
    numbers.map((flow) => request(flow, 'A', 1, 8)),
    1020,
  );
  pair.wire = () => true;
  pair.exchange(1300);
  assert.equal(agreed(pair.second.connections()), agreed(pair.first.connections()));
  assert.is(pair.second.counters().extra.connections, FLOWS);
  assert.ok((pair.second.sync().replaced ?? 0) > FLOWS / 2);
  pair.close();
});

test('what the other director does not have is refused by name', () => {
  const pair = new Pair(worldOf('fullnat'));
  establish(pair.first, 'fullnat');
  const other = world({
    services: [{ listen: V, mode: 'fullnat', servers: [`${RIP}:81`], locals: [LIP] }],
    owned: [VIP, LIP],
  });
  pair.second.publish(other.snapshot);
  pair.exchange(200);
  assert.is(pair.second.connections().length, 0);
  const { refused_service, refused_server } = pair.second.sync();
  assert.ok((refused_service ?? 0) >= FLOWS / 2, 'UDP has no service there');
  assert.ok((refused_server ?? 0) >= FLOWS / 2, 'TCP has another server there');
  pair.close();
});

test.run();
