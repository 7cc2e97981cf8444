/**
 * ENAT (triangle): requests as FullNAT's, with the virtual address told as well; the real server's
 * agent answers the client directly.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { dissect } from '../support/dissect.js';
import {
  answer,
  C,
  CIP,
  CLIENT_SIDE_ROUTER,
  data,
  firstAck,
  icmpTos,
  LIP,
  later,
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
import type { TcpFields } from '../support/packet.js';
import * as p from '../support/packet.js';
import type { Bench } from '../support/replay.js';
import { fromBack, fromFront, type Row, table, toBack, toFront } from '../support/table.js';
import type { ServiceWords, WorldWords } from '../support/world.js';

const service: ServiceWords = { listen: V, mode: 'enat', servers: [R], locals: [LIP] };
const words: WorldWords = { services: [service, { ...service, protocol: 'udp' }] };
const fromVip: WorldWords = { services: words.services.map((one) => ({ ...one, locals: [] })) };

/** TOA, the virtual address, padding: 20 bytes in front of the segment's own options. */
const told = (fields: TcpFields): Uint8Array[] => [
  p.toa(C),
  p.enatOption(V),
  p.nop,
  p.nop,
  ...(fields.options ?? []),
];
const lowered: TcpFields = {
  ...syn,
  options: [p.mss(1440), p.sackOk, p.timestamps(100, 0), p.nop, p.wscale(7)],
};
const both = [p.uoa(C), p.enatUoa(V)];
const count = (bench: Bench, name: string) => bench.counters().extra[name];
const queries = (count: number) => Array.from({ length: count }, () => fromFront(p.udp(query)));
const established = [fromFront(p.tcp(syn)), fromFront(p.tcp(firstAck))];

const tcp: Row[] = [
  {
    it: 'TCP: a SYN goes from the LIP with both options first and the MSS 20 lower',
    in: fromFront(p.tcp(syn)),
    out: (c) => toBack(p.tcp({ ...syn, from: c.local, to: R, ttl: 60, options: told(lowered) })),
    end: 'forwarded_enat',
    after: (bench, step) => {
      assert.is(dissect(step.outputs[0]!.bytes).ip?.src, LIP);
      assert.is(count(bench, 'client_option_added'), 1);
    },
  },
  {
    it: 'TCP: without local addresses it goes from the VIP itself',
    world: fromVip,
    in: fromFront(p.tcp(syn)),
    out: (c) => toBack(p.tcp({ ...syn, from: c.local, to: R, ttl: 60, options: told(lowered) })),
    end: 'forwarded_enat',
    after: (_, step) => assert.is(dissect(step.outputs[0]!.bytes).ip?.src, VIP),
  },
  {
    it: 'TCP: the client’s first ACK carries both',
    given: established.slice(0, 1),
    in: fromFront(p.tcp(firstAck)),
    out: (c) =>
      toBack(p.tcp({ ...firstAck, from: c.local, to: R, ttl: 63, options: told(firstAck) })),
    end: 'forwarded_enat',
  },
  {
    it: 'TCP: so does data that acknowledges nothing more',
    given: established,
    in: fromFront(p.tcp(data)),
    out: (c) => toBack(p.tcp({ ...data, from: c.local, to: R, ttl: 63, options: told(data) })),
    end: 'forwarded_enat',
  },
  {
    it: 'TCP: later data carries none',
    given: established,
    in: fromFront(p.tcp(later)),
    out: (c) => toBack(p.tcp({ ...later, from: c.local, to: R, ttl: 63 })),
    end: 'forwarded_enat',
  },
  {
    it: 'TCP: a reset carries none',
    given: established,
    in: fromFront(p.tcp({ ...firstAck, flags: 'R' })),
    out: (c) => toBack(p.tcp({ ...firstAck, flags: 'R', from: c.local, to: R, ttl: 63 })),
    end: 'forwarded_enat',
  },
  {
    it: 'TCP: 24 bytes of options leave no room: left out and counted',
    in: fromFront(p.tcp({ ...syn, options: [...(syn.options ?? []), p.nop, p.nop, p.nop, p.nop] })),
    out: (c) =>
      toBack(
        p.tcp({
          ...syn,
          from: c.local,
          to: R,
          ttl: 60,
          options: [...(lowered.options ?? []), p.nop, p.nop, p.nop, p.nop],
        }),
      ),
    end: 'forwarded_enat',
    after: (bench) => assert.is(count(bench, 'client_option_no_room'), 1),
  },
  {
    it: 'TCP: where the options would exceed the MTU they are left out and counted',
    given: established,
    in: fromFront(p.tcp({ ...data, payload: p.pattern(1436), df: true })),
    out: (c) =>
      toBack(p.tcp({ ...data, payload: p.pattern(1436), df: true, from: c.local, to: R, ttl: 63 })),
    end: 'forwarded_enat',
    after: (bench) => assert.is(count(bench, 'client_option_mtu'), 1),
  },
  {
    it: 'TCP: a server without its agent answers the LIP: served as FullNAT, MSS 20 lower',
    given: established.slice(0, 1),
    in: (c) => fromBack(p.tcp({ ...synAck, to: c.local })),
    out: toFront(
      p.tcp({
        ...synAck,
        from: V,
        to: C,
        ttl: 63,
        options: [p.mss(1440), p.sackOk, p.timestamps(900, 100), p.nop, p.wscale(9)],
      }),
    ),
    end: 'forwarded_fullnat_reply',
  },
];

const udp: Row[] = [
  ...[0, 1, 2, 32, 64, 256, 288].map(
    (before): Row => ({
      it: `UDP: packet ${before + 1} of a flow carries both addresses as IP options`,
      given: queries(before),
      in: fromFront(p.udp(query)),
      out: (c) => toBack(p.udp({ ...query, from: c.local, to: R, ttl: 63, ipOptions: both })),
      end: 'forwarded_enat',
    }),
  ),
  ...[3, 31, 33, 255].map(
    (before): Row => ({
      it: `UDP: packet ${before + 1} carries none`,
      given: queries(before),
      in: fromFront(p.udp(query)),
      out: (c) => toBack(p.udp({ ...query, from: c.local, to: R, ttl: 63 })),
      end: 'forwarded_enat',
    }),
  ),
  {
    it: 'UDP: 28 bytes of IP options leave no room: left out and counted',
    in: fromFront(
      p.udp({ ...query, ipOptions: [p.concat(Uint8Array.of(0x88, 28), p.pattern(26))] }),
    ),
    out: 'model',
    end: 'forwarded_enat',
    after: (bench, step) => {
      assert.is(dissect(step.outputs[0]!.bytes).ip?.ihl, 12);
      assert.is(count(bench, 'client_option_no_room'), 1);
    },
  },
  {
    it: 'UDP: no checksum from the client, a full one to the server',
    in: fromFront(p.udp({ ...query, checksum: 'none' })),
    out: (c) => toBack(p.udp({ ...query, from: c.local, to: R, ttl: 63, ipOptions: both })),
    end: 'forwarded_enat',
  },
];

const limits: Row[] = [
  ...(['tcp', 'udp'] as const).map((protocol): Row => {
    const packet = (ttl: number) =>
      protocol === 'tcp' ? p.tcp({ ...syn, ttl }) : p.udp({ ...query, ttl });
    const tos = icmpTos(protocol === 'tcp' ? syn.tos : query.tos);
    return {
      it: `${protocol}: TTL 1 is answered by time exceeded from the VIP`,
      given: [fromFront(packet(64))],
      in: fromFront(packet(1)),
      out: (c) =>
        toFront(
          p.icmpError({ from: VIP, to: CIP, type: 11, code: 0, quote: packet(1), tos, id: c.id }),
        ),
      end: 'answered_time_exceeded',
    };
  }),
  {
    it: 'TCP: too big with DF: fragmentation needed from the VIP',
    world: { ...words, backMtu: 1400 },
    given: established,
    in: fromFront(p.tcp({ ...later, payload: p.pattern(1400), df: true })),
    out: 'model',
    end: 'answered_too_big',
    after: (_, step) => {
      const ip = dissect(step.outputs[0]!.bytes).ip;
      assert.equal([ip?.src, ip?.icmp?.type, ip?.icmp?.code, ip?.icmp?.mtu], [VIP, 3, 4, 1400]);
    },
  },
];

const errors: Row[] = [
  {
    it: 'TCP: an ICMP error from the server’s side becomes one from the VIP to the client',
    given: established,
    in: (c) =>
      fromBack(
        p.icmpError({
          from: SERVER_SIDE_ROUTER,
          to: LIP,
          type: 3,
          code: 4,
          mtu: 1400,
          quote: p.tcp({ ...later, from: c.local, to: R, ttl: 9 }),
        }),
      ),
    out: toFront(
      p.icmpError({
        from: VIP,
        to: CIP,
        type: 3,
        code: 4,
        mtu: 1400,
        ttl: 63,
        quote: p.tcp({ ...later, ttl: 9 }),
      }),
    ),
    end: 'forwarded_icmp_error',
  },
  {
    it: 'UDP: port unreachable from the server to the VIP it was asked by becomes the client’s',
    world: fromVip,
    given: queries(4),
    in: (c) =>
      fromBack(
        p.icmpError({
          from: RIP,
          to: VIP,
          type: 3,
          code: 3,
          quote: p.udp({ ...query, from: c.local, to: R, ttl: 63 }),
        }),
      ),
    out: toFront(
      p.icmpError({
        from: VIP,
        to: CIP,
        type: 3,
        code: 3,
        ttl: 63,
        quote: p.udp({ ...query, ttl: 63 }),
      }),
    ),
    end: 'forwarded_icmp_error',
  },
  {
    it: 'TCP: an ICMP error from the client’s side tells the server about what its stack sent',
    given: established,
    in: fromFront(
      p.icmpError({
        from: CLIENT_SIDE_ROUTER,
        to: VIP,
        type: 3,
        code: 4,
        mtu: 1280,
        quote: p.tcp({ ...answer, from: V, to: C, ttl: 50 }),
        quoteBytes: 28,
      }),
    ),
    out: (c) =>
      toBack(
        p.icmpError({
          from: LIP,
          to: RIP,
          type: 3,
          code: 4,
          mtu: 1280,
          ttl: 63,
          quote: p.tcp({ ...answer, to: c.local, ttl: 50 }),
          quoteBytes: 28,
        }),
      ),
    end: 'forwarded_icmp_error',
  },
  {
    it: 'UDP: an ICMP error from the client’s side, whole packet quoted',
    given: queries(1),
    in: fromFront(
      p.icmpError({
        from: CIP,
        to: VIP,
        type: 3,
        code: 3,
        quote: p.udp({ ...response, from: V, to: C, ttl: 50 }),
      }),
    ),
    out: (c) =>
      toBack(
        p.icmpError({
          from: LIP,
          to: RIP,
          type: 3,
          code: 3,
          ttl: 63,
          quote: p.udp({ ...response, to: c.local, ttl: 50 }),
        }),
      ),
    end: 'forwarded_icmp_error',
  },
];

table(words, [...tcp, ...udp, ...limits, ...errors]);

test.run();
