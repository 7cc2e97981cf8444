/**
 * Several workers behind a NIC that spreads packets by RSS: in FullNAT and ENAT nothing is handed from
 * one worker to another in either direction, whatever the NIC does no packet is lost, and what
 * leaves is what one worker would have sent.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Distribution, Mode } from '../../src/native.js';
import { dissect, type Ip } from '../support/dissect.js';
import { LIP, R, RIP, SERVER_SIDE_ROUTER, V, VIP } from '../support/flow.js';
import type { Output } from '../support/model/verdicts.js';
import * as p from '../support/packet.js';
import { type Arriving, Bench, type BenchOptions, type Step } from '../support/replay.js';
import { fromBack, fromFront } from '../support/table.js';
import { world } from '../support/world.js';

const FLOWS = 400;
const client = (flow: number) =>
  `198.18.${flow >> 8}.${flow & 255}:${1024 + ((flow * 37) % 60000)}`;

function bench(mode: Mode, options: BenchOptions, locals = [LIP]): Bench {
  const services = (['tcp', 'udp'] as const).map((protocol) => ({
    listen: V,
    protocol,
    mode,
    servers: [mode === 'dr' || mode === 'tun' ? `${RIP}:80` : R],
    locals: mode === 'fullnat' || mode === 'enat' ? locals : [],
  }));
  return new Bench(world({ services, owned: [VIP, ...locals] }), { burst: 32, ...options });
}

/** Even flows are UDP. */
function request(flow: number): Arriving {
  const ends = { from: client(flow), to: V };
  if (flow % 2 === 0) return fromFront(p.udp({ ...ends, payload: p.pattern(20) }));
  return fromFront(p.tcp({ ...ends, flags: 'S', seq: flow }));
}

/** What the server says to whomever it was asked by. */
function reply(flow: number, step: Step): Arriving {
  const { src, tcp, udp } = dissect((step.outputs[0] as Output).bytes).ip as Ip;
  const ends = { from: R, to: `${src}:${(tcp ?? udp)?.sport}` };
  if (flow % 2 === 0) return fromBack(p.udp({ ...ends, payload: p.pattern(30) }));
  return fromBack(p.tcp({ ...ends, flags: 'SA', seq: 7, ack: flow + 1 }));
}

const localPort = ({ bytes }: Output) => dissect(bytes).ip?.udp?.sport as number;

const FLOW_NUMBERS = Array.from({ length: FLOWS }, (_, flow) => flow);

/** Each flow asks, is answered if the director sees that, and asks again. */
function converse(one: Bench, mode: Mode): Step[] {
  const asked = one.run(FLOW_NUMBERS.map(request), 0);
  const seen = mode === 'nat' || mode === 'fullnat';
  const answered = seen
    ? one.run(
        FLOW_NUMBERS.map((flow) => reply(flow, asked[flow] as Step)),
        10,
      )
    : [];
  const again = one.run(FLOW_NUMBERS.map(request), 20);
  assert.equal(one.invariants(), []);
  return [...asked, ...answered, ...again];
}

const handedOff = (one: Bench) => one.counters().extra.handed_off as number;

function allForwarded(steps: Step[]): void {
  const others = steps.filter(({ kind }) => kind !== 'forwarded').map(({ end }) => end);
  assert.equal([...new Set(others)], []);
}

for (const workers of [2, 3, 4, 16]) {
  for (const mode of ['fullnat', 'enat', 'dr', 'tun'] as const) {
    test(`${mode}, ${workers} workers: nothing is handed off`, () => {
      const one = bench(mode, { workers, distribution: 'nic' });
      allForwarded(converse(one, mode));
      assert.is(handedOff(one), 0);
      const made = new Set(one.connections().map(({ worker }) => worker));
      assert.is(made.size, workers, 'every worker has flows');
      one.close();
    });
  }
}

for (const distribution of ['otherKey', 'noHash'] as Distribution[]) {
  test(`a NIC found to be of no use (${distribution}) costs hand-offs and nothing else`, () => {
    for (const mode of ['fullnat', 'nat', 'enat', 'tun'] as const) {
      const one = bench(mode, { workers: 4, distribution });
      allForwarded(converse(one, mode));
      // A NIC that only keeps its hash to itself does bring packets to the right queue.
      const spreads = distribution === 'noHash' && mode !== 'nat';
      assert.ok(spreads ? handedOff(one) === 0 : handedOff(one) > FLOWS / 2, `${handedOff(one)}`);
      one.close();
    }
  });
}

test('NAT: requests and replies find the same worker', () => {
  for (const workers of [2, 3, 4]) {
    const one = bench('nat', { workers, distribution: 'nic' });
    allForwarded(converse(one, 'nat'));
    assert.is(one.connections().length, FLOWS);
    one.close();
  }
});

/** What left, without what a director is free to choose; checksums are right or not. */
function plain(steps: Step[], mode: Mode): unknown[] {
  const chosen = ['id', 'checksum', ...(mode === 'fullnat' || mode === 'enat' ? ['sport'] : [])];
  const free = (key: string, value: unknown) => (chosen.includes(key) ? undefined : value);
  return steps.map(({ kind, end, outputs }) => {
    const frames = outputs.map(({ port, bytes }) => {
      const { ip } = dissect(bytes);
      return { port, bytes: bytes.length, ip: JSON.stringify(ip, free) };
    });
    return { kind, end, frames };
  });
}

test('what leaves is the same with 1, 2 and 4 workers, but for the local port', () => {
  for (const mode of ['nat', 'dr', 'tun', 'fullnat', 'enat'] as const) {
    const alone = bench(mode, { workers: 1 });
    const wanted = plain(converse(alone, mode), mode);
    alone.close();
    for (const workers of [2, 4]) {
      for (const distribution of ['nic', 'inTurn', 'otherKey'] as const) {
        const one = bench(mode, { workers, distribution });
        const got = plain(converse(one, mode), mode);
        const differs = got.findIndex(
          (step, i) => JSON.stringify(step) !== JSON.stringify(wanted[i]),
        );
        assert.is(
          differs,
          -1,
          `${mode}, ${workers}, ${distribution}: ${JSON.stringify(got[differs])}`,
        );
        one.close();
      }
    }
  }
});

test('workers divide the ports of a local address: all are used, once, and no other', () => {
  const ports = 65536 - 1024;
  for (const workers of [2, 3]) {
    const one = bench(
      'fullnat',
      { workers, distribution: 'nic', limits: { maxConnections: 1 << 16 } },
      [LIP],
    );
    const taken = new Set<number>();
    const ask = (flow: number) =>
      fromFront(
        p.udp({
          from: `198.${18 + (flow >> 16)}.${(flow >> 8) & 255}.${flow & 255}:5000`,
          to: V,
          payload: '',
        }),
      );
    // More than there are ports: every worker runs out of its own and takes those of older flows.
    for (let first = 0; first < 70_000; first += 4_000) {
      const steps = one.run(
        Array.from({ length: 4_000 }, (_, i) => ask(first + i)),
        first / 4_000,
      );
      for (const { outputs } of steps) taken.add(localPort(outputs[0] as Output));
    }
    assert.is(taken.size, ports, `${workers} workers`);
    assert.ok(Math.min(...taken) >= 1024);
    assert.is(one.connections().length, ports);
    assert.is(handedOff(one), 0);
    one.close();
  }
});

test('errors about what ENAT sent from the VIP itself find their flow', () => {
  for (const distribution of ['nic', 'inTurn'] as const) {
    const one = bench('enat', { workers: 4, distribution }, []);
    const asked = one.run(FLOW_NUMBERS.map(request), 0);
    const errors = asked.map(({ outputs }) =>
      fromBack(
        p.icmpError({
          from: SERVER_SIDE_ROUTER,
          to: VIP,
          type: 3,
          code: 1,
          quote: (outputs[0] as Output).bytes,
        }),
      ),
    );
    const ends = new Set(one.run(errors, 5).map(({ end }) => end));
    assert.equal([...ends], ['forwarded_icmp_error'], distribution);
    one.close();
  }
});

test.run();
