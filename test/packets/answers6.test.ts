/** IPv6: what the director says itself. */
import { test } from 'uvu';
import { u32 } from '../support/bytes.js';
import * as p from '../support/packet.js';
import * as q from '../support/packet6.js';
import { fromFront, toFront, toTap } from '../support/table.js';
import { at, C, fragment, options, query, type Row, rows } from '../support/table6.js';
import { FRONT_MAC } from '../support/world.js';
import { CIP6, FRONT6, VIPS } from '../support/world6.js';

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

test.run();
