/** FullNAT and TCP: both ends change in both directions; TOA tells the client's address. */
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

const service: ServiceWords = { listen: V, mode: 'fullnat', servers: [R], locals: [LIP] };
const words: WorldWords = { services: [service] };
const silent: WorldWords = {
  services: words.services.map((one) => ({ ...one, clientAddress: false })),
};

const lowered = (mss: number) => [p.mss(mss), p.sackOk, p.timestamps(100, 0), p.nop, p.wscale(7)];
const toaFirst = (fields: TcpFields, kind = 254): Uint8Array[] => [
  p.toa(C, kind),
  ...(fields.options ?? []),
];
/** The SYN's 20 bytes of options and so many more. */
const crowded = (more: number) => [...(syn.options ?? []), ...Array(more).fill(p.nop)];
const count = (bench: Bench, name: string) => bench.counters().extra[name];

const opened = [
  fromFront(p.tcp(syn)),
  (c: { local: string }) => fromBack(p.tcp({ ...synAck, to: c.local })),
];
const established = [...opened, fromFront(p.tcp(firstAck))];

const tcp: Row[] = [
  {
    it: 'TCP: a SYN goes from the LIP with TOA first and the MSS 8 lower',
    in: fromFront(p.tcp(syn)),
    out: (c) =>
      toBack(
        p.tcp({ ...syn, from: c.local, to: R, ttl: 60, options: [p.toa(C), ...lowered(1452)] }),
      ),
    end: 'forwarded_fullnat',
    after: (bench) => assert.is(count(bench, 'client_option_added'), 1),
  },
  {
    it: 'TCP: the option’s kind is the service’s',
    world: { services: [{ ...service, toaKind: 200 }] },
    in: fromFront(p.tcp(syn)),
    out: (c) =>
      toBack(
        p.tcp({
          ...syn,
          from: c.local,
          to: R,
          ttl: 60,
          options: [p.toa(C, 200), ...lowered(1452)],
        }),
      ),
    end: 'forwarded_fullnat',
  },
  {
    it: 'TCP: nothing is told where the service says so, and the MSS stays',
    world: silent,
    in: fromFront(p.tcp(syn)),
    out: (c) => toBack(p.tcp({ ...syn, from: c.local, to: R, ttl: 60 })),
    end: 'forwarded_fullnat',
    after: (bench) => assert.is(count(bench, 'client_option_added'), 0),
  },
  {
    it: 'TCP: the SYN-ACK to the LIP comes from the VIP, its MSS 8 lower',
    given: opened.slice(0, 1),
    in: (c) => fromBack(p.tcp({ ...synAck, to: c.local })),
    out: toFront(
      p.tcp({
        ...synAck,
        from: V,
        to: C,
        ttl: 63,
        options: [p.mss(1452), p.sackOk, p.timestamps(900, 100), p.nop, p.wscale(9)],
      }),
    ),
    end: 'forwarded_fullnat_reply',
  },
  {
    it: 'TCP: the client’s first ACK carries TOA',
    given: opened,
    in: fromFront(p.tcp(firstAck)),
    out: (c) =>
      toBack(p.tcp({ ...firstAck, from: c.local, to: R, ttl: 63, options: toaFirst(firstAck) })),
    end: 'forwarded_fullnat',
  },
  {
    it: 'TCP: so does its first data, which acknowledges nothing more',
    given: established,
    in: fromFront(p.tcp(data)),
    out: (c) => toBack(p.tcp({ ...data, from: c.local, to: R, ttl: 63, options: toaFirst(data) })),
    end: 'forwarded_fullnat',
  },
  {
    it: 'TCP: data after the server’s first answer carries none',
    given: established,
    in: fromFront(p.tcp(later)),
    out: (c) => toBack(p.tcp({ ...later, from: c.local, to: R, ttl: 63 })),
    end: 'forwarded_fullnat',
  },
  {
    it: 'TCP: a reset carries none',
    given: established,
    in: fromFront(p.tcp({ ...firstAck, flags: 'RA' })),
    out: (c) => toBack(p.tcp({ ...firstAck, flags: 'RA', from: c.local, to: R, ttl: 63 })),
    end: 'forwarded_fullnat',
  },
  {
    it: 'TCP: data back to the client comes from the VIP',
    given: established,
    in: (c) => fromBack(p.tcp({ ...answer, to: c.local })),
    out: toFront(p.tcp({ ...answer, from: V, to: C, ttl: 63 })),
    end: 'forwarded_fullnat_reply',
  },
  {
    it: 'TCP: 32 bytes of options leave room for TOA',
    in: fromFront(p.tcp({ ...syn, options: crowded(12) })),
    out: (c) =>
      toBack(
        p.tcp({
          ...syn,
          from: c.local,
          to: R,
          ttl: 60,
          options: [p.toa(C), ...lowered(1452), ...crowded(12).slice(5)],
        }),
      ),
    end: 'forwarded_fullnat',
  },
  {
    it: 'TCP: 36 bytes of options leave no room: left out and counted, the MSS lowered as ever',
    in: fromFront(p.tcp({ ...syn, options: crowded(16) })),
    out: (c) =>
      toBack(
        p.tcp({
          ...syn,
          from: c.local,
          to: R,
          ttl: 60,
          options: [...lowered(1452), ...crowded(16).slice(5)],
        }),
      ),
    end: 'forwarded_fullnat',
    after: (bench) => {
      assert.is(count(bench, 'client_option_no_room'), 1);
      assert.is(count(bench, 'client_option_added'), 0);
    },
  },
  {
    it: 'TCP: where TOA would exceed the MTU it is left out and counted',
    given: established,
    in: fromFront(p.tcp({ ...data, payload: p.pattern(1448), df: true })),
    out: (c) =>
      toBack(p.tcp({ ...data, payload: p.pattern(1448), df: true, from: c.local, to: R, ttl: 63 })),
    end: 'forwarded_fullnat',
    after: (bench) => assert.is(count(bench, 'client_option_mtu'), 1),
  },
  {
    it: 'TCP: where TOA just fits the MTU it is there',
    given: established,
    in: fromFront(p.tcp({ ...data, payload: p.pattern(1440), df: true })),
    out: (c) =>
      toBack(
        p.tcp({
          ...data,
          payload: p.pattern(1440),
          df: true,
          from: c.local,
          to: R,
          ttl: 63,
          options: toaFirst(data),
        }),
      ),
    end: 'forwarded_fullnat',
  },
  {
    it: 'TCP: an MSS at an odd offset is lowered with the checksum right',
    in: fromFront(p.tcp({ ...syn, options: [p.nop, p.mss(1460), p.wscale(3)] })),
    out: (c) =>
      toBack(
        p.tcp({
          ...syn,
          from: c.local,
          to: R,
          ttl: 60,
          options: [p.toa(C), p.nop, p.mss(1452), p.wscale(3)],
        }),
      ),
    end: 'forwarded_fullnat',
  },
  {
    it: 'TCP: a SYN without options gets TOA alone',
    in: fromFront(p.tcp({ ...syn, options: [] })),
    out: (c) => toBack(p.tcp({ ...syn, from: c.local, to: R, ttl: 60, options: [p.toa(C)] })),
    end: 'forwarded_fullnat',
  },
  {
    it: 'TCP: a SYN with data keeps it',
    in: fromFront(p.tcp({ ...syn, payload: p.pattern(99) })),
    out: (c) =>
      toBack(
        p.tcp({
          ...syn,
          from: c.local,
          to: R,
          ttl: 60,
          payload: p.pattern(99),
          options: [p.toa(C), ...lowered(1452)],
        }),
      ),
    end: 'forwarded_fullnat',
  },
  {
    it: 'TCP: an option list that does not parse is left alone behind TOA',
    in: fromFront(p.tcp({ ...syn, options: [Uint8Array.of(2, 0, 1, 1)] })),
    out: (c) =>
      toBack(
        p.tcp({
          ...syn,
          from: c.local,
          to: R,
          ttl: 60,
          options: [p.toa(C), Uint8Array.of(2, 0, 1, 1)],
        }),
      ),
    end: 'forwarded_fullnat',
  },
  {
    it: 'TCP: what a client says in TOA’s place is blotted out',
    given: established,
    in: fromFront(
      p.tcp({
        ...later,
        options: [p.toa('192.0.2.3:9'), p.enatOption('192.0.2.4:7'), p.nop, p.nop],
      }),
    ),
    out: (c) =>
      toBack(p.tcp({ ...later, from: c.local, to: R, ttl: 63, options: Array(20).fill(p.nop) })),
    end: 'forwarded_fullnat',
  },
  {
    it: 'TCP: also behind other options, at an odd place, and in a SYN',
    in: fromFront(
      p.tcp({ ...syn, options: [p.wscale(2), p.toa('192.0.2.3:9'), p.mss(1400), p.nop] }),
    ),
    out: (c) =>
      toBack(
        p.tcp({
          ...syn,
          from: c.local,
          to: R,
          ttl: 60,
          options: [p.toa(C), p.wscale(2), ...Array(8).fill(p.nop), p.mss(1392), p.nop],
        }),
      ),
    end: 'forwarded_fullnat',
  },
  {
    it: 'TCP: also where nothing is told, under the service’s own kind',
    world: { services: [{ ...service, clientAddress: false, toaKind: 200 }] },
    in: fromFront(p.tcp({ ...syn, options: [p.toa('192.0.2.3:9', 200), p.toa('192.0.2.3:9')] })),
    out: (c) =>
      toBack(
        p.tcp({
          ...syn,
          from: c.local,
          to: R,
          ttl: 60,
          options: [...Array(8).fill(p.nop), p.toa('192.0.2.3:9')],
        }),
      ),
    end: 'forwarded_fullnat',
  },
  {
    it: 'TCP: another experiment (RFC 6994) is let through',
    in: fromFront(
      p.tcp({ ...syn, options: [Uint8Array.of(253, 6, 0x53, 0x4d, 1, 2), p.nop, p.nop] }),
    ),
    out: (c) =>
      toBack(
        p.tcp({
          ...syn,
          from: c.local,
          to: R,
          ttl: 60,
          options: [p.toa(C), Uint8Array.of(253, 6, 0x53, 0x4d, 1, 2), p.nop, p.nop],
        }),
      ),
    end: 'forwarded_fullnat',
  },
  {
    it: 'TCP: a bad checksum stays bad',
    in: fromFront(p.tcp({ ...syn, checksum: 'bad' })),
    out: 'model',
    end: 'forwarded_fullnat',
    badOnPurpose: true,
    after: (_, step) => assert.is(dissect(step.outputs[0]!.bytes).ip?.tcp?.checksumOk, false),
  },
  {
    it: 'TCP: a partial checksum is completed before TOA goes in',
    world: { ...words, partialChecksums: true },
    in: fromFront(p.tcp({ ...syn, checksum: 'partial' })),
    out: (c) =>
      toBack(
        p.tcp({ ...syn, from: c.local, to: R, ttl: 60, options: [p.toa(C), ...lowered(1452)] }),
      ),
    end: 'forwarded_fullnat',
  },
];

const limits: Row[] = [
  ...(['tcp', 'udp'] as const).map((protocol): Row => {
    const packet = (ttl: number) =>
      protocol === 'tcp' ? p.tcp({ ...syn, ttl }) : p.udp({ ...query, ttl });
    const tos = icmpTos(protocol === 'tcp' ? syn.tos : query.tos);
    return {
      it: `${protocol}: TTL 1 is answered by time exceeded from the VIP`,
      world: { services: [service, { ...service, protocol: 'udp' }] },
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
    it: 'TCP: TTL 1 in a reply is answered to the server from the LIP it spoke to',
    given: opened.slice(0, 1),
    in: (c) => fromBack(p.tcp({ ...synAck, to: c.local, ttl: 1 })),
    out: 'model',
    end: 'answered_time_exceeded',
    after: (_, step) => {
      const ip = dissect(step.outputs[0]!.bytes).ip;
      assert.equal([ip?.src, ip?.dst, ip?.icmp?.type, ip?.icmp?.quote?.dst], [LIP, RIP, 11, LIP]);
    },
  },
  {
    it: 'TCP: too big with DF: fragmentation needed from the VIP with the link’s MTU',
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
  {
    it: 'TCP: too big without DF: in fragments',
    world: { ...words, backMtu: 1400 },
    given: established,
    in: fromFront(p.tcp({ ...later, payload: p.pattern(1400) })),
    out: 'model',
    end: 'forwarded_fullnat',
    after: (_, step) => assert.is(step.outputs.length, 2),
  },
];

const errors: Row[] = [
  ...(
    [
      [3, 1, 0],
      [3, 4, 1400],
      [11, 0, 0],
    ] as const
  ).map(
    ([type, code, mtu]): Row => ({
      it: `TCP: ICMP ${type}/${code} from a router to the LIP becomes one from the VIP to the client`,
      given: established,
      in: (c) =>
        fromBack(
          p.icmpError({
            from: SERVER_SIDE_ROUTER,
            to: LIP,
            type,
            code,
            mtu,
            quote: p.tcp({ ...later, from: c.local, to: R, ttl: 9 }),
          }),
        ),
      out: toFront(
        p.icmpError({
          from: VIP,
          to: CIP,
          type,
          code,
          mtu,
          ttl: 63,
          quote: p.tcp({ ...later, ttl: 9 }),
        }),
      ),
      end: 'forwarded_icmp_error',
    }),
  ),
  {
    it: 'TCP: an ICMP error from the client’s side speaks from the LIP, about what the server sent',
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
    it: 'ICMP: an error to the LIP about a port that is no connection’s is dropped',
    given: established,
    in: fromBack(
      p.icmpError({
        from: RIP,
        to: LIP,
        type: 3,
        code: 3,
        quote: p.tcp({ ...later, from: `${LIP}:1`, to: R }),
      }),
    ),
    out: 'nothing',
    end: 'icmp_without_connection',
  },
];

table(words, [...tcp, ...limits, ...errors]);

test.run();
