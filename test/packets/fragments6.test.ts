/**
 * IPv6 fragments of datagrams that concern the director: put together in any order, sent on in
 * fragments, each tunnelled by itself where there is a tunnel, and let go after 30 s. The dumb model
 * says what the whole packet becomes.
 */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { concat, readU16, readU32, u16 } from '../support/bytes.js';
import { differ } from '../support/duo.js';
import { Model6, type Sent, server6 } from '../support/model/model6.js';
import * as p from '../support/packet.js';
import * as q from '../support/packet6.js';
import { Bench, type Step } from '../support/replay.js';
import { fromBack, fromFront } from '../support/table.js';
import { BACK6, CIP6, FRONT6, LIP6, RIP6, VIPS, type Way, yaml6 } from '../support/world6.js';
import { yamlWorld } from '../support/yaml.js';

const FRAGMENT = 44;
const ETHERNET = 14;
const HEADER = 40;
const CLIENT = `[${CIP6}]:40000`;

/** The packet in `frame` cut behind `size` bytes each, a multiple of 8. */
function split(frame: Uint8Array, size: number, id = 0x1234): Uint8Array[] {
  const packet = q.ip6Of(frame);
  const body = packet.subarray(HEADER);
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < body.length; at += size) {
    const piece = body.subarray(at, at + size);
    const more = at + size < body.length ? 1 : 0;
    const extension = concat(
      Uint8Array.of(packet[6] as number, 0),
      u16(at | more),
      Uint8Array.of(0, 0, id >> 8, id & 255),
    );
    pieces.push(
      concat(
        frame.subarray(0, ETHERNET + 4),
        u16(8 + piece.length),
        Uint8Array.of(FRAGMENT, packet[7] as number),
        packet.subarray(8, HEADER),
        extension,
        piece,
      ),
    );
  }
  return pieces;
}

/** What fragments, in order, were cut from; each has the same header and identification. */
function join(frames: Uint8Array[]): Uint8Array {
  const first = frames[0] as Uint8Array;
  const at = ETHERNET + HEADER;
  let length = 0;
  frames.forEach((frame, index) => {
    assert.is(frame[ETHERNET + 6], FRAGMENT, 'a fragment header');
    assert.equal(frame.subarray(0, ETHERNET + 4), first.subarray(0, ETHERNET + 4));
    assert.equal(frame.subarray(ETHERNET + 7, at), first.subarray(ETHERNET + 7, at));
    assert.is(frame[at], first[at], 'the next header');
    assert.is(readU32(frame, at + 4), readU32(first, at + 4), 'the identification');
    const last = index === frames.length - 1;
    assert.is(readU16(frame, at + 2), length | (last ? 0 : 1), 'the offset');
    length += frame.length - at - 8;
    assert.is(readU16(frame, ETHERNET + 4), frame.length - at);
  });
  return concat(
    first.subarray(0, ETHERNET + 4),
    u16(length),
    Uint8Array.of(first[at] as number),
    first.subarray(ETHERNET + 7, at),
    ...frames.map((frame) => frame.subarray(at + 8)),
  );
}

/** Out of an IPv6 tunnel that leaves the frame's MACs around. */
const unwrapped = (frame: Uint8Array) =>
  concat(frame.subarray(0, ETHERNET), frame.subarray(ETHERNET + HEADER));

const request = (way: Way, length: number, more: Partial<Sent> = {}): Sent => ({
  way,
  protocol: 'udp',
  reply: false,
  client: CLIENT,
  flags: '',
  hops: 64,
  trafficClass: 0,
  payload: p.pattern(length),
  options: false,
  ...more,
});

const benchOf = (workers = 1, yaml = yaml6()) => new Bench(yamlWorld(yaml), { workers });
const localOf = (bench: Bench) => {
  const found = bench.connections().find(({ mode }) => mode === 'fullnat');
  return `[${found?.local}]:${found?.localPort}`;
};
const ends = (steps: Step[]) => steps.map(({ end }) => end);
const orders: [string, <T>(list: T[]) => T[]][] = [
  ['in order', (list) => list],
  ['last first', (list) => [...list].reverse()],
  ['mixed', ([first, second, ...rest]) => [second, first, ...rest] as typeof rest],
];

for (const way of ['nat', 'dr', 'tun', 'fullnat'] as const) {
  for (const [order, change] of orders) {
    test(`${way}: a UDP request in three fragments, ${order}`, () => {
      const bench = benchOf();
      const model = new Model6(1);
      const sent = request(way, 2_000);
      const pieces = split(model.arriving(sent) as Uint8Array, 800);
      const steps = bench.run(change(pieces).map(fromFront), 0);
      assert.equal(ends(steps), ['reassembled', 'reassembled', `forwarded_${way}`]);
      const frames = steps[2]!.outputs.map(({ bytes }) => bytes);
      assert.is(frames.length, 3);
      const inner = way === 'tun' ? frames.map(unwrapped) : frames;
      assert.ok(inner.every((frame) => frame.length <= ETHERNET + HEADER + 8 + 800));
      const expected = model.step(sent, () => localOf(bench)).frame as Uint8Array;
      const whole = way === 'tun' ? unwrapped(expected) : expected;
      assert.equal(differ(join(inner), whole), []);
      if (way === 'tun') {
        assert.equal(
          frames.map((frame) => [frame[ETHERNET + 6], readU16(frame, ETHERNET + 4) + HEADER]),
          inner.map((frame) => [41, frame.length - ETHERNET + HEADER]),
        );
      }
      const { extra } = bench.counters();
      assert.is(extra.datagrams_reassembled, 1);
      assert.is(extra.fragments_made, 3);
      assert.equal(bench.invariants(), []);
      bench.close();
    });
  }
}

test('6in4: each fragment is a tunnel packet of its own', () => {
  const bench = benchOf();
  const frame = new Model6(1).arriving(request('sixInFour', 2_000)) as Uint8Array;
  const steps = bench.run(split(frame, 1_200).map(fromFront), 0);
  assert.equal(ends(steps), ['reassembled', 'forwarded_tun']);
  const inner = steps[1]!.outputs.map(({ bytes }) =>
    concat(bytes.subarray(0, ETHERNET), bytes.subarray(ETHERNET + 20)),
  );
  const whole = join(inner);
  // But for the MACs and the hop limit it is what came.
  assert.equal(whole.subarray(ETHERNET + 8), frame.subarray(ETHERNET + 8));
  bench.close();
});

for (const way of ['nat', 'fullnat'] as const) {
  test(`${way}: a reply in fragments is translated as a whole`, () => {
    const bench = benchOf();
    bench.run([fromFront(q.udp6({ from: CLIENT, to: `[${VIPS[way]}]:80` }))], 0);
    const to = way === 'nat' ? CLIENT : localOf(bench);
    const payload = p.pattern(1_800);
    const reply = q.udp6({ from: `[${RIP6}]:8080`, to, payload });
    const steps = bench.run(split(reply, 1_000).reverse().map(fromBack), 1);
    assert.equal(ends(steps), ['reassembled', `forwarded_${way}_reply`]);
    const expected = q.udp6({ from: `[${VIPS[way]}]:80`, to: CLIENT, payload, hops: 63 });
    const whole = join(steps[1]!.outputs.map(({ bytes }) => bytes));
    assert.equal(whole.subarray(ETHERNET), expected.subarray(ETHERNET));
    assert.equal(bench.invariants(), []);
    bench.close();
  });
}

test('an echo request in fragments is answered in fragments', () => {
  const bench = benchOf();
  const ping = { from: CIP6, to: VIPS.nat, rest: Uint8Array.of(1, 2, 3, 4) };
  const asked = q.icmp6({ ...ping, type: 128, payload: p.pattern(3_000) });
  const steps = bench.run(split(asked, 1_448).map(fromFront), 0);
  assert.equal(ends(steps), ['reassembled', 'reassembled', 'answered_echo']);
  const answer = q.icmp6({
    ...{ from: VIPS.nat, to: CIP6, rest: ping.rest },
    ...{ type: 129, payload: p.pattern(3_000) },
  });
  const whole = join(steps[2]!.outputs.map(({ bytes }) => bytes));
  assert.equal(whole.subarray(ETHERNET), answer.subarray(ETHERNET));
  assert.equal(bench.invariants(), []);
  bench.close();
});

test('one that is all of its datagram is no fragment (RFC 6946)', () => {
  const bench = benchOf();
  const [atomic] = split(q.udp6({ from: CLIENT, to: `[${VIPS.dr}]:80` }), 1_448);
  const [step] = bench.run([fromFront(atomic as Uint8Array)], 0);
  assert.is(step?.end, 'forwarded_dr');
  assert.equal(
    step!.outputs[0]!.bytes.subarray(ETHERNET + 8),
    (atomic as Uint8Array).subarray(ETHERNET + 8),
  );
  bench.close();
});

test('what is no datagram: cut at odd places, too long, overlapping, solicited', () => {
  const bench = benchOf();
  const frame = q.udp6({ from: CLIENT, to: `[${VIPS.nat}]:80`, payload: p.pattern(2_000) });
  const one = (change: (frame: Uint8Array) => void) => {
    const [piece] = split(frame, 800) as [Uint8Array];
    change(piece);
    return bench.run([fromFront(piece)], 0)[0]?.end;
  };
  const at = ETHERNET + HEADER;
  assert.is(
    one((piece) => piece.set(u16(8 + 799), ETHERNET + 4)),
    'bad_ip_length',
  );
  assert.is(
    one((piece) => piece.set(u16(0xfff8), at + 2)),
    'bad_ip_length',
  );
  const pieces = split(frame, 800);
  const overlapping = split(frame, 808)[1] as Uint8Array;
  const overlaps = [pieces[0], overlapping, pieces[2]] as Uint8Array[];
  const got = bench.run(overlaps.map(fromFront), 100);
  assert.ok(!ends(got).includes('forwarded_nat'));
  const asked = q.solicitation({ from: CIP6, to: VIPS.nat, target: VIPS.nat });
  const solicited = bench.run(split(asked, 24).map(fromFront), 200);
  assert.equal(ends(solicited), ['reassembled', 'bad_l4_header']);
  bench.advance(60_000);
  assert.equal(bench.invariants(), []);
  bench.close();
});

test('those of others are the kernel’s', () => {
  const bench = benchOf();
  const frame = q.udp6({ from: CLIENT, to: `[${FRONT6}]:9`, payload: p.pattern(1_000) });
  const steps = bench.run(split(frame, 504).map(fromFront), 0);
  assert.equal(ends(steps), ['punted_not_ours', 'punted_not_ours']);
  bench.close();
});

test('a datagram that stays incomplete is let go after 30 s, and counted', () => {
  const bench = benchOf();
  const frame = q.udp6({ from: CLIENT, to: `[${VIPS.nat}]:80`, payload: p.pattern(2_000) });
  const pieces = split(frame, 800).slice(0, 2);
  assert.equal(ends(bench.run(pieces.map(fromFront), 0)), ['reassembled', 'reassembled']);
  bench.advance(29_000);
  assert.is(bench.counters().ends.fragment, 0);
  bench.advance(31_000);
  assert.is(bench.counters().ends.fragment, 2);
  assert.is(bench.counters().ends.reassembled, 0);
  assert.equal(bench.invariants(), []);
  bench.close();
});

test('more datagrams than the table holds: the others are counted, nothing is kept for ever', () => {
  const bench = benchOf();
  const to = `[${VIPS.nat}]:80`;
  for (let id = 0; id < 2_000; id++) {
    const frame = q.udp6({ from: CLIENT, to, payload: p.pattern(1_000) });
    bench.run([fromFront(split(frame, 504, id)[0] as Uint8Array)], 0);
  }
  const { ends: counted } = bench.counters();
  assert.is((counted.fragment as number) + (counted.reassembled as number), 2_000);
  assert.ok((counted.reassembled as number) <= 256);
  bench.advance(40_000);
  assert.is(bench.counters().ends.fragment, 2_000);
  assert.equal(bench.invariants(), []);
  bench.close();
});

for (const workers of [2, 4]) {
  test(`${workers} workers: fragments meet at one, the datagram goes to its flow’s owner`, () => {
    const bench = benchOf(workers);
    for (let n = 0; n < 40; n++) {
      const from = `[2001:db8:c::${(n + 1).toString(16)}]:${2_000 + n}`;
      const to = `[${n % 2 === 0 ? VIPS.nat : VIPS.fullnat}]:80`;
      const frame = q.udp6({ from, to, payload: p.pattern(1_500) });
      const steps = split(frame, 1_000, n).flatMap((piece) => bench.run([fromFront(piece)], n));
      assert.equal(ends(steps), [
        'reassembled',
        n % 2 === 0 ? 'forwarded_nat' : 'forwarded_fullnat',
      ]);
    }
    assert.is(new Set(bench.connections().map(({ worker }) => worker)).size, workers);
    assert.equal(bench.invariants(), []);
    bench.close();
  });
}

test('random datagrams in random pieces and orders: engine and model agree', () => {
  const datagram = fc.record({
    way: fc.constantFrom<Way>('nat', 'dr', 'tun', 'fullnat'),
    port: fc.integer({ min: 1_024, max: 1_027 }),
    length: fc.integer({ min: 600, max: 4_000 }),
    units: fc.integer({ min: 70, max: 181 }),
    hops: fc.constantFrom(1, 2, 64),
    options: fc.boolean(),
    order: fc.infiniteStream(fc.nat()),
  });
  fc.assert(
    fc.property(fc.array(datagram, { minLength: 1, maxLength: 8 }), (all) => {
      const bench = benchOf();
      const model = new Model6(1);
      try {
        all.forEach(({ way, port, length, units, hops, options, order }, at) => {
          const client = `[${CIP6}]:${port}`;
          const sent = request(way, length, { client, hops, options });
          const pieces = split(model.arriving(sent) as Uint8Array, units * 8, at);
          if (pieces.length < 2 || pieces.length > 8) return;
          const keys = [...order.take(pieces.length)];
          const mixed = pieces
            .map((piece, index) => [keys[index] as number, piece] as const)
            .sort(([a], [b]) => a - b)
            .map(([, piece]) => piece);
          const steps = bench.run(mixed.map(fromFront), at);
          const last = steps.at(-1) as Step;
          assert.ok(steps.slice(0, -1).every(({ end }) => end === 'reassembled'));
          const expected = model.step(sent, () => {
            const own = bench
              .connections()
              .find((one) => one.mode === 'fullnat' && one.clientPort === port);
            return `[${LIP6}]:${own?.localPort}`;
          });
          assert.is(last.end, expected.end);
          if (!expected.frame) return;
          const frames = last.outputs.map(({ bytes }) => bytes);
          const inner = way === 'tun' ? frames.map(unwrapped) : frames;
          const whole = way === 'tun' ? unwrapped(expected.frame) : expected.frame;
          assert.equal(differ(join(inner), whole), []);
          for (const frame of way === 'tun' ? frames : []) {
            assert.equal(frame.subarray(ETHERNET + 8, ETHERNET + 24), q.ip6(BACK6));
            assert.equal(frame.subarray(ETHERNET + 24, ETHERNET + 40), q.ip6(server6(0)));
          }
        });
        assert.equal(bench.invariants(), []);
      } finally {
        bench.close();
      }
    }),
    { numRuns: 80, seed: 20261122, endOnFailure: true },
  );
});

test.run();
