/** TUN (Tunnel): the packet inside an outer one to the real server (IPIP, RFC 2003). */
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
  RIP,
  SERVER_SIDE_ROUTER,
  syn,
  V,
  VIP,
} from '../support/flow.js';
import type { IpFields } from '../support/packet.js';
import * as p from '../support/packet.js';
import { fromBack, fromFront, type Row, table, toBack, toFront } from '../support/table.js';
import { BACK_ADDRESS, type WorldWords } from '../support/world.js';

const servers = [`${RIP}:80`];
const words: WorldWords = {
  services: [
    { listen: V, mode: 'tun', servers },
    { listen: V, protocol: 'udp', mode: 'tun', servers },
  ],
};
const open = [fromFront(p.tcp(syn)), fromFront(p.tcp(firstAck))];

/** The outer packet around `frame`'s packet. */
const tunnel = (frame: Uint8Array, fields: IpFields) =>
  toBack(p.ip({ from: BACK_ADDRESS, to: RIP, id: 0, ...fields }, 4, p.ipOf(frame)));

const requests: Row[] = [
  {
    it: 'TCP: a SYN with DF: outer DF and ID 0, outer TTL the inner’s lowered one, CE becomes ECT(0)',
    in: fromFront(p.tcp(syn)),
    out: tunnel(p.tcp({ ...syn, ttl: 60 }), { ttl: 60, df: true, tos: 0x2a }),
    end: 'forwarded_tun',
  },
  {
    it: 'TCP: data without DF: outer ID fresh',
    given: open,
    in: fromFront(p.tcp(data)),
    out: (c) => tunnel(p.tcp({ ...data, ttl: 63 }), { ttl: 63, id: c.id }),
    end: 'forwarded_tun',
  },
  ...[
    [0x00, 0x00],
    [0x01, 0x01],
    [0x02, 0x02],
    [0x03, 0x02],
    [0xb8, 0xb8],
    [0xff, 0xfe],
  ].map(
    ([inner, outer]): Row => ({
      it: `UDP: TOS ${inner} gives outer TOS ${outer}`,
      in: fromFront(p.udp({ ...query, tos: inner, df: true })),
      out: tunnel(p.udp({ ...query, tos: inner, df: true, ttl: 63 }), {
        ttl: 63,
        df: true,
        tos: outer,
      }),
      end: 'forwarded_tun',
    }),
  ),
  {
    it: 'UDP: no checksum stays none, IP options stay inside',
    in: fromFront(
      p.udp({ ...query, checksum: 'none', df: true, ipOptions: [p.uoa('192.0.2.3:1')] }),
    ),
    out: tunnel(
      p.udp({ ...query, checksum: 'none', df: true, ipOptions: [p.uoa('192.0.2.3:1')], ttl: 63 }),
      { ttl: 63, df: true, tos: query.tos },
    ),
    end: 'forwarded_tun',
  },
  {
    it: 'TCP: a bad checksum inside stays as it is',
    in: fromFront(p.tcp({ ...syn, checksum: 'bad' })),
    out: tunnel(p.tcp({ ...syn, ttl: 60, checksum: 'bad' }), { ttl: 60, df: true, tos: 0x2a }),
    end: 'forwarded_tun',
    badOnPurpose: true,
  },
];

const exact = p.pattern(1480 - 32 - 20);
const limits: Row[] = [
  ...(['tcp', 'udp'] as const).map((protocol): Row => {
    const packet = (ttl: number) =>
      protocol === 'tcp' ? p.tcp({ ...syn, ttl }) : p.udp({ ...query, ttl });
    const tos = icmpTos(protocol === 'tcp' ? syn.tos : query.tos);
    return {
      it: `${protocol}: TTL 1 is answered by time exceeded from the VIP`,
      in: fromFront(packet(1)),
      out: (c) =>
        toFront(
          p.icmpError({ from: VIP, to: CIP, type: 11, code: 0, quote: packet(1), tos, id: c.id }),
        ),
      end: 'answered_time_exceeded',
    };
  }),
  {
    it: 'TCP: 1480 bytes with DF fit a link of 1500',
    given: open,
    in: fromFront(p.tcp({ ...data, payload: exact, df: true })),
    out: tunnel(p.tcp({ ...data, payload: exact, df: true, ttl: 63 }), { ttl: 63, df: true }),
    end: 'forwarded_tun',
    after: (_, step) => assert.is(step.outputs[0]?.bytes.length, 1514),
  },
  {
    it: 'TCP: 1481 bytes with DF do not: fragmentation needed, MTU 1480',
    given: open,
    in: fromFront(p.tcp({ ...data, payload: p.pattern(exact.length + 1), df: true })),
    out: 'model',
    end: 'answered_too_big',
    after: (_, step) => {
      const ip = dissect(step.outputs[0]!.bytes).ip;
      assert.equal([ip?.icmp?.type, ip?.icmp?.code, ip?.icmp?.rest], [3, 4, '000005c8']);
      assert.equal([ip?.src, ip?.dst, ip?.totalLength, ip?.tos], [VIP, CIP, 576, 0xc0]);
    },
  },
  {
    it: 'UDP: 1481 bytes without DF: the outer packet goes in two fragments',
    in: fromFront(p.udp({ ...query, payload: p.pattern(1481 - 28) })),
    out: (c) => {
      const inner = p.ipOf(p.udp({ ...query, payload: p.pattern(1481 - 28), ttl: 63 }));
      const piece = (from: number, to: number, mf: boolean) =>
        toBack(
          p.ip(
            {
              from: BACK_ADDRESS,
              to: RIP,
              id: c.id,
              ttl: 63,
              tos: query.tos,
              mf,
              fragmentOffset: from / 8,
            },
            4,
            inner.subarray(from, to),
          ),
        );
      return [piece(0, 1480, true), piece(1480, 1481, false)];
    },
    end: 'forwarded_tun',
  },
];

const complaint = {
  from: CLIENT_SIDE_ROUTER,
  to: VIP,
  type: 11,
  code: 0,
  tos: 0xc0,
  quote: p.tcp({ ...answer, from: V, ttl: 1 }),
  quoteBytes: 40,
};
const outer = (bytes?: number) => ({
  quote: p.ip(
    { from: BACK_ADDRESS, to: RIP, id: 0, ttl: 63, df: true },
    4,
    p.ipOf(p.tcp({ ...data, df: true, ttl: 63 })),
  ),
  ...(bytes ? { quoteBytes: bytes } : {}),
});
const errors: Row[] = [
  {
    it: 'ICMP: an error from the client’s side is tunnelled like any packet',
    given: open,
    in: fromFront(p.icmpError(complaint)),
    out: (c) => tunnel(p.icmpError({ ...complaint, ttl: 63 }), { ttl: 63, tos: 0xc0, id: c.id }),
    end: 'forwarded_icmp_error',
  },
  {
    it: 'ICMP: an error about the outer packet becomes one from the VIP about the inner',
    given: open,
    in: fromBack(
      p.icmpError({ from: SERVER_SIDE_ROUTER, to: BACK_ADDRESS, type: 3, code: 1, ...outer() }),
    ),
    out: (c) =>
      toFront(
        p.icmpError({
          from: VIP,
          to: CIP,
          type: 3,
          code: 1,
          quote: p.tcp({ ...data, df: true, ttl: 63 }),
          tos: 0xc0,
          id: c.id,
        }),
      ),
    end: 'forwarded_icmp_error',
  },
  {
    it: 'ICMP: fragmentation needed about the outer packet leaves room for the outer header',
    given: open,
    in: fromBack(
      p.icmpError({
        from: SERVER_SIDE_ROUTER,
        to: BACK_ADDRESS,
        type: 3,
        code: 4,
        mtu: 1400,
        ...outer(48),
      }),
    ),
    out: (c) =>
      toFront(
        p.icmpError({
          from: VIP,
          to: CIP,
          type: 3,
          code: 4,
          mtu: 1380,
          quote: p.tcp({ ...data, df: true, ttl: 63 }),
          quoteBytes: 28,
          tos: 0xc0,
          id: c.id,
        }),
      ),
    end: 'forwarded_icmp_error',
  },
  {
    it: 'ICMP: with only 8 bytes of the inner header quoted there is nobody to tell',
    given: open,
    in: fromBack(
      p.icmpError({ from: SERVER_SIDE_ROUTER, to: BACK_ADDRESS, type: 3, code: 1, ...outer(28) }),
    ),
    out: 'model',
    end: 'punted_not_ours',
  },
];

table(words, [...requests, ...limits, ...errors]);

test.run();
