/** FullNAT and UDP: an IP option tells the client's address on a flow's first packets. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { dissect } from '../support/dissect.js';
import { C, CIP, LIP, query, R, RIP, response, V, VIP } from '../support/flow.js';
import * as p from '../support/packet.js';
import type { Bench } from '../support/replay.js';
import { fromBack, fromFront, type Row, table, toBack, toFront } from '../support/table.js';
import type { ServiceWords, WorldWords } from '../support/world.js';

const service: ServiceWords = { listen: V, mode: 'fullnat', servers: [R], locals: [LIP] };
const words: WorldWords = { services: [{ ...service, protocol: 'udp' }] };
const silent: WorldWords = { services: [{ ...service, protocol: 'udp', clientAddress: false }] };
const count = (bench: Bench, name: string) => bench.counters().extra[name];

const queries = (count: number) => Array.from({ length: count }, () => fromFront(p.udp(query)));
const udp: Row[] = [
  ...[0, 1, 2].map(
    (before): Row => ({
      it: `UDP: packet ${before + 1} of a flow carries the client’s address as an IP option`,
      given: queries(before),
      in: fromFront(p.udp(query)),
      out: (c) => toBack(p.udp({ ...query, from: c.local, to: R, ttl: 63, ipOptions: [p.uoa(C)] })),
      end: 'forwarded_fullnat',
    }),
  ),
  ...[3, 32, 64].map(
    (before): Row => ({
      it: `UDP: packet ${before + 1} carries none`,
      given: queries(before),
      in: fromFront(p.udp(query)),
      out: (c) => toBack(p.udp({ ...query, from: c.local, to: R, ttl: 63 })),
      end: 'forwarded_fullnat',
    }),
  ),
  {
    it: 'UDP: nothing is told where the service says so',
    world: silent,
    in: fromFront(p.udp(query)),
    out: (c) => toBack(p.udp({ ...query, from: c.local, to: R, ttl: 63 })),
    end: 'forwarded_fullnat',
  },
  {
    it: 'UDP: the option goes before the packet’s own IP options',
    in: fromFront(p.udp({ ...query, ipOptions: [Uint8Array.of(0x88, 4, 0, 1)] })),
    out: (c) =>
      toBack(
        p.udp({
          ...query,
          from: c.local,
          to: R,
          ttl: 63,
          ipOptions: [p.uoa(C), Uint8Array.of(0x88, 4, 0, 1)],
        }),
      ),
    end: 'forwarded_fullnat',
  },
  {
    it: 'UDP: what a client says in the option’s place is blotted out',
    given: queries(3),
    in: fromFront(p.udp({ ...query, ipOptions: [p.uoa('192.0.2.3:9'), p.enatUoa('192.0.2.4:7')] })),
    out: (c) =>
      toBack(p.udp({ ...query, from: c.local, to: R, ttl: 63, ipOptions: Array(16).fill(p.nop) })),
    end: 'forwarded_fullnat',
  },
  {
    it: 'UDP: 36 bytes of IP options leave no room: left out and counted',
    in: fromFront(
      p.udp({ ...query, ipOptions: [p.concat(Uint8Array.of(0x88, 36), p.pattern(34))] }),
    ),
    out: (c) =>
      toBack(
        p.udp({
          ...query,
          from: c.local,
          to: R,
          ttl: 63,
          ipOptions: [p.concat(Uint8Array.of(0x88, 36), p.pattern(34))],
        }),
      ),
    end: 'forwarded_fullnat',
    after: (bench) => assert.is(count(bench, 'client_option_no_room'), 1),
  },
  {
    it: 'UDP: where the option would exceed the MTU it is left out and counted',
    in: fromFront(p.udp({ ...query, payload: p.pattern(1472), df: true })),
    out: (c) =>
      toBack(
        p.udp({ ...query, payload: p.pattern(1472), df: true, from: c.local, to: R, ttl: 63 }),
      ),
    end: 'forwarded_fullnat',
    after: (bench) => assert.is(count(bench, 'client_option_mtu'), 1),
  },
  {
    it: 'UDP: no checksum from the client, a full one to the server',
    in: fromFront(p.udp({ ...query, checksum: 'none' })),
    out: (c) => toBack(p.udp({ ...query, from: c.local, to: R, ttl: 63, ipOptions: [p.uoa(C)] })),
    end: 'forwarded_fullnat',
  },
  {
    it: 'UDP: the response to the LIP comes from the VIP',
    given: queries(1),
    in: (c) => fromBack(p.udp({ ...response, to: c.local })),
    out: toFront(p.udp({ ...response, from: V, to: C, ttl: 63 })),
    end: 'forwarded_fullnat_reply',
  },
  {
    it: 'UDP: no checksum from the server, a full one to the client',
    given: queries(1),
    in: (c) => fromBack(p.udp({ ...response, to: c.local, checksum: 'none' })),
    out: toFront(p.udp({ ...response, from: V, to: C, ttl: 63 })),
    end: 'forwarded_fullnat_reply',
  },
];

const errors: Row[] = [
  {
    it: 'UDP: a response too big with DF: the server is told by the LIP',
    world: { ...words, frontMtu: 1300 },
    given: queries(1),
    in: (c) => fromBack(p.udp({ ...response, to: c.local, payload: p.pattern(1400) })),
    out: 'model',
    end: 'answered_too_big',
    after: (_, step) => {
      const ip = dissect(step.outputs[0]!.bytes).ip;
      assert.equal([ip?.src, ip?.dst, ip?.icmp?.mtu], [LIP, RIP, 1300]);
    },
  },
  {
    it: 'UDP: port unreachable from the server becomes one from the VIP',
    given: queries(3),
    in: (c) =>
      fromBack(
        p.icmpError({
          from: RIP,
          to: LIP,
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

table(words, [...udp, ...errors]);

test.run();
