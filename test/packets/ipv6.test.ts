/** IPv6 from the configuration to the wire: each mode, what is refused; one file for one world. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { concat, u16, u32 } from '../support/bytes.js';
import { differ } from '../support/duo.js';
import type { Output } from '../support/model/verdicts.js';
import * as p from '../support/packet.js';
import * as q from '../support/packet6.js';
import { type Arriving, Bench } from '../support/replay.js';
import { CREWS, fromBack, fromFront, nameOf, toBack, toFront, toTap } from '../support/table.js';
import { FRONT_MAC } from '../support/world.js';
import { BACK6, CIP6, FRONT6, LIP6, RIP6, VIPS, type World6, yaml6 } from '../support/world6.js';
import { yamlWorld } from '../support/yaml.js';

const C = `[${CIP6}]:40000`;
const at = (address: string, port = 80) => `[${address}]:${port}`;
const R = at(RIP6, 8080);

interface Context {
  /** LIP:lport of the FullNAT connection. */
  local: string;
}
type Maybe<T> = T | ((context: Context) => T);
interface Row {
  it: string;
  given?: Maybe<Arriving>[];
  in: Maybe<Arriving>;
  out: Maybe<Output[]>;
  end: string;
  world?: World6;
  extra?: Record<string, number>;
}

function rows(all: Row[]): void {
  for (const row of all) {
    test(row.it, () => {
      for (const crew of CREWS) {
        const bench = new Bench(yamlWorld(yaml6(row.world)), crew);
        try {
          runRow(bench, row, nameOf(crew));
        } finally {
          bench.close();
        }
      }
    });
  }
}

function runRow(bench: Bench, row: Row, crew: string): void {
  const context: Context = { local: '' };
  const resolve = <T>(value: Maybe<T>): T =>
    typeof value === 'function' ? (value as (context: Context) => T)(context) : value;
  const learn = () => {
    const found = bench.connections().find(({ local }) => local !== '');
    if (found) context.local = at(found.local, found.localPort);
  };
  let time = 0;
  for (const before of row.given ?? []) {
    const [step] = bench.run([resolve(before)], time++);
    assert.match(step!.end, /^forwarded_/, `${crew}: before the row itself`);
    learn();
  }
  const [step] = bench.run([resolve(row.in)], time);
  learn();
  assert.is(step!.end, row.end, crew);
  const wanted = resolve(row.out);
  assert.is(step!.outputs.length, wanted.length, crew);
  const lines = wanted.flatMap((output, index) => {
    const got = step!.outputs[index]!;
    const place = got.port === output.port && got.tap === output.tap ? [] : ['by another port'];
    return [...place, ...differ(got.bytes, output.bytes)];
  });
  assert.equal(lines, [], crew);
  assert.equal(bench.invariants(), [], crew);
  for (const [name, count] of Object.entries(row.extra ?? {})) {
    assert.is(bench.counters().extra[name], count, name);
  }
}

const syn = (vip: string, more: Partial<q.Tcp6Fields> = {}): q.Tcp6Fields => ({
  from: C,
  to: at(vip),
  flags: 'S',
  seq: 0x11223344,
  options: [p.mss(1440), p.sackOk, p.timestamps(100, 0), p.nop, p.wscale(7)],
  hops: 61,
  trafficClass: 0x2b,
  flow: 0xabcde,
  ...more,
});
const synAck = (more: Partial<q.Tcp6Fields> = {}): q.Tcp6Fields => ({
  from: R,
  to: C,
  flags: 'SA',
  seq: 0x55667788,
  ack: 0x11223345,
  options: [p.mss(1440), p.sackOk, p.timestamps(900, 100), p.nop, p.wscale(9)],
  flow: 0x12345,
  ...more,
});
const data = (vip: string, more: Partial<q.Tcp6Fields> = {}): q.Tcp6Fields => ({
  from: C,
  to: at(vip),
  flags: 'PA',
  seq: 0x11223345,
  ack: 0x55667789,
  payload: p.pattern(333),
  ...more,
});
const query = (vip: string, more: Partial<q.Udp6Fields> = {}): q.Udp6Fields => ({
  from: C,
  to: at(vip),
  payload: p.pattern(41),
  ...more,
});
const response = (more: Partial<q.Udp6Fields> = {}): q.Udp6Fields => ({
  from: R,
  to: C,
  payload: p.pattern(120, 3),
  ...more,
});
const outer6 = (inner: Uint8Array, server = RIP6, trafficClass = 0x2a) =>
  q.ip6Frame({ from: BACK6, to: server, hops: 60, trafficClass }, 41, inner);

const options = (kind: number) => ({ kind, body: Uint8Array.of(1, 4, 0, 0, 0, 0) });
const fragment = { kind: 44, body: concat(u16(1), u32(7)) };

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
    const large = q.udp6(query(VIPS[way], { payload: p.pattern(1380) }));
    return {
      it: `${way}: too large for a link of ${backMtu}: an MTU of ${mtu} is told`,
      world: { backMtu },
      in: fromFront(large),
      out: [
        toFront(q.icmp6Error({ from: VIPS[way], to: CIP6, type: 2, rest: u32(mtu), quote: large })),
      ],
      end: 'answered_too_big',
    };
  }),
  {
    it: 'a fragment to a VIP behind other extension headers is dropped by name',
    in: fromFront(
      q.udp6(
        query(VIPS.nat, {
          extensions: [{ kind: 60, body: Uint8Array.of(1, 4, 0, 0, 0, 0) }, fragment],
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

const NODES = 'ff02::1';
const solicited = 'ff02::1:ff00:10';
const stranger = q.udp6(query('2001:db8:f::99'));
const segment = (flags: string, more: Partial<q.Tcp6Fields> = {}): q.Tcp6Fields => ({
  from: C,
  to: at(VIPS.nat, 81),
  flags,
  seq: 7000,
  ack: 9000,
  payload: 'abc',
  trafficClass: 0x2b,
  ...more,
});

// What the director says itself.
rows([
  {
    it: 'a Neighbour Solicitation for a VIP is answered, solicited and to be believed',
    in: fromFront(
      q.solicitation({
        from: 'fe80::c',
        to: solicited,
        target: VIPS.nat,
        toMac: '33:33:ff:00:00:10',
      }),
    ),
    out: [
      toFront(
        q.advertisement({
          from: VIPS.nat,
          to: 'fe80::c',
          target: VIPS.nat,
          flags: 0x60,
          own: FRONT_MAC,
        }),
      ),
    ],
    end: 'answered_neighbour',
  },
  {
    it: 'who tries whether a VIP is free is told along with everybody',
    in: fromFront(q.solicitation({ from: '::', to: solicited, target: VIPS.nat })),
    out: [
      {
        ...toFront(
          q.advertisement({
            from: VIPS.nat,
            to: NODES,
            target: VIPS.nat,
            flags: 0x20,
            own: FRONT_MAC,
          }),
        ),
      },
    ].map(({ port, tap, bytes }) => {
      const everybody = bytes.slice();
      everybody.set([0x33, 0x33, 0, 0, 0, 1]);
      return { port, tap, bytes: everybody };
    }),
    end: 'answered_neighbour',
  },
  {
    it: 'a solicitation from off the link is none',
    in: fromFront(q.solicitation({ from: CIP6, to: VIPS.nat, target: VIPS.nat, hops: 64 })),
    out: [],
    end: 'bad_l4_header',
  },
  {
    it: 'a solicitation with a wrong checksum is dropped',
    in: fromFront(
      q.solicitation({ from: 'fe80::c', to: VIPS.nat, target: VIPS.nat, checksum: 'bad' }),
    ),
    out: [],
    end: 'bad_icmp_checksum',
  },
  ...(
    [
      [
        'a solicitation for the port’s own address',
        q.solicitation({ from: 'fe80::c', to: FRONT6, target: FRONT6 }),
      ],
      [
        'a router’s advertisement',
        q.icmp6({ from: 'fe80::1', to: NODES, type: 134, hops: 255, payload: p.pattern(8) }),
      ],
      [
        'a neighbour’s advertisement',
        q.advertisement({
          from: 'fe80::1',
          to: FRONT6,
          target: 'fe80::1',
          flags: 0x60,
          own: p.CLIENT_MAC,
        }),
      ],
    ] as const
  ).map(([what, frame]): Row => {
    const arriving = fromFront(frame);
    return {
      it: `${what} is the kernel’s`,
      in: arriving,
      out: [toTap(arriving)],
      end: 'punted_neighbour',
    };
  }),
  ...(
    [
      ['UDP to a stranger', stranger],
      ['UDP to a group', q.udp6(query('ff05::2'))],
      ['ESP to a VIP', q.ip6Frame({ from: CIP6, to: VIPS.nat }, 50, p.pattern(24))],
      ['a fragment to a stranger', q.udp6(query('2001:db8:f::99', { extensions: [fragment] }))],
    ] as const
  ).map(([what, frame]): Row => {
    const arriving = fromFront(frame);
    return {
      it: `${what} is the kernel’s`,
      in: arriving,
      out: [toTap(arriving)],
      end: 'punted_not_ours',
    };
  }),
  {
    it: 'an echo request to a VIP is answered',
    in: fromFront(
      q.icmp6({
        from: CIP6,
        to: VIPS.nat,
        type: 128,
        rest: u32(0x42420001),
        payload: p.pattern(57),
        trafficClass: 7,
      }),
    ),
    out: [
      toFront(
        q.icmp6({
          from: VIPS.nat,
          to: CIP6,
          type: 129,
          rest: u32(0x42420001),
          payload: p.pattern(57),
          trafficClass: 7,
        }),
      ),
    ],
    end: 'answered_echo',
  },
  {
    it: 'a segment without connection is reset',
    in: fromFront(q.tcp6(segment('PA'))),
    out: [
      toFront(
        q.tcp6({
          from: at(VIPS.nat, 81),
          to: C,
          flags: 'R',
          seq: 9000,
          ack: 0,
          window: 0,
          trafficClass: 0x28,
        }),
      ),
    ],
    end: 'answered_reset',
  },
  {
    it: 'a SYN to a port without service is reset and acknowledged',
    in: fromFront(q.tcp6(segment('S'))),
    out: [
      toFront(
        q.tcp6({
          from: at(VIPS.nat, 81),
          to: C,
          flags: 'RA',
          seq: 0,
          ack: 7004,
          window: 0,
          trafficClass: 0x28,
        }),
      ),
    ],
    end: 'answered_reset',
  },
  {
    it: 'UDP to a port without service: port unreachable, quoting at most 1232 bytes',
    in: fromFront(q.udp6(query(VIPS.nat, { to: at(VIPS.nat, 81), payload: p.pattern(1400) }))),
    out: [
      toFront(
        q.icmp6Error({
          from: VIPS.nat,
          to: CIP6,
          type: 1,
          code: 4,
          quote: q.udp6(query(VIPS.nat, { to: at(VIPS.nat, 81), payload: p.pattern(1400) })),
        }),
      ),
    ],
    end: 'answered_port_unreachable',
  },
  {
    it: 'another protocol to a VIP: the pointer says where it stands',
    in: fromFront(
      q.ip6Frame({ from: CIP6, to: VIPS.nat, extensions: [options(60)] }, 200, p.pattern(24)),
    ),
    out: [
      toFront(
        q.icmp6Error({
          from: VIPS.nat,
          to: CIP6,
          type: 4,
          code: 1,
          rest: u32(40),
          quote: q.ip6Frame(
            { from: CIP6, to: VIPS.nat, extensions: [options(60)] },
            200,
            p.pattern(24),
          ),
        }),
      ),
    ],
    end: 'answered_protocol_unreachable',
  },
]);

// Errors about connections.
rows([
  {
    it: 'NAT: a server’s port unreachable reaches the client as one about its own packet',
    given: [fromFront(q.udp6(query(VIPS.nat)))],
    in: fromBack(
      q.icmp6Error({
        from: RIP6,
        to: CIP6,
        type: 1,
        code: 4,
        quote: q.udp6(query(VIPS.nat, { to: R, hops: 63 })),
      }),
    ),
    out: [
      toFront(
        q.icmp6Error({
          from: VIPS.nat,
          to: CIP6,
          type: 1,
          code: 4,
          hops: 63,
          quote: q.udp6(query(VIPS.nat, { hops: 63 })),
        }),
      ),
    ],
    end: 'forwarded_icmp_error',
  },
  {
    it: 'NAT: packet too big of a router on the client’s side reaches the server',
    given: [fromFront(q.udp6(query(VIPS.nat))), fromBack(q.udp6(response()))],
    in: fromFront(
      q.icmp6Error({
        from: '2001:db8:77::1',
        to: VIPS.nat,
        type: 2,
        rest: u32(1300),
        quote: q.udp6(response({ from: at(VIPS.nat), hops: 60 })),
      }),
    ),
    out: [
      toBack(
        q.icmp6Error({
          from: '2001:db8:77::1',
          to: RIP6,
          type: 2,
          rest: u32(1300),
          hops: 63,
          quote: q.udp6(response({ hops: 60 })),
        }),
      ),
    ],
    end: 'forwarded_icmp_error',
  },
  {
    it: 'FullNAT: a server’s error comes to the local address and goes to the client',
    given: [fromFront(q.udp6(query(VIPS.fullnat)))],
    in: ({ local }) =>
      fromBack(
        q.icmp6Error({
          from: RIP6,
          to: LIP6,
          type: 1,
          code: 4,
          quote: q.udp6(query(VIPS.fullnat, { from: local, to: R, hops: 63 })),
        }),
      ),
    out: [
      toFront(
        q.icmp6Error({
          from: VIPS.fullnat,
          to: CIP6,
          type: 1,
          code: 4,
          hops: 63,
          quote: q.udp6(query(VIPS.fullnat, { hops: 63 })),
        }),
      ),
    ],
    end: 'forwarded_icmp_error',
  },
  {
    it: 'DR: an error about the server’s answer goes to the server as it is',
    given: [fromFront(q.udp6(query(VIPS.dr)))],
    in: fromFront(
      q.icmp6Error({
        from: '2001:db8:77::1',
        to: VIPS.dr,
        type: 1,
        code: 0,
        quote: q.udp6(response({ from: at(VIPS.dr) })),
      }),
    ),
    out: [
      toBack(
        q.icmp6Error({
          from: '2001:db8:77::1',
          to: VIPS.dr,
          type: 1,
          code: 0,
          hops: 63,
          quote: q.udp6(response({ from: at(VIPS.dr) })),
        }),
      ),
    ],
    end: 'forwarded_icmp_error',
  },
  {
    it: 'TUN: packet too big about the outer packet becomes the VIP’s, with room for the header',
    given: [fromFront(q.udp6(query(VIPS.tun)))],
    in: fromBack(
      q.icmp6Error({
        from: '2001:db8:2::77',
        to: BACK6,
        type: 2,
        rest: u32(1400),
        quote: outer6(q.ip6Of(q.udp6(query(VIPS.tun, { hops: 63 }))), RIP6, 0),
      }),
    ),
    out: [
      toFront(
        q.icmp6Error({
          from: VIPS.tun,
          to: CIP6,
          type: 2,
          rest: u32(1360),
          quote: q.udp6(query(VIPS.tun, { hops: 63 })),
        }),
      ),
    ],
    end: 'forwarded_icmp_error',
  },
  {
    it: 'an error about nothing we know, to a VIP, is dropped',
    in: fromFront(
      q.icmp6Error({
        from: '2001:db8:77::1',
        to: VIPS.nat,
        type: 1,
        code: 0,
        quote: q.udp6(response({ from: at(VIPS.nat) })),
      }),
    ),
    out: [],
    end: 'icmp_without_connection',
  },
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
