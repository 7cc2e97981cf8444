/** IPv6 from the configuration to the wire: each mode, what does not get through, the tables. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { concat, u32 } from '../support/bytes.js';
import { differ } from '../support/duo.js';
import * as p from '../support/packet.js';
import * as q from '../support/packet6.js';
import { Bench } from '../support/replay.js';
import { fromBack, fromFront, toBack, toFront } from '../support/table.js';
import {
  at,
  C,
  data,
  fragment,
  options,
  outer6,
  query,
  R,
  type Row,
  response,
  rows,
  syn,
  synAck,
} from '../support/table6.js';
import { CIP6, FRONT6, RIP6, VIPS, yaml6 } from '../support/world6.js';
import { yamlWorld } from '../support/yaml.js';

rows([
  {
    it: 'NAT: a SYN goes to the real server, flow label and traffic class as they came',
    in: fromFront(q.tcp6(syn(VIPS.nat))),
    out: [toBack(q.tcp6(syn(VIPS.nat, { to: R, hops: 60 })))],
    end: 'forwarded_nat',
  },
  {
    it: 'NAT: the SYN-ACK comes back from the VIP',
    given: [fromFront(q.tcp6(syn(VIPS.nat)))],
    in: fromBack(q.tcp6(synAck())),
    out: [toFront(q.tcp6(synAck({ from: at(VIPS.nat), hops: 63 })))],
    end: 'forwarded_nat_reply',
  },
  {
    it: 'NAT: data behind hop-by-hop and destination options',
    given: [fromFront(q.tcp6(syn(VIPS.nat)))],
    in: fromFront(q.tcp6(data(VIPS.nat, { extensions: [options(0), options(60)] }))),
    out: [
      toBack(q.tcp6(data(VIPS.nat, { to: R, hops: 63, extensions: [options(0), options(60)] }))),
    ],
    end: 'forwarded_nat',
  },
  {
    it: 'NAT: Ethernet padding does not go on',
    in: fromFront(q.udp6(query(VIPS.nat, { payload: 'x', trailer: new Uint8Array(5).fill(0xee) }))),
    out: [toBack(q.udp6(query(VIPS.nat, { payload: 'x', to: R, hops: 63 })))],
    end: 'forwarded_nat',
  },
  {
    it: 'NAT: UDP back to the client',
    given: [fromFront(q.udp6(query(VIPS.nat)))],
    in: fromBack(q.udp6(response())),
    out: [toFront(q.udp6(response({ from: at(VIPS.nat), hops: 63 })))],
    end: 'forwarded_nat_reply',
  },
  {
    it: 'NAT: UDP without a checksum cannot be (RFC 8200 section 8.1)',
    in: fromFront(q.udp6(query(VIPS.nat, { checksum: 'none' }))),
    out: [],
    end: 'udp_without_checksum',
  },
  {
    it: 'NAT: a partial checksum from a local kernel is completed',
    world: { partial: true },
    in: fromFront(q.tcp6(syn(VIPS.nat, { checksum: 'partial' }))),
    out: [toBack(q.tcp6(syn(VIPS.nat, { to: R, hops: 60 })))],
    end: 'forwarded_nat',
    extra: { partial_checksum_completed: 1 },
  },
  {
    it: 'DR: the packet as it is, one hop less',
    in: fromFront(q.tcp6(syn(VIPS.dr))),
    out: [toBack(q.tcp6(syn(VIPS.dr, { hops: 60 })))],
    end: 'forwarded_dr',
  },
  {
    it: 'DR: UDP without a checksum is the receiver’s to judge',
    in: fromFront(q.udp6(query(VIPS.dr, { checksum: 'none' }))),
    out: [toBack(q.udp6(query(VIPS.dr, { checksum: 'none', hops: 63 })))],
    end: 'forwarded_dr',
  },
  {
    it: 'TUN: IPv6 in IPv6, congestion experienced stays inside (RFC 6040)',
    in: fromFront(q.tcp6(syn(VIPS.tun))),
    out: [toBack(outer6(q.ip6Of(q.tcp6(syn(VIPS.tun, { hops: 60 })))))],
    end: 'forwarded_tun',
  },
  {
    it: 'FullNAT: the SYN from the local address, with the client’s as TOA and room for it',
    in: fromFront(q.tcp6(syn(VIPS.fullnat))),
    out: ({ local }) => [
      toBack(
        q.tcp6(
          syn(VIPS.fullnat, {
            from: local,
            to: R,
            hops: 60,
            options: [q.toa6(C), p.mss(1420), p.sackOk, p.timestamps(100, 0), p.nop, p.wscale(7)],
          }),
        ),
      ),
    ],
    end: 'forwarded_fullnat',
    extra: { client_option_added: 1 },
  },
  {
    it: 'FullNAT: the SYN-ACK to the client, its MSS lowered',
    given: [fromFront(q.tcp6(syn(VIPS.fullnat)))],
    in: ({ local }) => fromBack(q.tcp6(synAck({ to: local }))),
    out: [
      toFront(
        q.tcp6(
          synAck({
            from: at(VIPS.fullnat),
            hops: 63,
            options: [p.mss(1420), p.sackOk, p.timestamps(900, 100), p.nop, p.wscale(9)],
          }),
        ),
      ),
    ],
    end: 'forwarded_fullnat_reply',
  },
  {
    it: 'FullNAT: the first segment after the handshake tells it again, behind extension headers',
    given: [
      fromFront(q.tcp6(syn(VIPS.fullnat))),
      ({ local }) => fromBack(q.tcp6(synAck({ to: local }))),
    ],
    in: fromFront(q.tcp6(data(VIPS.fullnat, { extensions: [options(60)] }))),
    out: ({ local }) => [
      toBack(
        q.tcp6(
          data(VIPS.fullnat, {
            from: local,
            to: R,
            hops: 63,
            extensions: [options(60)],
            options: [q.toa6(C)],
          }),
        ),
      ),
    ],
    end: 'forwarded_fullnat',
  },
  {
    it: 'FullNAT: what a client itself sends as TOA is blotted out',
    given: [
      fromFront(q.tcp6(syn(VIPS.fullnat))),
      ({ local }) => fromBack(q.tcp6(synAck({ to: local }))),
    ],
    in: fromFront(q.tcp6(data(VIPS.fullnat, { ack: 0x55667799, options: [q.toa6(C)] }))),
    out: ({ local }) => [
      toBack(
        q.tcp6(
          data(VIPS.fullnat, {
            from: local,
            to: R,
            hops: 63,
            ack: 0x55667799,
            options: [new Uint8Array(20).fill(1)],
          }),
        ),
      ),
    ],
    end: 'forwarded_fullnat',
  },
  {
    it: 'FullNAT: UDP there',
    in: fromFront(q.udp6(query(VIPS.fullnat))),
    out: ({ local }) => [toBack(q.udp6(query(VIPS.fullnat, { from: local, to: R, hops: 63 })))],
    end: 'forwarded_fullnat',
  },
  {
    it: 'FullNAT: UDP back',
    given: [fromFront(q.udp6(query(VIPS.fullnat)))],
    in: ({ local }) => fromBack(q.udp6(response({ to: local }))),
    out: [toFront(q.udp6(response({ from: at(VIPS.fullnat), hops: 63 })))],
    end: 'forwarded_fullnat_reply',
  },
]);

// What does not get through.
rows([
  {
    it: 'the last hop is told to the client by the VIP',
    in: fromFront(q.udp6(query(VIPS.nat, { hops: 1 }))),
    out: [
      toFront(
        q.icmp6Error({
          from: VIPS.nat,
          to: CIP6,
          type: 3,
          quote: q.udp6(query(VIPS.nat, { hops: 1 })),
        }),
      ),
    ],
    end: 'answered_time_exceeded',
  },
  ...(
    [
      ['nat', 1400, 1400],
      ['tun', 1400, 1360],
      ['sixInFour', 1400, 1380],
      ['tun', 1320, 1280],
    ] as const
  ).map(([way, backMtu, mtu]): Row => {
    const large = (hops: number) => q.udp6(query(VIPS[way], { payload: p.pattern(1380), hops }));
    return {
      it: `${way}: too large for a link of ${backMtu}: an MTU of ${mtu} is told`,
      world: { backMtu },
      in: fromFront(large(64)),
      out: [
        toFront(
          q.icmp6Error({ from: VIPS[way], to: CIP6, type: 2, rest: u32(mtu), quote: large(63) }),
        ),
      ],
      end: 'answered_too_big',
    };
  }),
  {
    it: 'a fragment to a VIP behind more extension headers than are kept is dropped by name',
    in: fromFront(
      q.udp6(
        query(VIPS.nat, {
          extensions: [
            { kind: 60, body: concat(Uint8Array.of(1, 116), new Uint8Array(116)) },
            fragment,
          ],
        }),
      ),
    ),
    out: [],
    end: 'fragment_ipv6',
  },
  {
    it: 'a routing header with segments left to a VIP is refused',
    in: fromFront(
      q.udp6(
        query(VIPS.nat, { extensions: [{ kind: 43, body: Uint8Array.of(0, 1, 0, 0, 0, 0) }] }),
      ),
    ),
    out: [],
    end: 'source_route',
  },
  {
    it: 'a routing header that is through is passed',
    in: fromFront(
      q.udp6(query(VIPS.dr, { extensions: [{ kind: 43, body: Uint8Array.of(4, 0, 0, 0, 0, 0) }] })),
    ),
    out: [
      toBack(
        q.udp6(
          query(VIPS.dr, {
            hops: 63,
            extensions: [{ kind: 43, body: Uint8Array.of(4, 0, 0, 0, 0, 0) }],
          }),
        ),
      ),
    ],
    end: 'forwarded_dr',
  },
  {
    it: 'hop-by-hop options anywhere but first are no header',
    in: fromFront(q.udp6(query(VIPS.nat, { extensions: [options(60), options(0)] }))),
    out: [],
    end: 'bad_ip_header',
  },
  {
    it: 'a length beyond the frame',
    in: fromFront(q.udp6(query(VIPS.nat, { payloadLength: 2000 }))),
    out: [],
    end: 'bad_ip_length',
  },
  {
    it: 'another version',
    in: fromFront(q.udp6(query(VIPS.nat, { version: 5 }))),
    out: [],
    end: 'bad_ip_header',
  },
  ...(
    [
      ['a group', '[ff02::1]:40000'],
      ['the loopback address', '[::1]:40000'],
      ['an IPv4 address', '[::ffff:c612:2]:40000'],
      ['our VIP', at(VIPS.dr, 40000)],
      ['our own address', at(FRONT6, 40000)],
      ['a link-local address', '[fe80::2]:40000'],
    ] as const
  ).map(
    ([what, from]): Row => ({
      it: `${what} is no client`,
      in: fromFront(q.udp6(query(VIPS.nat, { from }))),
      out: [],
      end: 'martian',
    }),
  ),
]);

test('TUN to an IPv4 server: IPv6 in IPv4 (RFC 4213)', () => {
  const bench = new Bench(yamlWorld(yaml6()));
  const [step] = bench.run([fromFront(q.tcp6(syn(VIPS.sixInFour)))], 0);
  assert.is(step!.end, 'forwarded_tun');
  const [output] = step!.outputs;
  const id = ((output!.bytes[18] as number) << 8) | (output!.bytes[19] as number);
  const wanted = toBack(
    p.ip(
      { from: '198.51.100.1', to: '198.51.100.11', ttl: 60, tos: 0x2a, id },
      41,
      q.ip6Of(q.tcp6(syn(VIPS.sixInFour, { hops: 60 }))),
    ),
  );
  assert.equal(differ(output!.bytes, wanted.bytes), []);
  bench.close();
});

test('connections are listed, counted, and expire', () => {
  const bench = new Bench(yamlWorld(yaml6()));
  for (const [n, vip] of Object.values(VIPS).entries()) {
    bench.run([fromFront(q.tcp6(syn(vip, { from: at(CIP6, 1000 + n) })))], n);
  }
  const listed = bench.connections();
  assert.equal(
    listed.map(({ client, virtual, server, state }) => [client, virtual, server, state]),
    Object.values(VIPS).map((vip) => [
      CIP6,
      vip,
      vip === VIPS.sixInFour ? '198.51.100.11' : RIP6,
      'SYN_RECV',
    ]),
  );
  assert.is(bench.counters().extra.connections, 5);
  bench.advance(59_000);
  assert.is(bench.counters().extra.connections, 5);
  bench.advance(62_000);
  assert.is(bench.counters().extra.connections, 0);
  assert.equal(bench.connections(), []);
  const { servers } = bench.counters();
  assert.ok(servers.every(({ active, inactive }) => active === 0 && inactive === 0));
  bench.close();
});

test('a full table gives way: half-open connections go, the established stay', () => {
  const bench = new Bench(yamlWorld(yaml6()), { limits: { maxConnections: 1024 } });
  bench.run([fromFront(q.tcp6(syn(VIPS.nat)))], 0);
  bench.run([fromBack(q.tcp6(synAck()))], 1);
  bench.run([fromFront(q.tcp6(data(VIPS.nat)))], 2);
  for (let round = 0; round < 4; round++) {
    const flood = Array.from({ length: 1000 }, (_, n) =>
      fromFront(q.tcp6(syn(VIPS.nat, { from: at(`2001:db8:c:${round}::${n.toString(16)}`, 99) }))),
    );
    for (const step of bench.run(flood, 3 + round)) assert.is(step.end, 'forwarded_nat');
  }
  assert.is(bench.connections().filter(({ state }) => state === 'ESTABLISHED').length, 1);
  assert.is(bench.counters().extra.connections, 1024);
  assert.ok((bench.counters().extra.evicted_half_open as number) > 2900);
  assert.equal(bench.invariants(), []);
  bench.close();
});

test('local ports towards a server are all used before a connection has to give way', () => {
  const bench = new Bench(yamlWorld(yaml6()), { limits: { maxConnections: 70_000 }, burst: 32 });
  for (let round = 0; round < 65; round++) {
    const flood = Array.from({ length: 1000 }, (_, n) =>
      fromFront(
        q.udp6(query(VIPS.fullnat, { from: at(`2001:db8:c:${round}::${n.toString(16)}`, 99) })),
      ),
    );
    for (const step of bench.run(flood, round)) assert.is(step.end, 'forwarded_fullnat');
  }
  const ports = new Set(bench.connections().map(({ localPort }) => localPort));
  assert.is(ports.size, 65536 - 1024);
  assert.is(bench.connections().length, 65536 - 1024);
  bench.close();
});

test.run();
