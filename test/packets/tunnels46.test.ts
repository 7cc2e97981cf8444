/**
 * TUN from an IPv4 service to an IPv6 server (4in6, RFC 2473), by itself and behind GRE or GUE; from
 * director.yaml on. The servers' addresses do not fit an IPv4 connection's record.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { toBytes } from '../../src/config/address.js';
import { IPIP, shimBytes, type Tunnel, tunnelText } from '../../src/config/tunnel.js';
import { checksum, concat, readU16, u16, u32 } from '../support/bytes.js';
import { dissect } from '../support/dissect.js';
import { differ } from '../support/duo.js';
import {
  answer,
  CIP,
  CLIENT_SIDE_ROUTER,
  data,
  firstAck,
  icmpTos,
  query,
  syn,
  V,
  VIP,
} from '../support/flow.js';
import { GUE_SOURCES, outerProtocol } from '../support/model/tunnel.js';
import * as p from '../support/packet.js';
import * as q from '../support/packet6.js';
import { Bench } from '../support/replay.js';
import { CREWS, fromBack, fromFront, nameOf, toBack, toFront } from '../support/table.js';
import { BACK6, CIP6, RIP6, VIPS, yaml6 } from '../support/world6.js';
import { yamlWorld } from '../support/yaml.js';

const TUNNELS: Tunnel[] = [
  IPIP,
  { type: 'gre', port: 0, checksum: 'nocsum' },
  { type: 'gre', port: 0, checksum: 'csum' },
  { type: 'gue', port: 6080, checksum: 'nocsum' },
  { type: 'gue', port: 6080, checksum: 'csum' },
];

const yamlOf = ({ type, port, checksum: sum }: Tunnel) =>
  type === 'ipip'
    ? ''
    : `tunnel: { type: ${type}, ${port ? `port: ${port}, ` : ''}checksum: ${sum} }`;
/** World6 whose service for tunnels listens on an IPv4 address. */
const yaml = (tunnel: Tunnel, more = '', backMtu = 1500) =>
  yaml6({ more: `${yamlOf(tunnel)}\n    ${more}`, backMtu, servers: 1 }).replaceAll(
    `"[${VIPS.tun}]:80"`,
    `"${V}"`,
  );
const benchOf = (tunnel = IPIP, more = '', options = {}) =>
  new Bench(yamlWorld(yaml(tunnel, more)), options);

/** What stands before the packet, every checksum in full. */
function shim({ type, port, checksum: sum }: Tunnel, inner: Uint8Array, source: number) {
  const summed = sum !== 'nocsum';
  if (type === 'ipip') return new Uint8Array();
  if (type === 'gre') {
    const header = concat(u16(summed ? 0x8000 : 0), u16(0x0800), ...(summed ? [u32(0)] : []));
    if (summed) header.set(u16(checksum(header, inner)), 4);
    return header;
  }
  const length = 12 + inner.length;
  const header = concat(u16(source), u16(port), u16(length), u16(0), Uint8Array.of(0, 4, 0, 0));
  const pseudo = concat(toBytes(BACK6), toBytes(RIP6), u32(length), u32(17));
  if (summed) header.set(u16(checksum(pseudo, header, inner)), 6);
  return header;
}

/** The tunnel packet around `frame`'s, which is as it leaves. */
function wrapped(tunnel: Tunnel, frame: Uint8Array, hops: number, tos: number, source = 0) {
  const inner = p.ipOf(frame);
  const body = concat(shim(tunnel, inner, source), inner);
  const fields = { from: BACK6, to: RIP6, hops, trafficClass: tos };
  return toBack(q.ip6Frame(fields, outerProtocol(tunnel), body)).bytes;
}
const sourceOf = (tunnel: Tunnel, frame: Uint8Array) =>
  tunnel.type === 'gue' ? readU16(frame, 54) : 0;
/** What is inside a tunnel packet by IPIP, in the frame's MACs. */
const inside = (frame: Uint8Array) =>
  concat(frame.subarray(0, 12), u16(0x0800), frame.subarray(54));

for (const tunnel of TUNNELS) {
  test(`${tunnelText(tunnel)}: TCP and UDP, first packets and later ones`, () => {
    for (const crew of CREWS) {
      const bench = benchOf(tunnel, '', crew);
      try {
        for (const [n, frame, left, hops, tos] of [
          [0, p.tcp(syn), p.tcp({ ...syn, ttl: 60 }), 60, 0x2a],
          [1, p.tcp(firstAck), p.tcp({ ...firstAck, ttl: 63 }), 63, 0],
          [2, p.tcp(data), p.tcp({ ...data, ttl: 63 }), 63, 0],
          [3, p.udp(query), p.udp({ ...query, ttl: 63 }), 63, 0x14],
          [4, p.udp(query), p.udp({ ...query, ttl: 63 }), 63, 0x14],
        ] as const) {
          const [step] = bench.run([fromFront(frame)], n);
          assert.is(step?.end, 'forwarded_tun', nameOf(crew));
          const bytes = step!.outputs[0]!.bytes;
          const source = sourceOf(tunnel, bytes);
          if (tunnel.type === 'gue') {
            assert.ok(source >= GUE_SOURCES.first && source <= GUE_SOURCES.last, `${source}`);
          }
          assert.equal(differ(bytes, wrapped(tunnel, left, hops, tos, source)), []);
        }
        assert.equal(
          bench.connections().map(({ server, serverPort, state }) => [server, serverPort, state]),
          [
            [RIP6, 80, 'ESTABLISHED'],
            [RIP6, 80, 'UDP'],
          ],
        );
        assert.equal(bench.invariants(), []);
      } finally {
        bench.close();
      }
    }
  });

  test(`${tunnelText(tunnel)}: what fits, what its sender is told, what is cut`, () => {
    const bench = benchOf(tunnel);
    const room = 1500 - 40 - shimBytes(tunnel);
    const sized = (bytes: number, df: boolean) =>
      p.udp({ ...query, payload: p.pattern(bytes - 28), df });
    const [fits] = bench.run([fromFront(sized(room, true))], 0);
    assert.equal([fits?.end, fits?.outputs[0]?.bytes.length], ['forwarded_tun', 1514]);
    const [told] = bench.run([fromFront(sized(room + 1, true))], 1);
    assert.is(told?.end, 'answered_too_big');
    const { ip } = dissect(told!.outputs[0]!.bytes);
    assert.equal(
      [ip?.src, ip?.dst, ip?.icmp?.type, ip?.icmp?.code, Number.parseInt(ip?.icmp?.rest ?? '', 16)],
      [VIP, CIP, 3, 4, room],
    );
    const [cut] = bench.run([fromFront(sized(room + 1, false))], 2);
    assert.is(cut?.end, 'forwarded_tun');
    assert.equal(
      cut?.outputs.map(({ bytes }) => [readU16(bytes, 12), bytes.length <= 1514]),
      [
        [0x86dd, true],
        [0x86dd, true],
      ],
    );
    assert.is(bench.counters().extra.fragments_made, 2);
    assert.equal(bench.invariants(), []);
    bench.close();
  });
}

test('a datagram that came in fragments goes in fragments, each in a packet of its own', () => {
  const bench = benchOf();
  const whole = p.udp({ ...query, payload: p.pattern(2_000), ttl: 63 });
  const body = p.ipOf(whole).subarray(20);
  const piece = (from: number, to: number, mf: boolean) =>
    fromFront(
      p.ip(
        { from: CIP, to: VIP, id: query.id!, tos: query.tos!, mf, fragmentOffset: from / 8 },
        17,
        body.subarray(from, to),
      ),
    );
  const steps = bench.run([piece(1_200, 2_008, false), piece(0, 1_200, true)], 0);
  assert.equal(
    steps.map(({ end }) => end),
    ['reassembled', 'forwarded_tun'],
  );
  const frames = steps[1]!.outputs.map(({ bytes }) => bytes);
  assert.ok(frames.length >= 2);
  let at = 0;
  for (const [n, frame] of frames.entries()) {
    const { ip } = dissect(inside(frame));
    assert.equal([ip?.src, ip?.dst, ip?.ttl, ip?.tos], [CIP, VIP, 63, query.tos]);
    const packet = inside(frame).subarray(14);
    assert.is(checksum(packet.subarray(0, 20)), 0, 'the header’s checksum');
    assert.is(readU16(packet, 6), (n + 1 < frames.length ? 0x2000 : 0) | (at / 8));
    assert.equal(packet.subarray(20), body.subarray(at, at + packet.length - 20));
    assert.is(readU16(frame, 18), packet.length, 'the outer length');
    at += packet.length - 20;
  }
  assert.is(at, body.length);
  assert.equal(bench.invariants(), []);
  bench.close();
});

test('an error from the client’s side goes through the tunnel like any packet', () => {
  const bench = benchOf();
  bench.run([fromFront(p.tcp(syn))], 0);
  bench.run([fromFront(p.tcp(firstAck))], 1);
  const complaint = {
    ...{ from: CLIENT_SIDE_ROUTER, to: VIP, type: 11, code: 0, tos: icmpTos() },
    ...{ quote: p.tcp({ ...answer, from: V, ttl: 1 }), quoteBytes: 40 },
  };
  const [step] = bench.run([fromFront(p.icmpError(complaint))], 2);
  assert.is(step?.end, 'forwarded_icmp_error');
  const left = p.icmpError({ ...complaint, ttl: 63 });
  assert.equal(differ(step!.outputs[0]!.bytes, wrapped(IPIP, left, 63, icmpTos())), []);
  const [old] = bench.run([fromFront(p.tcp({ ...data, ttl: 1 }))], 3);
  assert.is(old?.end, 'answered_time_exceeded');
  bench.close();
});

test('one-packet scheduling, and persistence', () => {
  const once = new Bench(
    yamlWorld(yaml(IPIP).replaceAll('protocol: udp', 'protocol: udp\n    onePacket: true')),
  );
  const [step] = once.run([fromFront(p.udp(query))], 0);
  const left = p.udp({ ...query, ttl: 63 });
  assert.equal(differ(step!.outputs[0]!.bytes, wrapped(IPIP, left, 63, 0x14)), []);
  assert.equal(once.connections(), []);
  once.close();
  const bench = benchOf(IPIP, 'persistence: 5m');
  bench.run([fromFront(p.tcp(syn))], 0);
  assert.equal(
    bench
      .connections()
      .map(({ client, clientPort, virtual, server, state }) => [
        ...[client, clientPort, virtual, server, state],
      ]),
    [
      [CIP, 40000, VIP, RIP6, 'SYN_RECV'],
      [CIP, 0, VIP, RIP6, 'NONE'],
    ],
  );
  bench.close();
});

test('without a way there, and without the server', () => {
  const text = yaml(IPIP).replace(`  - { address: "${RIP6}",`, '  - { address: "2001:db8:2::99",');
  const lost = new Bench(yamlWorld(text));
  assert.is(lost.run([fromFront(p.tcp(syn))], 0)[0]?.end, 'no_neighbour');
  assert.is(lost.counters().extra.neighbour_requests, 1);
  lost.close();
  const first = yamlWorld(yaml(IPIP));
  const bench = new Bench(first);
  bench.run([fromFront(p.tcp(syn))], 0);
  const other = yaml(IPIP).replaceAll('"[2001:db8:2::11]:8080"', '"[2001:db8:2::12]:8080"');
  bench.publish(yamlWorld(other, first.slots).snapshot);
  const [gone] = bench.run([fromFront(p.tcp(firstAck))], 1);
  assert.equal([gone?.end, gone?.outputs.length], ['server_removed', 0]);
  bench.close();
});

const router = { from: '2001:db8:2::77', to: BACK6 };
for (const tunnel of TUNNELS) {
  test(`${tunnelText(tunnel)}: what comes back about the outer packet is told to the client`, () => {
    for (const crew of CREWS) {
      const bench = benchOf(tunnel, '', crew);
      try {
        const request = p.udp({ ...query, df: true });
        const [first] = bench.run([fromFront(request)], 0);
        const quote = first!.outputs[0]!.bytes;
        const left = p.udp({ ...query, df: true, ttl: 63 });
        const mtu = 1400 - 40 - shimBytes(tunnel);
        for (const [n, type, code, rest, answer] of [
          [1, 2, 0, u32(1400), { type: 3, code: 4, mtu }],
          [2, 1, 0, u32(0), { type: 3, code: 1 }],
          [3, 1, 1, u32(0), { type: 3, code: 10 }],
          [4, 1, 4, u32(0), { type: 3, code: 3 }],
          [5, 3, 0, u32(0), { type: 11, code: 0 }],
        ] as const) {
          const error = q.icmp6Error({ ...router, type, code, rest, quote });
          const [step] = bench.run([fromBack(error)], n);
          assert.is(step?.end, 'forwarded_icmp_error', `${nameOf(crew)}: ${type}/${code}`);
          const bytes = step!.outputs[0]!.bytes;
          const told = { from: VIP, to: CIP, ...answer, quote: left, tos: icmpTos(query.tos) };
          const wanted = toFront(p.icmpError({ ...told, id: readU16(bytes, 18) }));
          assert.equal(differ(bytes, wanted.bytes), [], nameOf(crew));
        }
        assert.equal(bench.invariants(), []);
      } finally {
        bench.close();
      }
    }
  });
}

test('an error that is not about a connection of ours, or not in order, tells nobody', () => {
  const bench = benchOf();
  const quote = wrapped(IPIP, p.udp({ ...query, ttl: 63 }), 63, 0x14);
  const error = (more: object = {}) =>
    fromBack(q.icmp6Error({ ...router, type: 1, code: 0, quote, ...more }));
  assert.is(bench.run([error()], 0)[0]?.end, 'icmp_without_connection');
  bench.run([fromFront(p.udp(query))], 1);
  const foreign = quote.slice();
  foreign.set(toBytes('2001:db8:77::1'), 14 + 8);
  const elsewhere = quote.slice();
  elsewhere.set([192, 0, 2, 99], 54 + 16);
  for (const [arriving, end] of [
    [error({ checksum: 'bad' }), 'punted_not_ours'],
    [error({ quote: foreign }), 'punted_not_ours'],
    [error({ quote: elsewhere }), 'punted_not_ours'],
    [error({ quoteBytes: 40 + 27 }), 'punted_not_ours'],
    [error({ type: 4, code: 1 }), 'punted_not_ours'],
  ] as const) {
    const [step] = bench.run([arriving], 2);
    assert.is(step?.end, end);
    assert.equal(step?.outputs[0]?.bytes, arriving.frame, 'the kernel gets it as it came');
  }
  assert.equal(bench.invariants(), []);
  bench.close();
});

test('6in4: what comes back about the outer packet is told to the client, too', () => {
  for (const crew of CREWS) {
    const bench = benchOf(IPIP, '', crew);
    try {
      const six = { from: `[${CIP6}]:40000`, to: `[${VIPS.sixInFour}]:80` };
      const [first] = bench.run([fromFront(q.udp6({ ...six, payload: p.pattern(1_300) }))], 0);
      const quote = first!.outputs[0]!.bytes;
      const left = q.udp6({ ...six, payload: p.pattern(1_300), hops: 63 });
      for (const [n, type, code, mtu, answer] of [
        [1, 3, 4, 1400, { type: 2, code: 0, rest: u32(1380) }],
        [2, 3, 1, 0, { type: 1, code: 0 }],
        [3, 3, 13, 0, { type: 1, code: 1 }],
        [4, 11, 0, 0, { type: 3, code: 0 }],
      ] as const) {
        const from = { from: '198.51.100.99', to: '198.51.100.1' };
        const error = p.icmpError({ ...from, type, code, mtu, quote, quoteBytes: 500 });
        const [step] = bench.run([fromBack(error)], n);
        assert.is(step?.end, 'forwarded_icmp_error', `${nameOf(crew)}: ${type}/${code}`);
        const told = { from: VIPS.sixInFour, to: CIP6, ...answer, quote: left, quoteBytes: 480 };
        assert.equal(differ(step!.outputs[0]!.bytes, toFront(q.icmp6Error(told)).bytes), []);
      }
      assert.equal(bench.invariants(), []);
    } finally {
      bench.close();
    }
  }
});

test.run();
