/** NAT (Masq): destination and port on the way in, source and port on the way out. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { dissect } from '../support/dissect.js';
import {
  answer,
  CIP,
  CLIENT_SIDE_ROUTER,
  data,
  firstAck,
  icmpTos,
  query,
  R,
  RIP,
  response,
  SERVER_SIDE_ROUTER,
  syn,
  synAck,
  V,
  VIP,
} from '../support/flow.js';
import type { UdpFields } from '../support/packet.js';
import * as p from '../support/packet.js';
import { fromBack, fromFront, type Row, table, toBack, toFront } from '../support/table.js';
import { BACK_ADDRESS, type WorldWords } from '../support/world.js';

const words: WorldWords = {
  services: [
    { listen: V, mode: 'nat', servers: [R] },
    { listen: V, protocol: 'udp', mode: 'nat', servers: [R] },
  ],
};

const open = [fromFront(p.tcp(syn)), fromBack(p.tcp(synAck)), fromFront(p.tcp(firstAck))];

const requests: Row[] = [
  {
    it: 'TCP: a SYN goes to the real server, every other field as it came, TTL one less',
    in: fromFront(p.tcp(syn)),
    out: toBack(p.tcp({ ...syn, to: R, ttl: 60 })),
    end: 'forwarded_nat',
  },
  {
    it: 'TCP: the SYN-ACK comes back from the VIP',
    given: open.slice(0, 1),
    in: fromBack(p.tcp(synAck)),
    out: toFront(p.tcp({ ...synAck, from: V, ttl: 63 })),
    end: 'forwarded_nat_reply',
  },
  {
    it: 'TCP: data with odd length to the server',
    given: open,
    in: fromFront(p.tcp(data)),
    out: toBack(p.tcp({ ...data, to: R, ttl: 63 })),
    end: 'forwarded_nat',
  },
  {
    it: 'TCP: data back to the client',
    given: open,
    in: fromBack(p.tcp(answer)),
    out: toFront(p.tcp({ ...answer, from: V, ttl: 63 })),
    end: 'forwarded_nat_reply',
  },
  {
    it: 'TCP: urgent pointer, reserved bits, ECN flags and window pass untouched',
    given: open,
    in: fromFront(p.tcp({ ...data, flags: 'PAUEC', urgent: 0x1234, reserved: 5, window: 1 })),
    out: toBack(
      p.tcp({ ...data, flags: 'PAUEC', urgent: 0x1234, reserved: 5, window: 1, to: R, ttl: 63 }),
    ),
    end: 'forwarded_nat',
  },
  {
    it: 'TCP: IP options pass untouched',
    in: fromFront(p.tcp({ ...syn, ipOptions: [p.uoa('192.0.2.3:1'), p.nop] })),
    out: toBack(p.tcp({ ...syn, ipOptions: [p.uoa('192.0.2.3:1'), p.nop], to: R, ttl: 60 })),
    end: 'forwarded_nat',
  },
  {
    it: 'TCP: Ethernet padding does not go on',
    in: fromFront(p.tcp({ ...syn, options: [], trailer: new Uint8Array(6).fill(0xee) })),
    out: toBack(p.tcp({ ...syn, options: [], to: R, ttl: 60 })),
    end: 'forwarded_nat',
  },
  {
    it: 'TCP: a bad checksum stays bad',
    in: fromFront(p.tcp({ ...syn, checksum: 'bad' })),
    out: 'model',
    end: 'forwarded_nat',
    badOnPurpose: true,
    after: (_, step) => assert.is(dissect(step.outputs[0]!.bytes).ip?.tcp?.checksumOk, false),
  },
  {
    it: 'UDP: a query goes to the real server',
    in: fromFront(p.udp(query)),
    out: toBack(p.udp({ ...query, to: R, ttl: 63 })),
    end: 'forwarded_nat',
  },
  {
    it: 'UDP: the response comes back from the VIP',
    given: [fromFront(p.udp(query))],
    in: fromBack(p.udp(response)),
    out: toFront(p.udp({ ...response, from: V, ttl: 63 })),
    end: 'forwarded_nat_reply',
  },
  {
    it: 'UDP: no checksum on the way in, a full one on the way to the server',
    in: fromFront(p.udp({ ...query, checksum: 'none' })),
    out: toBack(p.udp({ ...query, to: R, ttl: 63 })),
    end: 'forwarded_nat',
  },
  {
    it: 'UDP: no checksum from the server, a full one to the client',
    given: [fromFront(p.udp(query))],
    in: fromBack(p.udp({ ...response, checksum: 'none' })),
    out: toFront(p.udp({ ...response, from: V, ttl: 63 })),
    end: 'forwarded_nat_reply',
  },
  {
    it: 'UDP: a bad checksum stays bad',
    in: fromFront(p.udp({ ...query, checksum: 'bad' })),
    out: 'model',
    end: 'forwarded_nat',
    badOnPurpose: true,
    after: (_, step) => assert.is(dissect(step.outputs[0]!.bytes).ip?.udp?.checksumOk, false),
  },
  {
    it: 'a packet from the server that belongs to no connection is the kernel’s to route',
    given: open,
    in: fromBack(p.tcp({ ...answer, to: '198.18.0.2:40001' })),
    out: 'model',
    end: 'punted_not_ours',
  },
];

const partial: Row[] = [
  {
    it: 'TCP: a partial checksum from a local kernel is completed',
    world: { ...words, partialChecksums: true },
    in: fromFront(p.tcp({ ...syn, checksum: 'partial' })),
    out: toBack(p.tcp({ ...syn, to: R, ttl: 60 })),
    end: 'forwarded_nat',
    after: (bench) => assert.is(bench.counters().extra.partial_checksum_completed, 1),
  },
  {
    it: 'UDP: a partial checksum from a local kernel is completed',
    world: { ...words, partialChecksums: true },
    in: fromFront(p.udp({ ...query, checksum: 'partial' })),
    out: toBack(p.udp({ ...query, to: R, ttl: 63 })),
    end: 'forwarded_nat',
  },
  {
    it: 'TCP: a partial checksum in a reply is completed',
    world: { ...words, partialChecksums: true },
    given: open.slice(0, 1),
    in: fromBack(p.tcp({ ...synAck, checksum: 'partial' })),
    out: toFront(p.tcp({ ...synAck, from: V, ttl: 63 })),
    end: 'forwarded_nat_reply',
  },
  {
    it: 'without the option a partial checksum is a bad one and stays so',
    in: fromFront(p.tcp({ ...syn, checksum: 'partial' })),
    out: 'model',
    end: 'forwarded_nat',
    badOnPurpose: true,
  },
];

const ttl: Row[] = [
  {
    it: 'TCP: TTL 2 is enough',
    in: fromFront(p.tcp({ ...syn, ttl: 2 })),
    out: toBack(p.tcp({ ...syn, to: R, ttl: 1 })),
    end: 'forwarded_nat',
  },
  ...[1, 0].map(
    (ttl): Row => ({
      it: `TCP: TTL ${ttl} is answered by time exceeded from the VIP, quoting the packet as it came`,
      in: fromFront(p.tcp({ ...syn, ttl })),
      out: (c) =>
        toFront(
          p.icmpError({
            from: VIP,
            to: CIP,
            type: 11,
            code: 0,
            quote: p.tcp({ ...syn, ttl }),
            tos: icmpTos(0x2b),
            id: c.id,
          }),
        ),
      end: 'answered_time_exceeded',
    }),
  ),
  {
    it: 'UDP: TTL 1 is answered by time exceeded from the VIP, quoting at most 548 bytes',
    in: fromFront(p.udp({ ...query, payload: p.pattern(1000), ttl: 1 })),
    out: (c) =>
      toFront(
        p.icmpError({
          from: VIP,
          to: CIP,
          type: 11,
          code: 0,
          quote: p.udp({ ...query, payload: p.pattern(1000), ttl: 1 }),
          quoteBytes: 548,
          tos: icmpTos(0x14),
          id: c.id,
        }),
      ),
    end: 'answered_time_exceeded',
  },
  {
    it: 'TCP: TTL 1 in a reply: the director’s own address tells the server',
    given: open.slice(0, 1),
    in: fromBack(p.tcp({ ...synAck, ttl: 1 })),
    out: (c) =>
      toBack(
        p.icmpError({
          from: BACK_ADDRESS,
          to: RIP,
          type: 11,
          code: 0,
          quote: p.tcp({ ...synAck, ttl: 1 }),
          tos: 0xc0,
          id: c.id,
        }),
      ),
    end: 'answered_time_exceeded',
  },
];

const big = { ...words, backMtu: 1400 };
const bigQuery: UdpFields = { ...query, payload: p.pattern(1400) };
const tooBig: Row[] = [
  {
    it: 'TCP: larger than the server’s link with DF: fragmentation needed from the VIP',
    world: big,
    given: open,
    in: fromFront(p.tcp({ ...data, payload: p.pattern(1448), df: true })),
    out: 'model',
    end: 'answered_too_big',
    after: (_, step) => {
      const icmp = dissect(step.outputs[0]!.bytes).ip?.icmp;
      assert.equal([icmp?.type, icmp?.code, icmp?.mtu], [3, 4, 1400]);
      assert.is(icmp?.quote?.dst, VIP);
      assert.is(dissect(step.outputs[0]!.bytes).ip?.totalLength, 576);
    },
  },
  {
    it: 'TCP: exactly as large as the server’s link passes',
    world: big,
    given: open,
    in: fromFront(p.tcp({ ...data, payload: p.pattern(1348), df: true })),
    out: toBack(p.tcp({ ...data, payload: p.pattern(1348), df: true, to: R, ttl: 63 })),
    end: 'forwarded_nat',
  },
  {
    it: 'UDP: larger than the server’s link without DF: sent in fragments of the same ID',
    world: big,
    in: fromFront(p.udp(bigQuery)),
    out: () => {
      const body = p.ipOf(p.udp({ ...bigQuery, to: R })).subarray(20);
      const piece = (from: number, to: number, mf: boolean) =>
        toBack(
          p.ip(
            { from: CIP, to: RIP, tos: 0x14, id: 0x0101, ttl: 63, mf, fragmentOffset: from / 8 },
            17,
            body.subarray(from, to),
          ),
        );
      return [piece(0, 1376, true), piece(1376, 1408, false)];
    },
    end: 'forwarded_nat',
  },
  {
    it: 'UDP: a response larger than the client’s link with DF: the server is told',
    world: { ...words, frontMtu: 1300 },
    given: [fromFront(p.udp(query))],
    in: fromBack(p.udp({ ...response, payload: p.pattern(1400), df: true })),
    out: 'model',
    end: 'answered_too_big',
    after: (_, step) => {
      const ip = dissect(step.outputs[0]!.bytes).ip;
      assert.equal([ip?.dst, ip?.icmp?.type, ip?.icmp?.code, ip?.icmp?.mtu], [RIP, 3, 4, 1300]);
    },
  },
];

const quotedRequest = (bytes?: number) => ({
  quote: p.tcp({ ...data, to: R, ttl: 62 }),
  ...(bytes ? { quoteBytes: bytes } : {}),
});
const errors: Row[] = [
  {
    it: 'ICMP: port unreachable from the server becomes one from the VIP about the client’s packet',
    given: [fromFront(p.udp(query))],
    in: fromBack(
      p.icmpError({
        from: RIP,
        to: CIP,
        type: 3,
        code: 3,
        tos: 0xc0,
        id: 99,
        quote: p.udp({ ...query, to: R, ttl: 63 }),
        quoteBytes: 28,
      }),
    ),
    out: toFront(
      p.icmpError({
        from: VIP,
        to: CIP,
        type: 3,
        code: 3,
        tos: 0xc0,
        id: 99,
        ttl: 63,
        quote: p.udp({ ...query, ttl: 63 }),
        quoteBytes: 28,
      }),
    ),
    end: 'forwarded_icmp_error',
  },
  ...(
    [
      [11, 0, 0],
      [3, 4, 1400],
      [3, 1, 0],
      [4, 0, 0],
    ] as const
  ).map(
    ([type, code, mtu]): Row => ({
      it: `ICMP: ${type}/${code} from a router on the server’s side speaks from the VIP, MTU kept`,
      given: open,
      in: fromBack(
        p.icmpError({ from: SERVER_SIDE_ROUTER, to: CIP, type, code, mtu, ...quotedRequest() }),
      ),
      out: toFront(
        p.icmpError({
          from: VIP,
          to: CIP,
          type,
          code,
          mtu,
          ttl: 63,
          quote: p.tcp({ ...data, ttl: 62 }),
        }),
      ),
      end: 'forwarded_icmp_error',
    }),
  ),
  ...(
    [
      [11, 0, 0],
      [3, 4, 1280],
      [3, 1, 0],
    ] as const
  ).map(
    ([type, code, mtu]): Row => ({
      it: `ICMP: ${type}/${code} from the client’s side is told the server about its own packet`,
      given: open,
      in: fromFront(
        p.icmpError({
          from: CLIENT_SIDE_ROUTER,
          to: VIP,
          type,
          code,
          mtu,
          quote: p.tcp({ ...answer, from: V, ttl: 50 }),
          quoteBytes: 28,
        }),
      ),
      out: toBack(
        p.icmpError({
          from: CLIENT_SIDE_ROUTER,
          to: RIP,
          type,
          code,
          mtu,
          ttl: 63,
          quote: p.tcp({ ...answer, ttl: 50 }),
          quoteBytes: 28,
        }),
      ),
      end: 'forwarded_icmp_error',
    }),
  ),
  {
    it: 'ICMP: an error about an unknown flow to the VIP is dropped',
    in: fromFront(
      p.icmpError({
        from: CLIENT_SIDE_ROUTER,
        to: VIP,
        type: 11,
        code: 0,
        quote: p.tcp({ ...answer, from: V }),
      }),
    ),
    out: 'nothing',
    end: 'icmp_without_connection',
  },
  {
    it: 'ICMP: an error about a connection with TTL 1 is dropped: no error about an error',
    given: open,
    in: fromBack(
      p.icmpError({ from: RIP, to: CIP, type: 3, code: 3, ttl: 1, ...quotedRequest(28) }),
    ),
    out: 'nothing',
    end: 'icmp_ttl_expired',
  },
  {
    it: 'ICMP: an error with a wrong checksum is dropped',
    given: open,
    in: fromBack(
      p.icmpError({ from: RIP, to: CIP, type: 3, code: 3, checksum: 'bad', ...quotedRequest(28) }),
    ),
    out: 'nothing',
    end: 'bad_icmp_checksum',
  },
];

table(words, [...requests, ...partial, ...ttl, ...tooBig, ...errors]);

test.run();
