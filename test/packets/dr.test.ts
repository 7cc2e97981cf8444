/** DR (Route): the packet as it is, to the real server's MAC. Replies never pass here. */
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
  query,
  RIP,
  response,
  syn,
  V,
  VIP,
} from '../support/flow.js';
import * as p from '../support/packet.js';
import { fromBack, fromFront, type Row, table, toBack, toFront, toTap } from '../support/table.js';
import type { WorldWords } from '../support/world.js';

const servers = [`${RIP}:80`];
const words: WorldWords = {
  services: [
    { listen: V, mode: 'dr', servers },
    { listen: V, protocol: 'udp', mode: 'dr', servers },
  ],
};
const open = [fromFront(p.tcp(syn)), fromFront(p.tcp(firstAck))];
const big = { ...words, backMtu: 1400 };

const requests: Row[] = [
  {
    it: 'TCP: a SYN goes to the server’s MAC with nothing changed but the TTL',
    in: fromFront(p.tcp(syn)),
    out: toBack(p.tcp({ ...syn, ttl: 60 })),
    end: 'forwarded_dr',
  },
  {
    it: 'TCP: data',
    given: open,
    in: fromFront(p.tcp(data)),
    out: toBack(p.tcp({ ...data, ttl: 63 })),
    end: 'forwarded_dr',
  },
  {
    it: 'TCP: the server’s port in the configuration changes nothing',
    world: { services: [{ listen: V, mode: 'dr', servers: [`${RIP}:8080`] }] },
    in: fromFront(p.tcp(syn)),
    out: 'model',
    end: 'forwarded_dr',
    after: (_, step) => assert.is(dissect(step.outputs[0]!.bytes).ip?.tcp?.dport, 80),
  },
  {
    it: 'TCP: IP options pass untouched',
    in: fromFront(p.tcp({ ...syn, ipOptions: [p.uoa('192.0.2.3:1'), p.nop] })),
    out: toBack(p.tcp({ ...syn, ttl: 60, ipOptions: [p.uoa('192.0.2.3:1'), p.nop] })),
    end: 'forwarded_dr',
  },
  {
    it: 'TCP: a bad checksum passes as it is',
    in: fromFront(p.tcp({ ...syn, checksum: 'bad' })),
    out: toBack(p.tcp({ ...syn, ttl: 60, checksum: 'bad' })),
    end: 'forwarded_dr',
    badOnPurpose: true,
  },
  {
    it: 'TCP: a partial checksum from a local kernel is completed',
    world: { ...words, partialChecksums: true },
    in: fromFront(p.tcp({ ...syn, checksum: 'partial' })),
    out: toBack(p.tcp({ ...syn, ttl: 60 })),
    end: 'forwarded_dr',
  },
  {
    it: 'UDP: a query',
    in: fromFront(p.udp(query)),
    out: toBack(p.udp({ ...query, ttl: 63 })),
    end: 'forwarded_dr',
  },
  {
    it: 'UDP: no checksum stays none',
    in: fromFront(p.udp({ ...query, checksum: 'none' })),
    out: toBack(p.udp({ ...query, ttl: 63, checksum: 'none' })),
    end: 'forwarded_dr',
  },
  {
    it: 'UDP: what a server sends on its own behalf is the kernel’s to route',
    given: [fromFront(p.udp(query))],
    in: fromBack(p.udp({ ...response, from: `${RIP}:80` })),
    out: toTap(fromBack(p.udp({ ...response, from: `${RIP}:80` }))),
    end: 'punted_not_ours',
  },
  {
    it: 'TCP: a reply from the VIP that comes by here is no connection’s: martian',
    given: open,
    in: fromBack(p.tcp({ ...answer, from: V })),
    out: 'nothing',
    end: 'martian',
  },
];

const limits: Row[] = [
  {
    it: 'TCP: TTL 1 is answered by time exceeded from the VIP',
    in: fromFront(p.tcp({ ...syn, ttl: 1 })),
    out: (c) =>
      toFront(
        p.icmpError({
          from: VIP,
          to: CIP,
          type: 11,
          code: 0,
          quote: p.tcp({ ...syn, ttl: 1 }),
          tos: icmpTos(syn.tos),
          id: c.id,
        }),
      ),
    end: 'answered_time_exceeded',
  },
  {
    it: 'UDP: TTL 1 is answered by time exceeded from the VIP',
    in: fromFront(p.udp({ ...query, ttl: 1 })),
    out: (c) =>
      toFront(
        p.icmpError({
          from: VIP,
          to: CIP,
          type: 11,
          code: 0,
          quote: p.udp({ ...query, ttl: 1 }),
          tos: icmpTos(query.tos),
          id: c.id,
        }),
      ),
    end: 'answered_time_exceeded',
  },
  {
    it: 'TCP: too big with DF: fragmentation needed with the link’s MTU',
    world: big,
    given: open,
    in: fromFront(p.tcp({ ...data, payload: p.pattern(1400), df: true })),
    out: 'model',
    end: 'answered_too_big',
    after: (_, step) => {
      const icmp = dissect(step.outputs[0]!.bytes).ip?.icmp;
      assert.equal([icmp?.type, icmp?.code, icmp?.mtu], [3, 4, 1400]);
    },
  },
  {
    it: 'UDP: too big without DF: in fragments',
    world: big,
    in: fromFront(p.udp({ ...query, payload: p.pattern(1400) })),
    out: () => {
      const body = p.ipOf(p.udp({ ...query, payload: p.pattern(1400) })).subarray(20);
      const piece = (from: number, to: number, mf: boolean) =>
        toBack(
          p.ip(
            { ...query, from: CIP, to: VIP, ttl: 63, mf, fragmentOffset: from / 8 },
            17,
            body.subarray(from, to),
          ),
        );
      return [piece(0, 1376, true), piece(1376, 1408, false)];
    },
    end: 'forwarded_dr',
  },
];

const fromClientSide = {
  from: CLIENT_SIDE_ROUTER,
  to: VIP,
  type: 3,
  code: 4,
  mtu: 1280,
  quote: p.tcp({ ...answer, from: V, ttl: 50 }),
  quoteBytes: 28,
};
const errors: Row[] = [
  {
    it: 'ICMP: an error from the client’s side goes to the server, only the TTL lower',
    given: open,
    in: fromFront(p.icmpError(fromClientSide)),
    out: toBack(p.icmpError({ ...fromClientSide, ttl: 63 })),
    end: 'forwarded_icmp_error',
  },
  {
    it: 'ICMP: an error from the client’s side about a UDP response goes to the server',
    given: [fromFront(p.udp(query))],
    in: fromFront(
      p.icmpError({
        ...fromClientSide,
        type: 3,
        code: 3,
        mtu: 0,
        quote: p.udp({ ...response, from: V }),
      }),
    ),
    out: toBack(
      p.icmpError({
        ...fromClientSide,
        type: 3,
        code: 3,
        mtu: 0,
        quote: p.udp({ ...response, from: V }),
        ttl: 63,
      }),
    ),
    end: 'forwarded_icmp_error',
  },
  {
    it: 'ICMP: an error too big for the way to the server is dropped, no error is sent about it',
    world: big,
    given: open,
    in: fromFront(
      p.icmpError({
        ...fromClientSide,
        df: true,
        quote: p.tcp({ ...answer, from: V, payload: p.pattern(1400) }),
        quoteBytes: 1400,
      }),
    ),
    out: 'nothing',
    end: 'icmp_too_big',
  },
  {
    it: 'ICMP: an error about another port of the VIP is dropped',
    given: open,
    in: fromFront(
      p.icmpError({ ...fromClientSide, quote: p.tcp({ ...answer, from: `${VIP}:81` }) }),
    ),
    out: 'nothing',
    end: 'icmp_without_connection',
  },
  {
    it: 'ICMP: an error from the server’s side goes to the client by the kernel',
    given: open,
    in: fromBack(
      p.icmpError({ from: RIP, to: CIP, type: 3, code: 3, quote: p.udp({ ...query, from: C }) }),
    ),
    out: 'model',
    end: 'punted_not_ours',
  },
];

table(words, [...requests, ...limits, ...errors]);

test.run();
