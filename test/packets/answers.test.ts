/** What the director answers itself for the addresses it owns, and what it leaves to the kernel. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { dissect } from '../support/dissect.js';
import { C, CIP, data, icmpTos, LIP, query, R, RIP, syn, V, VIP } from '../support/flow.js';
import type { TcpFields } from '../support/packet.js';
import * as p from '../support/packet.js';
import { fromBack, fromFront, type Row, table, toBack, toFront, toTap } from '../support/table.js';
import {
  BACK_ADDRESS,
  BACK_MAC,
  FRONT_ADDRESS,
  FRONT_MAC,
  ROUTER_MAC,
  serverMac,
  type WorldWords,
} from '../support/world.js';

const words: WorldWords = {
  services: [
    { listen: V, mode: 'fullnat', servers: [R], locals: [LIP] },
    { listen: V, protocol: 'udp', mode: 'fullnat', servers: [R], locals: [LIP] },
    { listen: `${VIP}:90`, servers: [] },
    { listen: `${VIP}:90`, protocol: 'udp', servers: [{ at: R, weight: 0 }] },
    { listen: `${VIP}:91`, servers: [{ at: R, up: false }] },
  ],
};

const asked = (target: string, more: Partial<p.ArpFields> = {}) =>
  p.arp({ op: 1, senderMac: ROUTER_MAC, sender: '192.0.2.254', target, ...more });
const told = (target: string, mac = FRONT_MAC) =>
  p.arp({
    op: 2,
    senderMac: mac,
    sender: target,
    targetMac: ROUTER_MAC,
    target: '192.0.2.254',
  });

const arp: Row[] = [
  {
    it: 'ARP: a request for the VIP is answered with the port’s MAC',
    in: { port: 0, frame: asked(VIP) },
    out: toFront(told(VIP)),
    end: 'answered_arp',
  },
  {
    it: 'ARP: Ethernet padding does not come back',
    in: { port: 0, frame: p.concat(asked(VIP), new Uint8Array(18)) },
    out: toFront(told(VIP)),
    end: 'answered_arp',
  },
  {
    it: 'ARP: a unicast request is answered as well',
    in: { port: 0, frame: asked(VIP, { toMac: FRONT_MAC }) },
    out: toFront(told(VIP)),
    end: 'answered_arp',
  },
  {
    it: 'ARP: a real server asks for the LIP at the back',
    in: {
      port: 1,
      frame: p.arp({ op: 1, senderMac: serverMac(1), sender: RIP, target: LIP }),
    },
    out: toBack(
      p.arp({ op: 2, senderMac: BACK_MAC, sender: LIP, targetMac: serverMac(1), target: RIP }),
    ),
    end: 'answered_arp',
  },
  ...(
    [
      ['a request for the port’s own address', asked(FRONT_ADDRESS)],
      ['a request for somebody else', asked('192.0.2.9')],
      ['a gratuitous announcement of the VIP by another', asked(VIP, { sender: VIP })],
      [
        'a reply',
        p.arp({
          op: 2,
          senderMac: ROUTER_MAC,
          sender: '192.0.2.254',
          targetMac: FRONT_MAC,
          target: FRONT_ADDRESS,
        }),
      ],
      ['a request with another hardware type', asked(VIP, { hardwareType: 6 })],
      ['a request with another protocol', asked(VIP, { protocolType: 0x86dd })],
      ['a request with other address lengths', asked(VIP, { hardwareLength: 8 })],
    ] as const
  ).map(
    ([what, frame]): Row => ({
      it: `ARP: ${what} is the kernel’s`,
      in: { port: 0, frame },
      out: toTap({ port: 0, frame }),
      end: 'punted_arp',
    }),
  ),
];

const ping = { from: CIP, to: VIP, identifier: 77, sequence: 3, tos: 0x2b, id: 5, df: true };
const echo: Row[] = [
  {
    it: 'echo: the VIP answers: TOS kept, DF clear, TTL 64',
    in: fromFront(p.echo(ping)),
    out: (c) => toFront(p.echo({ ...ping, from: VIP, to: CIP, df: false, reply: true, id: c.id })),
    end: 'answered_echo',
  },
  {
    it: 'echo: the LIP answers at the back, odd length, TTL 1',
    in: fromBack(p.echo({ ...ping, from: RIP, to: LIP, payload: p.pattern(33), ttl: 1 })),
    out: (c) =>
      toBack(
        p.echo({
          ...ping,
          from: LIP,
          to: RIP,
          payload: p.pattern(33),
          df: false,
          reply: true,
          id: c.id,
        }),
      ),
    end: 'answered_echo',
  },
  {
    it: 'echo: IP options do not come back',
    in: fromFront(p.echo({ ...ping, ipOptions: [Uint8Array.of(0x94, 4, 0, 0)] })),
    out: (c) => toFront(p.echo({ ...ping, from: VIP, to: CIP, df: false, reply: true, id: c.id })),
    end: 'answered_echo',
  },
  {
    it: 'echo: a wrong checksum is dropped',
    in: fromFront(p.icmp({ from: CIP, to: VIP, type: 8, checksum: 'bad', payload: p.pattern(20) })),
    out: 'nothing',
    end: 'bad_icmp_checksum',
  },
  {
    it: 'echo: a reply to the VIP is dropped',
    in: fromFront(p.echo({ ...ping, reply: true })),
    out: 'nothing',
    end: 'icmp_not_echo',
  },
  {
    it: 'echo: the kernel answers for its own address',
    in: fromFront(p.echo({ ...ping, to: FRONT_ADDRESS })),
    out: toTap(fromFront(p.echo({ ...ping, to: FRONT_ADDRESS }))),
    end: 'punted_not_ours',
  },
];

/** RFC 9293 section 3.10.7.1. */
const reset = (fields: TcpFields): Uint8Array =>
  p.tcp({
    from: fields.to,
    to: fields.from,
    window: 0,
    id: 0,
    df: true,
    tos: (fields.tos ?? 0) & 0xfc,
    ...(fields.flags?.includes('A')
      ? { flags: 'R', seq: fields.ack ?? 0, ack: 0 }
      : { flags: 'RA', seq: 0, ack: 0 }),
  });
const stray: TcpFields = { ...data, flags: 'A', tos: 0x2b, options: [], payload: '' };
const resets: Row[] = [
  {
    it: 'TCP: an ACK without a connection is reset with its own acknowledgement number',
    in: fromFront(p.tcp(stray)),
    out: toFront(reset(stray)),
    end: 'answered_reset',
  },
  {
    it: 'TCP: data without a connection is reset, its options and payload left behind',
    in: fromFront(p.tcp({ ...data, ipOptions: [Uint8Array.of(0x94, 4, 0, 0)] })),
    out: toFront(reset(data)),
    end: 'answered_reset',
  },
  {
    it: 'TCP: a FIN+ACK without a connection is reset',
    in: fromFront(p.tcp({ ...stray, flags: 'FA' })),
    out: toFront(reset({ ...stray, flags: 'FA' })),
    end: 'answered_reset',
  },
  ...(
    [
      ['a SYN', { flags: 'S' }, 1],
      ['a SYN with data', { flags: 'S', payload: p.pattern(7) }, 8],
      ['a FIN', { flags: 'F', payload: p.pattern(10) }, 11],
      ['a SYN+FIN', { flags: 'SF' }, 2],
      ['a segment without flags', { flags: '', payload: p.pattern(3) }, 3],
    ] as [string, Partial<TcpFields>, number][]
  ).map(([what, fields, length]): Row => {
    const segment: TcpFields = { ...stray, ...fields, to: `${VIP}:81`, ack: 0, seq: 0xffffffff };
    return {
      it: `TCP: ${what} to a port without a service is reset, acknowledging ${length}`,
      in: fromFront(p.tcp(segment)),
      out: toFront(
        p.tcp({
          from: segment.to,
          to: segment.from,
          flags: 'RA',
          seq: 0,
          ack: length - 1,
          window: 0,
          id: 0,
          df: true,
          tos: 0x28,
        }),
      ),
      end: 'answered_reset',
    };
  }),
  {
    it: 'TCP: TTL 1 is no reason not to reset',
    in: fromFront(p.tcp({ ...stray, ttl: 1 })),
    out: toFront(reset(stray)),
    end: 'answered_reset',
  },
  {
    it: 'TCP: a segment to the LIP without a connection is reset',
    in: fromBack(p.tcp({ ...stray, from: R, to: `${LIP}:2000` })),
    out: toBack(reset({ ...stray, from: R, to: `${LIP}:2000` })),
    end: 'answered_reset',
  },
  ...['R', 'RA'].map(
    (flags): Row => ({
      it: `TCP: ${flags} without a connection is dropped`,
      in: fromFront(p.tcp({ ...stray, flags })),
      out: 'nothing',
      end: 'reset_without_connection',
    }),
  ),
  {
    it: 'TCP: a wrong checksum is not worth a reset',
    in: fromFront(p.tcp({ ...stray, checksum: 'bad' })),
    out: 'nothing',
    end: 'bad_l4_checksum',
  },
];

const unreachable = (frame: Uint8Array, tos: number, code: number, id: number, bytes?: number) =>
  toFront(
    p.icmpError({
      from: VIP,
      to: CIP,
      type: 3,
      code,
      quote: frame,
      tos: icmpTos(tos),
      id,
      ...(bytes ? { quoteBytes: bytes } : {}),
    }),
  );
const closed = p.udp({ ...query, to: `${VIP}:81` });
const unreachables: Row[] = [
  {
    it: 'UDP: a port without a service is unreachable',
    in: fromFront(closed),
    out: (c) => unreachable(closed, query.tos ?? 0, 3, c.id),
    end: 'answered_port_unreachable',
  },
  ...[0x00, 0x28, 0x15, 0x2b, 0x2c].map((tos): Row => {
    const frame = p.udp({ ...query, to: `${VIP}:81`, tos, payload: p.pattern(800) });
    return {
      it: `UDP: unreachable with TOS ${tos}: internetwork control, quote cut to 548 bytes`,
      in: fromFront(frame),
      out: (c) => unreachable(frame, tos, 3, c.id, 548),
      end: 'answered_port_unreachable',
      after: (_, step) => assert.is(dissect(step.outputs[0]!.bytes).ip?.totalLength, 576),
    };
  }),
  {
    it: 'UDP: without a checksum it is unreachable all the same',
    in: fromFront(p.udp({ ...query, to: `${VIP}:81`, checksum: 'none' })),
    out: 'model',
    end: 'answered_port_unreachable',
  },
  {
    it: 'UDP: a wrong checksum is not worth an answer',
    in: fromFront(p.udp({ ...query, to: `${VIP}:81`, checksum: 'bad' })),
    out: 'nothing',
    end: 'bad_l4_checksum',
  },
  {
    it: 'UDP: only weight 0: unreachable',
    in: fromFront(p.udp({ ...query, to: `${VIP}:90` })),
    out: (c) => unreachable(p.udp({ ...query, to: `${VIP}:90` }), query.tos ?? 0, 3, c.id),
    end: 'answered_port_unreachable',
  },
  {
    it: 'TCP: no real server: unreachable, for TCP too, whatever the TTL',
    in: fromFront(p.tcp({ ...syn, to: `${VIP}:90`, ttl: 1 })),
    out: (c) => unreachable(p.tcp({ ...syn, to: `${VIP}:90`, ttl: 1 }), syn.tos ?? 0, 3, c.id),
    end: 'answered_port_unreachable',
  },
  {
    it: 'TCP: only a server that is down: unreachable',
    in: fromFront(p.tcp({ ...syn, to: `${VIP}:91` })),
    out: (c) => unreachable(p.tcp({ ...syn, to: `${VIP}:91` }), syn.tos ?? 0, 3, c.id),
    end: 'answered_port_unreachable',
  },
  ...[47, 33, 253].map((protocol): Row => {
    const frame = p.ip({ from: CIP, to: VIP, tos: 0x28 }, protocol, p.pattern(40));
    return {
      it: `protocol ${protocol} to the VIP: protocol unreachable`,
      in: fromFront(frame),
      out: (c) => unreachable(frame, 0x28, 2, c.id),
      end: 'answered_protocol_unreachable',
    };
  }),
];

const kernels: Row[] = [
  ['TCP to the port’s own address', p.tcp({ from: C, to: `${FRONT_ADDRESS}:22`, flags: 'S' })],
  ['UDP to nobody we know', p.udp({ from: C, to: '198.51.100.77:53' })],
  ['a TTL of 1 to nobody we know', p.udp({ from: C, to: '198.51.100.77:53', ttl: 1 })],
  [
    'OSPF to its multicast group',
    p.ip({ from: '192.0.2.254', to: '224.0.0.5' }, 89, p.pattern(44)),
  ],
  ['GRE to the port’s own address', p.ip({ from: CIP, to: BACK_ADDRESS }, 47, p.pattern(40))],
  [
    'a timestamp request to its own',
    p.icmp({ from: CIP, to: FRONT_ADDRESS, type: 13, payload: p.pattern(12) }),
  ],
].map(([what, frame]): Row => {
  const arriving = fromFront(frame as Uint8Array);
  return {
    it: `${what} is the kernel’s`,
    in: arriving,
    out: toTap(arriving),
    end: 'punted_not_ours',
  };
});
const others: Row[] = [
  ['LLDP', 0x88cc],
  ['a VLAN tag', 0x8100],
].map(([what, etherType]): Row => {
  const arriving = fromFront(p.ethernet(p.pattern(60), { etherType: etherType as number }));
  return {
    it: `${what} is the kernel’s`,
    in: arriving,
    out: toTap(arriving),
    end: 'punted_not_ipv4',
  };
});

table(words, [...arp, ...echo, ...resets, ...unreachables, ...kernels, ...others]);

test.run();
