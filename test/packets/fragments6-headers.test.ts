/**
 * IPv6 fragments with extension headers before their fragment header (RFC 8200 section 4.5): the
 * first one's stay with the datagram, and what a router has to see stands before each fragment that
 * leaves. A dumb model writes every packet anew from lists of headers.
 */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { concat, hex, readU16, u16, u32 } from '../support/bytes.js';
import * as p from '../support/packet.js';
import * as q from '../support/packet6.js';
import { Bench, type BenchOptions, type Step } from '../support/replay.js';
import { fromBack, fromFront, toBack } from '../support/table.js';
import { CIP6, RIP6, VIPS, yaml6 } from '../support/world6.js';
import { yamlWorld } from '../support/yaml.js';

const [HOP, ROUTING, FRAGMENT, OPTIONS, UDP] = [0, 43, 44, 60, 17];
const ETHERNET = 14;
const HEADER = 40;
const CLIENT = `[${CIP6}]:40000`;

interface Header {
  kind: number;
  /** Behind next header and length. */
  body: Uint8Array;
}
/** `units`: of eight bytes. PadN of its own number, so that they are told apart. */
const padded = (kind: number, units = 1, mark = 0): Header => ({
  kind,
  body: concat(Uint8Array.of(1, units * 8 - 4), new Uint8Array(units * 8 - 4).fill(mark)),
});
/** Nothing left to visit. */
const visited = (mark = 0): Header => ({ kind: ROUTING, body: Uint8Array.of(4, 0, 0, 0, 0, mark) });

/** An IPv6 packet of a list of headers, in a frame. */
function packetOf(
  from: string,
  to: string,
  hops: number,
  headers: Header[],
  last: number,
  body: Uint8Array,
) {
  return q.ip6Frame({ from, to, hops, extensions: headers }, last, body);
}

const datagram = (from: string, to: string, payload: Uint8Array) =>
  q.ip6Of(q.udp6({ from, to, payload })).slice(HEADER);

interface Whole {
  from: string;
  to: string;
  hops: number;
  /** Before the fragment header, and behind it. */
  before: Header[];
  behind: Header[];
  payload: Uint8Array;
}

/** All that is cut into pieces, and which header it begins with. */
function fragmentable({ from, to, behind, payload }: Whole): { body: Uint8Array; first: number } {
  const whole = q.ip6Of(packetOf(from, to, 64, behind, UDP, datagram(from, to, payload)));
  return { body: whole.slice(HEADER), first: whole[6] as number };
}

/** `others`: what later fragments have before their fragment header in the place of `before`. */
function pieces(whole: Whole, size: number, id = 7, others = whole.before): Uint8Array[] {
  const { body, first } = fragmentable(whole);
  const count = Math.ceil(body.length / size);
  return Array.from({ length: count }, (_, n) => {
    const at = n * size;
    const offset = u16(at | (n < count - 1 ? 1 : 0));
    const headers = [
      ...(n === 0 ? whole.before : others),
      { kind: FRAGMENT, body: concat(offset, u32(id)) },
    ];
    const { from, to, hops } = whole;
    return packetOf(from, to, hops, headers, first, body.slice(at, at + size));
  });
}

/** Headers of a frame as [kind, hex] each, up to and without `until`, and where that begins. */
function walked(frame: Uint8Array, until: number): { headers: string[]; at: number } {
  const headers: string[] = [];
  let kind = frame[ETHERNET + 6] as number;
  let at = ETHERNET + HEADER;
  while (kind !== until) {
    assert.ok([HOP, ROUTING, OPTIONS].includes(kind), `header ${kind}`);
    const bytes = ((frame[at + 1] as number) + 1) * 8;
    headers.push(`${kind} ${hex(frame.subarray(at + 2, at + bytes))}`);
    kind = frame[at] as number;
    at += bytes;
  }
  return { headers, at };
}

const told = (headers: Header[]) => headers.map(({ kind, body }) => `${kind} ${hex(body)}`);

/** Which of a datagram's headers routers have to see. */
function unfragmentable(headers: Header[]): Header[] {
  const routing = headers.map(({ kind }) => kind).lastIndexOf(ROUTING);
  return headers.slice(0, Math.max(routing + 1, headers[0]?.kind === HOP ? 1 : 0));
}

/** What left, against the datagram that it has to be. */
function check(frames: Uint8Array[], wanted: Whole, most: number): void {
  const all = [...wanted.before, ...wanted.behind];
  const front = unfragmentable(all);
  const rest = { ...wanted, behind: all.slice(front.length) };
  const { body, first } = fragmentable(rest);
  let length = 0;
  frames.forEach((frame, index) => {
    const { headers, at } = walked(frame, FRAGMENT);
    assert.equal(headers, told(front));
    assert.is(frame[at], first, 'what follows the fragment header');
    const more = index < frames.length - 1;
    assert.is(readU16(frame, at + 2), length | (more ? 1 : 0), 'offset');
    assert.is(readU16(frame, ETHERNET + 4), frame.length - ETHERNET - HEADER, 'length');
    assert.is(frame[ETHERNET + 7], wanted.hops, 'hops');
    assert.equal(frame.subarray(ETHERNET + 8, ETHERNET + 24), q.ip6(q.end6(wanted.from)[0]));
    assert.equal(frame.subarray(ETHERNET + 24, ETHERNET + 40), q.ip6(q.end6(wanted.to)[0]));
    assert.equal(frame.subarray(at + 8), body.subarray(length, length + frame.length - at - 8));
    assert.ok(frame.length <= ETHERNET + most, `${frame.length} bytes`);
    assert.equal(frame.subarray(0, 12), toBack(frame).bytes.subarray(0, 12));
    length += frame.length - at - 8;
  });
  assert.is(length, body.length);
}

const benchOf = (options: BenchOptions = {}) => new Bench(yamlWorld(yaml6()), options);
const ends = (steps: Step[]) => steps.map(({ end }) => end);
const outputs = (steps: Step[]) => steps.at(-1)!.outputs.map(({ bytes }) => bytes);

const BEFORE: [it: string, headers: Header[]][] = [
  ['hop-by-hop options', [padded(HOP)]],
  ['a routing header', [visited(3)]],
  ['destination options', [padded(OPTIONS, 2)]],
  ['destination options and a routing header', [padded(OPTIONS, 2, 5), visited()]],
  ['all of them, 112 bytes', [padded(HOP, 5, 1), padded(OPTIONS, 8, 2), visited(9)]],
];
const request = (more: Partial<Whole> = {}): Whole => ({
  ...{ from: CLIENT, to: `[${VIPS.nat}]:80`, hops: 64, before: [], behind: [] },
  payload: p.pattern(2_000),
  ...more,
});
const atServer = (whole: Whole): Whole => ({
  ...whole,
  to: `[${RIP6}]:8080`,
  hops: whole.hops - 1,
});

for (const [it, before] of BEFORE) {
  for (const backwards of [false, true]) {
    test(`${it} before the fragment header${backwards ? ', last fragment first' : ''}`, () => {
      const bench = benchOf();
      const whole = request({ before, behind: [padded(OPTIONS, 1, 7)] });
      const cut = pieces(whole, 800);
      const steps = bench.run((backwards ? cut.reverse() : cut).map(fromFront), 0);
      assert.equal(ends(steps), ['reassembled', 'reassembled', 'forwarded_nat']);
      const bytes = before.reduce((sum, { body }) => sum + body.length + 2, 0);
      check(outputs(steps), atServer(whole), HEADER + bytes + 8 + 800);
      assert.equal(bench.invariants(), []);
      bench.close();
    });
  }
}

test('the first fragment’s headers count, whatever the others have', () => {
  for (const [before, others] of [
    [[padded(HOP, 2, 1)], [visited()]],
    [[], [padded(HOP)]],
    [[padded(HOP)], []],
  ] as const) {
    const bench = benchOf();
    const whole = request({ before: [...before] });
    const steps = bench.run(pieces(whole, 800, 7, [...others]).map(fromFront), 0);
    assert.equal(ends(steps), ['reassembled', 'reassembled', 'forwarded_nat']);
    check(outputs(steps), atServer(whole), 1_500);
    assert.equal(bench.invariants(), []);
    bench.close();
  }
});

test('a reply is put together, too', () => {
  const bench = benchOf();
  bench.run([fromFront(q.udp6({ from: CLIENT, to: `[${VIPS.nat}]:80` }))], 0);
  const whole = request({ from: `[${RIP6}]:8080`, to: CLIENT, before: [padded(HOP), visited()] });
  const steps = bench.run(pieces(whole, 1_000).map(fromBack), 1);
  assert.equal(ends(steps), ['reassembled', 'reassembled', 'forwarded_nat_reply']);
  assert.is(outputs(steps).length, 3);
  bench.close();
});

test('too many headers, a fragment in a fragment, a way that is not over: dropped, by name', () => {
  const bench = benchOf();
  const end = (whole: Whole) =>
    ends(bench.run(pieces(whole, 1_200, 9).slice(0, 1).map(fromFront), 0))[0];
  assert.is(end(request({ before: [padded(HOP, 15)] })), 'fragment_ipv6');
  assert.is(
    end(request({ before: [{ kind: ROUTING, body: Uint8Array.of(4, 1, 0, 0, 0, 0) }] })),
    'source_route',
  );
  const inside = { kind: FRAGMENT, body: concat(u16(1), u32(5)) };
  const nested = request({ before: [padded(HOP)], behind: [inside] });
  const steps = bench.run(pieces(nested, 1_200, 10).map(fromFront), 0);
  assert.equal(ends(steps), ['reassembled', 'fragment_ipv6']);
  bench.advance(60_000);
  assert.equal(bench.invariants(), []);
  bench.close();
});

test('two workers: pieces meet at one of them, whatever stands before their fragment header', () => {
  const bench = benchOf({ workers: 2, distribution: 'inTurn' });
  for (let n = 0; n < 20; n++) {
    const from = `[2001:db8:c::${(n + 1).toString(16)}]:${2_000 + n}`;
    const whole = request({ from, before: [padded(HOP, 1 + (n % 3), n)] });
    const steps = pieces(whole, 800, n).flatMap((piece) => bench.run([fromFront(piece)], n));
    assert.equal(ends(steps), ['reassembled', 'reassembled', 'forwarded_nat']);
    check(outputs(steps), atServer(whole), 1_500);
  }
  assert.equal(bench.invariants(), []);
  bench.close();
});

const header = fc.oneof(
  fc
    .record({ units: fc.integer({ min: 1, max: 4 }), mark: fc.nat(255) })
    .map(({ units, mark }) => padded(OPTIONS, units, mark)),
  fc.nat(255).map(visited),
);
const headers = fc
  .tuple(fc.boolean(), fc.integer({ min: 1, max: 3 }), fc.array(header, { maxLength: 2 }))
  .map(([hop, units, rest]) => [...(hop ? [padded(HOP, units, units)] : []), ...rest]);

test('random headers, pieces and orders: engine and model agree', () => {
  const sent = fc.record({
    ...{ before: headers, others: headers, behind: fc.array(header, { maxLength: 2 }) },
    length: fc.integer({ min: 600, max: 4_000 }),
    units: fc.integer({ min: 70, max: 150 }),
    order: fc.infiniteStream(fc.nat()),
  });
  fc.assert(
    fc.property(fc.array(sent, { minLength: 1, maxLength: 6 }), (all) => {
      const bench = benchOf();
      try {
        all.forEach(({ before, others, behind, length, units, order }, at) => {
          const whole = request({ before, behind, payload: p.pattern(length, at) });
          const cut = pieces(whole, units * 8, at, others);
          if (cut.length < 2 || cut.length > 8) return;
          const keys = [...order.take(cut.length)];
          const mixed = cut
            .map((piece, index) => [keys[index] as number, piece] as const)
            .sort(([a], [b]) => a - b)
            .map(([, piece]) => piece);
          const steps = bench.run(mixed.map(fromFront), at);
          assert.is(steps.at(-1)?.end, 'forwarded_nat');
          check(outputs(steps), atServer(whole), 1_500);
        });
        assert.equal(bench.invariants(), []);
      } finally {
        bench.close();
      }
    }),
    { numRuns: 120, seed: 20261122, endOnFailure: true },
  );
});

test('garbage of fragments behind headers: none is lost count of, and nothing stays', () => {
  const whole = fc.record({ before: headers, behind: fc.array(header, { maxLength: 2 }) });
  const bytes = fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 5 });
  const piece = fc.record({ whole, which: fc.nat(3), cut: fc.nat(300), bytes, id: fc.nat(3) });
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (all) => {
      const bench = benchOf();
      try {
        const frames = all.map(({ whole, which, cut, bytes, id }) => {
          const made = pieces(request(whole), 600, id);
          const frame = made[which % made.length] as Uint8Array;
          for (const [at, value] of bytes)
            frame[ETHERNET + (at % (frame.length - ETHERNET))] = value;
          return fromFront(cut < 200 ? frame : frame.slice(0, cut));
        });
        bench.run(frames, 0);
        bench.advance(60_000);
        assert.equal(bench.invariants(), []);
        bench.advance(3_000_000);
        assert.is(bench.counters().extra.connections, 0);
      } finally {
        bench.close();
      }
    }),
    { numRuns: 150, seed: 20261122 },
  );
});

test.run();
