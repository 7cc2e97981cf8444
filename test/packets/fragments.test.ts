/**
 * Fragments of datagrams that concern the director: put together in any order, sent on as one
 * packet in fragments of the original size (as Linux IPVS does), and let go after 30 s.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Mode } from '../../src/native.js';
import { dissect } from '../support/dissect.js';
import { Duo } from '../support/duo.js';
import { CIP, LIP, query, R, RIP, response, syn, V, VIP } from '../support/flow.js';
import type { IpFields } from '../support/packet.js';
import * as p from '../support/packet.js';
import { type Arriving, Bench } from '../support/replay.js';
import { scapy, scapyBadChecksums, scapyMissing } from '../support/scapy.js';
import { skip } from '../support/skip.js';
import { fromBack, fromFront } from '../support/table.js';
import { type WorldWords, world } from '../support/world.js';

const wordsFor = (mode: Mode, more: Partial<WorldWords> = {}): WorldWords => ({
  services: (['tcp', 'udp'] as const).map((protocol) => ({
    listen: V,
    protocol,
    mode,
    servers: [R],
    locals: mode === 'fullnat' || mode === 'enat' ? [LIP] : [],
  })),
  ...more,
});

/** The packet in `frame` cut behind `size` bytes of payload each (a multiple of 8). */
function split(frame: Uint8Array, size: number, fields: IpFields = {}): Uint8Array[] {
  const packet = p.ipOf(frame);
  const ip = dissect(frame).ip!;
  const body = packet.subarray(ip.ihl * 4);
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < body.length; at += size) {
    const rest = body.subarray(at, at + size);
    const mf = at + size < body.length;
    const header = { id: ip.id, ttl: ip.ttl, tos: ip.tos, mf, fragmentOffset: at / 8, ...fields };
    pieces.push(p.ip({ from: ip.src, to: ip.dst, ...header }, ip.protocol, rest));
  }
  return pieces;
}

const big = p.udp({ ...query, payload: p.pattern(2000) });
const reversed = <T>(list: T[]) => [...list].reverse();
const sent: Uint8Array[] = [];

function run(duo: Duo, frames: Arriving[], at = 0) {
  const results = frames.map((frame) => duo.run([frame], at));
  assert.equal(
    results.flatMap(({ complaints }) => complaints),
    [],
  );
  return results.map(({ steps }) => steps[0]!);
}

function finish(duo: Duo): void {
  assert.equal(duo.compareTables(), []);
  assert.equal(duo.bench.invariants(), []);
  sent.push(...duo.sent);
  duo.close();
}

for (const mode of ['nat', 'dr', 'tun', 'fullnat', 'enat'] as Mode[]) {
  for (const [order, change] of [
    ['in order', (list: Uint8Array[]) => list],
    ['last first', reversed<Uint8Array>],
    ['mixed', (list: Uint8Array[]) => [list[1]!, list[0]!, ...list.slice(2)]],
  ] as const) {
    test(`${mode}: a UDP request in three fragments, ${order}`, () => {
      const duo = new Duo(world(wordsFor(mode)));
      const steps = run(duo, change(split(big, 800)).map(fromFront));
      assert.equal(
        steps.map(({ end }) => end),
        ['reassembled', 'reassembled', `forwarded_${mode}`],
      );
      assert.is(steps[2]!.outputs.length, 3);
      const pieces = steps[2]!.outputs.map(({ bytes }) => dissect(bytes).ip!);
      assert.equal(
        pieces.map(({ mf }) => mf),
        [true, true, false],
      );
      assert.is(new Set(pieces.map(({ id }) => id)).size, 1);
      if (mode !== 'tun') assert.is(pieces[0]?.id, query.id);
      assert.is(duo.bench.counters().extra.datagrams_reassembled, 1);
      finish(duo);
    });
  }
}

test('nat: a fragmented response is translated as a whole', () => {
  const duo = new Duo(world(wordsFor('nat')));
  run(duo, [fromFront(p.udp(query))]);
  const reply = p.udp({ ...response, df: false, payload: p.pattern(1200) });
  const steps = run(
    duo,
    reversed(split(reply, 608)).map((frame) => fromBack(frame)),
    1,
  );
  assert.equal(
    steps.map(({ end }) => end),
    ['reassembled', 'forwarded_nat_reply'],
  );
  assert.is(steps[1]!.outputs.length, 2);
  finish(duo);
});

test('fullnat: a fragmented response to the LIP is translated as a whole', () => {
  const duo = new Duo(world(wordsFor('fullnat')));
  run(duo, [fromFront(p.udp(query))]);
  const local = duo.model.connections.all()[0]!.local!;
  const reply = p.udp({
    ...response,
    to: `${local.ip}:${local.port}`,
    df: false,
    payload: p.pattern(1200),
  });
  const steps = run(
    duo,
    split(reply, 608).map((frame) => fromBack(frame)),
    1,
  );
  assert.is(steps[1]!.end, 'forwarded_fullnat_reply');
  finish(duo);
});

test('nat: a fragmented datagram without a checksum gets one over all of it', () => {
  const duo = new Duo(world(wordsFor('nat')));
  const none = p.udp({ ...query, payload: p.pattern(900), checksum: 'none' });
  const steps = run(duo, split(none, 512).map(fromFront));
  const body = steps[1]!.outputs.map(({ bytes }) => p.ipOf(bytes).subarray(20));
  const whole = p.ip({ from: CIP, to: RIP }, 17, p.concat(...body));
  assert.is(dissect(whole).ip?.udp?.checksumOk, true);
  finish(duo);
});

test('nat: a fragmented TCP segment', () => {
  const duo = new Duo(world(wordsFor('nat')));
  const segment = p.tcp({ ...syn, df: false, payload: p.pattern(600) });
  const steps = run(duo, split(segment, 256).map(fromFront));
  assert.is(steps[2]!.end, 'forwarded_nat');
  finish(duo);
});

test('fragments with DF leave as fragments all the same', () => {
  const duo = new Duo(world(wordsFor('nat')));
  const steps = run(duo, split(big, 800, { df: true }).map(fromFront));
  assert.is(steps[2]!.outputs.length, 3);
  finish(duo);
});

test('IP options: only the first fragment has them', () => {
  const duo = new Duo(world(wordsFor('nat')));
  const options = [Uint8Array.of(0x44, 8, 5, 0, 0, 0, 0, 0)];
  const [first, ...others] = split(big, 800);
  const whole = dissect(first!).ip!;
  const withOptions = p.ip(
    { from: CIP, to: VIP, id: whole.id, tos: whole.tos, mf: true, ipOptions: options },
    17,
    p.ipOf(first!).subarray(20),
  );
  for (const frames of [[withOptions, ...others], reversed([withOptions, ...others])]) {
    const steps = run(duo, frames.map(fromFront));
    assert.is(steps[2]!.end, 'forwarded_nat');
  }
  finish(duo);
});

test('smaller than the link takes: the largest original fragment sets the size', () => {
  const duo = new Duo(world(wordsFor('tun')));
  const steps = run(duo, split(big, 800).map(fromFront));
  assert.ok(steps[2]!.outputs.every(({ bytes }) => bytes.length - 14 <= 820));
  finish(duo);
});

test('a link smaller than the fragments sets the size', () => {
  const duo = new Duo(world(wordsFor('nat', { backMtu: 600 })));
  const steps = run(duo, split(big, 800).map(fromFront));
  assert.ok(steps[2]!.outputs.every(({ bytes }) => bytes.length - 14 <= 600));
  finish(duo);
});

test('an echo request larger than the MTU is answered in fragments', () => {
  const bench = new Bench(world(wordsFor('nat')));
  const ping = { from: CIP, to: VIP, payload: p.pattern(3_000) };
  const steps = bench.run(split(p.echo(ping), 1_480).map(fromFront), 0);
  assert.is(steps.at(-1)?.end, 'answered_echo');
  const frames = steps.at(-1)!.outputs.map(({ bytes }) => bytes);
  assert.ok(frames.length === 3 && frames.every(({ length }) => length <= 1_514));
  const parts = frames.map((frame) => dissect(frame).ip!);
  assert.equal(
    parts.map(({ src, dst, mf, fragmentOffset }) => [src, dst, mf, fragmentOffset]),
    [0, 1, 2].map((n) => [VIP, CIP, n < 2, (n * 1_480) / 8]),
  );
  assert.is(new Set(parts.map(({ id }) => id)).size, 1);
  const body = p.concat(...frames.map((frame) => p.ipOf(frame).subarray(20)));
  assert.equal(body, p.ipOf(p.echo({ ...ping, reply: true })).subarray(20));
  assert.ok(frames.every((frame) => p.checksum(p.ipOf(frame).subarray(0, 20)) === 0));
  assert.equal(bench.invariants(), []);
  bench.close();
});

test('a fragmented echo request is answered', () => {
  const duo = new Duo(world(wordsFor('nat')));
  const ping = p.echo({ from: CIP, to: VIP, payload: p.pattern(1000) });
  const steps = run(duo, split(ping, 512).map(fromFront));
  assert.is(steps[1]!.end, 'answered_echo');
  finish(duo);
});

test('datagrams of other senders and IDs do not mix', () => {
  const duo = new Duo(world(wordsFor('nat')));
  const flows = [
    split(big, 800),
    split(p.udp({ ...query, id: 0x0102, payload: p.pattern(2000, 9) }), 800),
    split(p.udp({ ...query, from: '198.18.0.3:40000', payload: p.pattern(2000, 5) }), 800),
  ];
  const woven = [0, 1, 2].flatMap((n) => flows.map((pieces) => fromFront(pieces[n]!)));
  const steps = run(duo, woven);
  assert.is(steps.filter(({ end }) => end === 'forwarded_nat').length, 3);
  finish(duo);
});

test('fragments of strangers are the kernel’s', () => {
  const duo = new Duo(world(wordsFor('dr')));
  const stranger = p.udp({ ...query, to: '198.51.100.77:53', payload: p.pattern(900) });
  const steps = run(duo, split(stranger, 512).map(fromFront));
  assert.equal(
    steps.map(({ end }) => end),
    ['punted_not_ours', 'punted_not_ours'],
  );
  finish(duo);
});

const datagram = p.ipOf(p.udp({ ...query, payload: p.pattern(200) })).subarray(20);
const alone: [which: string, fields: IpFields, body: Uint8Array][] = [
  ['first', { mf: true }, datagram.subarray(0, 104)],
  ['middle', { mf: true, fragmentOffset: 5 }, datagram.subarray(40, 80)],
  ['last', { fragmentOffset: 13 }, datagram.subarray(104)],
  ['first, of 8 bytes', { mf: true }, datagram.subarray(0, 8)],
  ['beyond 65535 bytes', { fragmentOffset: 8191 }, datagram],
];
for (const [which, fields, body] of alone) {
  test(`a fragment alone (${which}) is let go after 30 s`, () => {
    const bench = new Bench(world(wordsFor('nat')));
    bench.run([fromFront(p.ip({ from: CIP, to: VIP, ...fields }, 17, body))], 0);
    bench.advance(31_000);
    const { ends } = bench.counters();
    assert.equal([ends.reassembled, ends.fragment], [0, 1]);
    assert.equal(bench.invariants(), []);
    bench.close();
  });
}

/** Fragment games that must cost nothing but the packets themselves. */
const games: [title: string, frames: Uint8Array[]][] = [
  ['the same fragment again and again', Array(40).fill(split(big, 800)[0]!)],
  ['overlapping fragments', [...split(big, 800), ...split(big, 512)]],
  ['a hole', split(big, 400).filter((_, n) => n !== 2)],
  ['two last fragments', [split(big, 800)[2]!, split(big, 600)[3]!, ...split(big, 800)]],
  ['20 fragments, more than are held', split(p.udp({ ...query, payload: p.pattern(1592) }), 80)],
  [
    'more than 65535 bytes together',
    Array.from({ length: 7 }, (_, n) =>
      p.ip({ from: CIP, to: VIP, mf: true, fragmentOffset: n * 170 }, 17, p.pattern(1360)),
    ).concat(p.ip({ from: CIP, to: VIP, fragmentOffset: 8180 }, 17, p.pattern(1400))),
  ],
  [
    'a length that is not a multiple of 8 with more to come',
    [p.ip({ from: CIP, to: VIP, mf: true }, 17, p.pattern(13)), ...split(big, 800)],
  ],
  [
    'a first fragment without a payload',
    [p.ip({ from: CIP, to: VIP, mf: true }, 17, p.pattern(0))],
  ],
  [
    '2000 datagrams that never get whole',
    Array.from(
      { length: 2000 },
      (_, n) => split(p.udp({ ...query, id: n, payload: p.pattern(900) }), 512)[0]!,
    ),
  ],
];
for (const [title, frames] of games) {
  test(`games: ${title}`, () => {
    const bench = new Bench(world(wordsFor('nat')), { burst: 32 });
    bench.run(frames.map(fromFront), 0);
    bench.advance(31_000);
    assert.equal(bench.invariants(), []);
    assert.is(bench.counters().ends.reassembled! <= frames.length, true);
    // And a good one after it.
    const id = 0x7777;
    const good = split(p.udp({ ...query, from: `${CIP}:5`, id, payload: p.pattern(900) }), 512);
    const steps = bench.run(good.map(fromFront), 31_001);
    assert.is(steps[1]?.end, 'forwarded_nat');
    assert.equal(bench.invariants(), []);
    bench.close();
  });
}

test('fragments far apart in time do not become a datagram', () => {
  const bench = new Bench(world(wordsFor('nat')));
  const [first, last] = split(p.udp({ ...query, payload: p.pattern(900) }), 512);
  bench.run([fromFront(first!)], 0);
  bench.run([fromFront(last!)], 30_500);
  assert.is(bench.counters().extra.datagrams_reassembled, 0);
  bench.advance(70_000);
  assert.is(bench.counters().ends.fragment, 2);
  assert.equal(bench.invariants(), []);
  bench.close();
});

const missing = scapyMissing();
if (missing) {
  skip('fragments through scapy', missing);
} else {
  test('scapy finds no bad checksum in all that left', () => {
    assert.equal(scapyBadChecksums(scapy(sent)), []);
  });
}

test.run();
