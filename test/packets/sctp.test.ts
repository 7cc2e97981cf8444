/** SCTP: each mode, both directions, errors, checksums; what begins an association and what doesn't. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { dissect } from '../support/dissect.js';
import { Duo } from '../support/duo.js';
import {
  C,
  CIP,
  CLIENT_SIDE_ROUTER,
  icmpTos,
  LIP,
  query,
  R,
  RIP,
  SERVER_SIDE_ROUTER,
  syn,
  V,
  VIP,
} from '../support/flow.js';
import * as p from '../support/packet.js';
import { CHUNKS, type Chunk, chunk, type SctpFields, sctp } from '../support/sctp.js';
import { fromBack, fromFront, type Row, table, toBack, toFront } from '../support/table.js';
import { BACK_ADDRESS, type ServiceWords, type WorldWords, world } from '../support/world.js';

const service = (words: Partial<ServiceWords> = {}): ServiceWords => ({
  listen: V,
  protocol: 'sctp',
  mode: 'nat',
  servers: [R],
  ...words,
});
const words: WorldWords = { services: [service()] };
const with_ = (one: Partial<ServiceWords>, more: Partial<WorldWords> = {}): WorldWords => ({
  services: [service(one)],
  ...more,
});
const samePort = with_({ servers: [`${RIP}:80`] });
const fullnat = with_({ mode: 'fullnat', locals: [LIP] });

const init: SctpFields = { from: C, to: V, tag: 0, chunks: ['INIT'], ttl: 61, id: 7, tos: 0x2b };
const initAck: SctpFields = { from: R, to: C, tag: 0xaabbccdd, chunks: ['INIT-ACK'], df: true };
const data: SctpFields = { from: C, to: V, chunks: ['DATA'], id: 9 };
const answer: SctpFields = { from: R, to: C, tag: 0xaabbccdd, chunks: ['SACK', 'DATA'], id: 10 };
const up = [
  fromFront(sctp(init)),
  fromBack(sctp(initAck)),
  fromFront(sctp({ ...data, chunks: ['COOKIE-ECHO', 'DATA'] })),
  fromBack(sctp({ ...answer, chunks: ['COOKIE-ACK'] })),
];

const checksumOf = (frame: Uint8Array) => dissect(frame).ip?.sctp;

const nat: Row[] = [
  {
    it: 'NAT: an INIT goes to the real server, its CRC right for the other port',
    in: fromFront(sctp(init)),
    out: toBack(sctp({ ...init, to: R, ttl: 60 })),
    end: 'forwarded_nat',
  },
  {
    it: 'NAT: the INIT-ACK comes back from the VIP',
    given: up.slice(0, 1),
    in: fromBack(sctp(initAck)),
    out: toFront(sctp({ ...initAck, from: V, ttl: 63 })),
    end: 'forwarded_nat_reply',
  },
  {
    it: 'NAT: data to the server',
    given: up,
    in: fromFront(sctp(data)),
    out: toBack(sctp({ ...data, to: R, ttl: 63 })),
    end: 'forwarded_nat',
  },
  {
    it: 'NAT: data back to the client',
    given: up,
    in: fromBack(sctp(answer)),
    out: toFront(sctp({ ...answer, from: V, ttl: 63 })),
    end: 'forwarded_nat_reply',
  },
  {
    it: 'NAT: to the same port, only addresses change: the CRC covers none',
    world: samePort,
    in: fromFront(sctp(init)),
    out: toBack(sctp({ ...init, to: `${RIP}:80`, ttl: 60 })),
    end: 'forwarded_nat',
    after: (_, step) => {
      assert.is(checksumOf(step.outputs[0]!.bytes)?.checksum, checksumOf(sctp(init))?.checksum);
    },
  },
  {
    it: 'NAT: IP options and Ethernet padding as for TCP',
    in: fromFront(sctp({ ...init, ipOptions: [p.nop], trailer: new Uint8Array(3).fill(0xee) })),
    out: toBack(sctp({ ...init, ipOptions: [p.nop], to: R, ttl: 60 })),
    end: 'forwarded_nat',
  },
  ...[words, samePort].map(
    (place, at): Row => ({
      it: `NAT: a bad checksum stays bad, to ${at === 0 ? 'another' : 'the same'} port`,
      world: place,
      in: fromFront(sctp({ ...init, checksum: 'bad' })),
      out: 'model',
      end: 'forwarded_nat',
      badOnPurpose: true,
      after: (_, step) => assert.is(checksumOf(step.outputs[0]!.bytes)?.checksumOk, false),
    }),
  ),
  {
    it: 'NAT: a checksum that a local kernel has left to its card is completed',
    world: with_({}, { partialChecksums: true }),
    in: fromFront(sctp({ ...init, checksum: 'none' })),
    out: toBack(sctp({ ...init, to: R, ttl: 60 })),
    end: 'forwarded_nat',
    after: (bench) => assert.is(bench.counters().extra.partial_checksum_completed, 1),
  },
  {
    it: 'NAT: elsewhere a checksum of 0 is a wrong one',
    in: fromFront(sctp({ ...init, checksum: 'none' })),
    out: 'model',
    end: 'forwarded_nat',
    badOnPurpose: true,
  },
];

const others: Row[] = [
  {
    it: 'DR: as it came, TTL one less, whatever its checksum',
    world: with_({ mode: 'dr' }),
    in: fromFront(sctp({ ...init, checksum: 'bad' })),
    out: toBack(sctp({ ...init, checksum: 'bad', ttl: 60 })),
    end: 'forwarded_dr',
    badOnPurpose: true,
  },
  {
    it: 'TUN: inside IPIP, as it came',
    world: with_({ mode: 'tun' }),
    in: fromFront(sctp({ ...init, df: true })),
    out: toBack(
      p.ip(
        { from: BACK_ADDRESS, to: RIP, ttl: 60, id: 0, df: true, tos: 0x2a },
        4,
        p.ipOf(sctp({ ...init, df: true, ttl: 60 })),
      ),
    ),
    end: 'forwarded_tun',
  },
  ...(['gre', 'gue'] as const).map(
    (type): Row => ({
      it: `TUN: inside ${type.toUpperCase()}`,
      world: with_({
        mode: 'tun',
        tunnel: { type, port: type === 'gue' ? 6080 : 0, checksum: 'csum' },
      }),
      in: fromFront(sctp(init)),
      out: 'model',
      end: 'forwarded_tun',
    }),
  ),
  {
    it: 'FullNAT: from a local address and port, without an option: SCTP has none for it',
    world: fullnat,
    in: fromFront(sctp(init)),
    out: (c) => toBack(sctp({ ...init, from: c.local, to: R, ttl: 60 })),
    end: 'forwarded_fullnat',
  },
  {
    it: 'FullNAT: the reply finds its way back',
    world: fullnat,
    given: up.slice(0, 1),
    in: (c) => fromBack(sctp({ ...initAck, to: c.local })),
    out: toFront(sctp({ ...initAck, from: V, ttl: 63 })),
    end: 'forwarded_fullnat_reply',
  },
  {
    it: 'a client’s TCP, UDP and SCTP of the same ports are three connections',
    world: {
      services: (['tcp', 'udp', 'sctp'] as const).map((protocol) => service({ protocol })),
    },
    given: [fromFront(p.tcp(syn)), fromFront(p.udp(query))],
    in: fromFront(sctp(init)),
    out: toBack(sctp({ ...init, to: R, ttl: 60 })),
    end: 'forwarded_nat',
    after: (bench) => assert.is(bench.connections().length, 3),
  },
];

/** RFC 9260 section 10 takes it for an ABORT. */
const protocolUnreachable = (about: SctpFields, id: number) =>
  p.icmpError({
    from: VIP,
    to: CIP,
    type: 3,
    code: 2,
    quote: sctp(about),
    tos: icmpTos(about.tos),
    id,
  });

const refused: Row[] = [
  ...(Object.keys(CHUNKS) as Chunk[])
    .filter((type) => type !== 'INIT')
    .map(
      (type): Row => ({
        it: `${type} of no association: protocol unreachable, as from Linux`,
        in: fromFront(sctp({ ...data, chunks: [type] })),
        out: (c) => toFront(protocolUnreachable({ ...data, chunks: [type] }, c.id)),
        end: 'answered_protocol_unreachable',
      }),
    ),
  {
    it: 'so is a packet without a chunk',
    in: fromFront(sctp({ ...data, chunks: [] })),
    out: (c) => toFront(protocolUnreachable({ ...data, chunks: [] }, c.id)),
    end: 'answered_protocol_unreachable',
  },
  {
    it: 'a header that is cut off',
    in: fromFront(p.ip({ from: CIP, to: VIP }, 132, p.pattern(11))),
    out: 'nothing',
    end: 'bad_l4_header',
  },
  {
    it: 'a packet without a chunk of an association goes on, and changes nothing',
    given: up,
    in: fromFront(sctp({ ...data, chunks: [] })),
    out: toBack(sctp({ ...data, chunks: [], to: R, ttl: 63 })),
    end: 'forwarded_nat',
    after: (bench) => assert.is(bench.connections()[0]?.state, 'ESTABLISHED'),
  },
  {
    it: 'an INIT to the VIP’s other ports: the same',
    in: fromFront(sctp({ ...init, to: `${VIP}:81` })),
    out: (c) => toFront(protocolUnreachable({ ...init, to: `${VIP}:81` }, c.id)),
    end: 'answered_protocol_unreachable',
  },
  {
    it: 'without a real server: port unreachable, as by LVS',
    world: with_({ servers: [] }),
    in: fromFront(sctp(init)),
    out: 'model',
    end: 'answered_port_unreachable',
  },
  {
    it: 'TTL 1 is answered from the VIP',
    in: fromFront(sctp({ ...init, ttl: 1 })),
    out: 'model',
    end: 'answered_time_exceeded',
  },
  {
    it: 'larger than the server’s link, with DF: the client is told',
    world: with_({}, { backMtu: 600 }),
    given: up,
    in: fromFront(sctp({ ...data, df: true, chunks: [chunk('DATA', p.pattern(700))] })),
    out: 'model',
    end: 'answered_too_big',
    after: (_, step) => assert.is(dissect(step.outputs[0]!.bytes).ip?.icmp?.mtu, 600),
  },
];

const big = sctp({ ...data, chunks: [chunk('DATA', p.pattern(900))] });
const half = (from: number, to: number, mf: boolean) =>
  fromFront(
    p.ip(
      { from: CIP, to: VIP, id: 77, mf, fragmentOffset: from / 8 },
      132,
      p.ipOf(big).subarray(20 + from, 20 + to),
    ),
  );
const fragments: Row[] = [
  {
    it: 'in fragments: put together, and on its way in such again',
    given: [...up, half(0, 480, true)],
    in: half(480, 916, false),
    out: 'model',
    end: 'forwarded_nat',
    after: (_, step) => assert.is(step.outputs.length, 2),
  },
];

const errors: Row[] = [28, 32, undefined].flatMap((quoteBytes) => {
  const quoted = quoteBytes === undefined ? 'all' : `${quoteBytes} bytes`;
  return [
    {
      it: `ICMP: from the server’s side, quoting ${quoted}: the client is told of its own packet`,
      given: up,
      in: fromBack(
        p.icmpError({
          from: SERVER_SIDE_ROUTER,
          to: CIP,
          type: 3,
          code: 1,
          quote: sctp({ ...data, to: R, ttl: 62 }),
          quoteBytes,
        }),
      ),
      out: toFront(
        p.icmpError({
          from: VIP,
          to: CIP,
          type: 3,
          code: 1,
          ttl: 63,
          quote: sctp({ ...data, ttl: 62 }),
          quoteBytes,
        }),
      ),
      end: 'forwarded_icmp_error',
    },
    {
      it: `ICMP: from the client’s side, quoting ${quoted}: FullNAT’s server is told of its own`,
      world: fullnat,
      given: up.slice(0, 1),
      in: fromFront(
        p.icmpError({
          from: CLIENT_SIDE_ROUTER,
          to: VIP,
          type: 11,
          code: 0,
          quote: sctp({ ...initAck, from: V, ttl: 50 }),
          quoteBytes,
        }),
      ),
      out: (c) =>
        toBack(
          p.icmpError({
            from: LIP,
            to: RIP,
            type: 11,
            code: 0,
            ttl: 63,
            quote: sctp({ ...initAck, to: c.local, ttl: 50 }),
            quoteBytes,
          }),
        ),
      end: 'forwarded_icmp_error',
    },
  ] satisfies Row[];
});

const tunnelError: Row = {
  it: 'ICMP: about a tunnel’s packet: the client is told of its own, with the MTU less the header',
  world: with_({ mode: 'tun' }),
  given: up.slice(0, 1),
  in: fromBack(
    p.icmpError({
      from: SERVER_SIDE_ROUTER,
      to: BACK_ADDRESS,
      type: 3,
      code: 4,
      mtu: 1400,
      quote: p.ip({ from: BACK_ADDRESS, to: RIP, ttl: 60 }, 4, p.ipOf(sctp({ ...init, ttl: 60 }))),
    }),
  ),
  out: 'model',
  end: 'forwarded_icmp_error',
  after: (_, step) => {
    const icmp = dissect(step.outputs[0]!.bytes).ip?.icmp;
    assert.equal([icmp?.mtu, icmp?.quote?.dst], [1380, VIP]);
  },
};

table(words, [...nat, ...others, ...refused, ...fragments, ...errors, tunnelError]);

test('the CRC is right at every length, for every port it is changed by', () => {
  const lengths = [...Array.from({ length: 70 }, (_, at) => at), 1021, 1022, 1023, 1024, 1440];
  for (const port of [80, 81, 8080, 32_848, 65_535]) {
    const duo = new Duo(world(with_({ servers: [`${RIP}:${port}`] })));
    const run = (frame: Uint8Array, at: number) =>
      duo.run([fromFront(frame)], at).complaints.join('\n');
    assert.is(run(sctp(init), 0), '');
    lengths.forEach((length, at) => {
      // Its padding belongs to the packet, but a chunk's last byte may be its very end.
      const whole = chunk(CHUNKS.DATA, p.pattern(length));
      const cut = length % 4 === 0 ? whole : whole.subarray(0, 4 + length);
      assert.is(run(sctp({ ...data, chunks: [cut] }), at + 1), '', `${length} bytes, port ${port}`);
    });
    for (const frame of duo.sent) assert.is(checksumOf(frame)?.checksumOk, true);
    duo.close();
  }
});

test('of the largest packet that is put together, too', () => {
  const duo = new Duo(world(words));
  const body = p.ipOf(sctp({ ...data, chunks: [chunk('DATA', p.pattern(8 * 1480 - 16))] }));
  duo.run(up, 0);
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < 8; at++) {
    const fields = { from: CIP, to: VIP, id: 88, mf: at < 7, fragmentOffset: at * 185 };
    pieces.push(p.ip(fields, 132, body.subarray(20 + at * 1480, 20 + (at + 1) * 1480)));
  }
  const { steps, complaints } = duo.run(pieces.map(fromFront), 1);
  assert.equal(complaints, []);
  assert.is(steps.at(-1)?.end, 'forwarded_nat');
  duo.close();
});

test.run();
