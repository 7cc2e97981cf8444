/** TUN by GRE (RFC 2784) and by UDP and GUE: what stands between the outer header and the packet. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { IPIP, type Tunnel, tunnelText } from '../../src/config/tunnel.js';
import { checksum, pseudoHeader, readU16 } from '../support/bytes.js';
import { dissect } from '../support/dissect.js';
import { Duo } from '../support/duo.js';
import {
  CIP,
  data,
  firstAck,
  query,
  RIP,
  SERVER_SIDE_ROUTER,
  syn,
  V,
  VIP,
} from '../support/flow.js';
import { GUE_SOURCES, outerProtocol, overheadOf, shim } from '../support/model/tunnel.js';
import type { IpFields } from '../support/packet.js';
import * as p from '../support/packet.js';
import {
  type Context,
  fromBack,
  fromFront,
  type Row,
  table,
  toBack,
  toFront,
} from '../support/table.js';
import { BACK_ADDRESS, type WorldWords, world } from '../support/world.js';

const GRE: Tunnel = { type: 'gre', port: 0, checksum: 'nocsum' };
const GRE_SUM: Tunnel = { type: 'gre', port: 0, checksum: 'csum' };
const GUE: Tunnel = { type: 'gue', port: 6080, checksum: 'nocsum' };
const GUE_SUM: Tunnel = { type: 'gue', port: 6081, checksum: 'csum' };
const GUE_REMOTE: Tunnel = { type: 'gue', port: 6080, checksum: 'remcsum' };
const TUNNELS = [GRE, GRE_SUM, GUE, GUE_SUM, GUE_REMOTE];

const worldOf = (tunnel: Tunnel, more: Partial<WorldWords> = {}): WorldWords => ({
  services: (['tcp', 'udp'] as const).map((protocol) => ({
    listen: V,
    protocol,
    mode: 'tun',
    tunnel,
    servers: [`${RIP}:80`],
  })),
  ...more,
});

/** The outer packet around `frame`'s packet; `sourcePort`: the engine's choice. */
function wrapped(tunnel: Tunnel, frame: Uint8Array, fields: IpFields, sourcePort: number) {
  const inner = p.ipOf(frame);
  const before = shim(tunnel, inner, BACK_ADDRESS, RIP, sourcePort);
  const ends = { from: BACK_ADDRESS, to: RIP, id: 0, ...fields };
  return toBack(p.ip(ends, outerProtocol(tunnel), p.concat(before, inner)));
}
const portOf = (c: Context) => c.ip?.udp?.sport ?? 0;

const open = [fromFront(p.tcp(syn)), fromFront(p.tcp(firstAck))];

function rowsOf(tunnel: Tunnel): Row[] {
  const name = tunnelText(tunnel);
  const least = worldOf(tunnel);
  const headers = 20 + 32;
  const room = 1500 - overheadOf(tunnel) - headers;
  const tooLong = p.tcp({ ...data, payload: p.pattern(room + 1), df: true });
  const relayed = p.tcp({ ...data, df: true, ttl: 63 });
  const quote = wrapped(tunnel, relayed, { ttl: 63, df: true }, 40_000).bytes;
  const error = { from: SERVER_SIDE_ROUTER, to: BACK_ADDRESS };
  const told = { from: VIP, to: CIP, quote: relayed, tos: 0xc0 };
  return [
    {
      it: `${name}: a SYN with DF: outer DF and ID 0, the inner TTL, CE becomes ECT(0)`,
      world: least,
      in: fromFront(p.tcp(syn)),
      out: (c) =>
        wrapped(tunnel, p.tcp({ ...syn, ttl: 60 }), { ttl: 60, df: true, tos: 0x2a }, portOf(c)),
      end: 'forwarded_tun',
    },
    {
      it: `${name}: a settled connection's data without DF: outer ID fresh`,
      world: least,
      given: [...open, fromFront(p.tcp(data))],
      in: fromFront(p.tcp({ ...data, payload: p.pattern(333) })),
      out: (c) =>
        wrapped(
          tunnel,
          p.tcp({ ...data, payload: p.pattern(333), ttl: 63 }),
          { ttl: 63, id: c.id },
          portOf(c),
        ),
      end: 'forwarded_tun',
    },
    {
      it: `${name}: UDP whose inner checksum is none, or wrong, is wrapped as it is`,
      world: least,
      given: [fromFront(p.udp({ ...query, df: true }))],
      in: fromFront(p.udp({ ...query, df: true, checksum: 'none', payload: p.pattern(7) })),
      out: (c) =>
        wrapped(
          tunnel,
          p.udp({ ...query, df: true, checksum: 'none', payload: p.pattern(7), ttl: 63 }),
          { ttl: 63, df: true, tos: query.tos },
          portOf(c),
        ),
      end: 'forwarded_tun',
    },
    {
      it: `${name}: a segment that just fits a link of 1500 with DF`,
      world: least,
      given: open,
      in: fromFront(p.tcp({ ...data, payload: p.pattern(room), df: true })),
      out: 'model',
      end: 'forwarded_tun',
      after: (_, step) => assert.is(step.outputs[0]?.bytes.length, 1514),
    },
    {
      it: `${name}: one byte more: fragmentation needed, with the room there is`,
      world: least,
      given: open,
      in: fromFront(tooLong),
      out: 'model',
      end: 'answered_too_big',
      after: (_, step) => {
        const icmp = dissect(step.outputs[0]!.bytes).ip?.icmp;
        assert.equal([icmp?.type, icmp?.code, icmp?.mtu], [3, 4, room + headers]);
      },
    },
    {
      it: `${name}: without DF the outer packet goes in two fragments`,
      world: least,
      in: fromFront(p.udp({ ...query, payload: p.pattern(1472) })),
      out: 'model',
      end: 'forwarded_tun',
      after: (_, step) => {
        const [first, second] = step.outputs.map(({ bytes }) => dissect(bytes).ip);
        assert.is(step.outputs.length, 2);
        assert.equal([first?.protocol, second?.protocol], Array(2).fill(outerProtocol(tunnel)));
        assert.is(first?.id, second?.id);
      },
    },
    {
      it: `${name}: an ICMP error about the outer packet becomes one from the VIP about the inner`,
      world: least,
      given: open,
      in: fromBack(p.icmpError({ ...error, type: 3, code: 1, quote })),
      out: (c) => toFront(p.icmpError({ ...told, type: 3, code: 1, id: c.id })),
      end: 'forwarded_icmp_error',
    },
    {
      it: `${name}: fragmentation needed about the outer packet leaves room for its headers`,
      world: least,
      given: open,
      in: fromBack(p.icmpError({ ...error, type: 3, code: 4, mtu: 1400, quote })),
      out: (c) => {
        const mtu = 1400 - overheadOf(tunnel);
        return toFront(p.icmpError({ ...told, type: 3, code: 4, mtu, id: c.id }));
      },
      end: 'forwarded_icmp_error',
    },
    {
      it: `${name}: with only 8 bytes of the shim quoted there is nobody to tell`,
      world: least,
      given: open,
      in: fromBack(p.icmpError({ ...error, type: 3, code: 1, quote, quoteBytes: 28 })),
      out: 'model',
      end: 'punted_not_ours',
    },
  ];
}

const strangers: Row[] = [
  {
    it: 'UDP to a port that no tunnel uses is a datagram of its own, whatever is in it',
    world: worldOf(GUE),
    given: open,
    in: fromBack(
      p.icmpError({
        from: SERVER_SIDE_ROUTER,
        to: BACK_ADDRESS,
        type: 3,
        code: 1,
        quote: wrapped({ ...GUE, port: 6082 }, p.tcp(data), { df: true }, 40_000).bytes,
      }),
    ),
    out: 'model',
    end: 'punted_not_ours',
  },
  ...[
    ['GRE with a key', 47, [0x20, 0, 8, 0, 0, 0, 0, 1]],
    ['GRE that carries IPv6', 47, [0, 0, 0x86, 0xdd]],
    ['GUE of a later variant', 17, [0x80, 0, 0x17, 0xc0, 0, 60, 0, 0, 0x40, 4, 0, 0]],
    ['GUE control', 17, [0x80, 0, 0x17, 0xc0, 0, 60, 0, 0, 0x20, 4, 0, 0]],
    ['GUE that carries IPv6', 17, [0x80, 0, 0x17, 0xc0, 0, 60, 0, 0, 0, 41, 0, 0]],
  ].map(
    ([what, protocol, bytes]): Row => ({
      it: `${what} is none of ours`,
      world: worldOf(GUE),
      given: open,
      in: fromBack(
        p.icmpError({
          from: SERVER_SIDE_ROUTER,
          to: BACK_ADDRESS,
          type: 3,
          code: 1,
          quote: p.ip(
            { from: BACK_ADDRESS, to: RIP, df: true },
            protocol as number,
            p.concat(Uint8Array.from(bytes as number[]), p.ipOf(p.tcp(data))),
          ),
        }),
      ),
      out: 'model',
      end: 'punted_not_ours',
    }),
  ),
];

table(worldOf(GRE), [...TUNNELS.flatMap(rowsOf), ...strangers]);

const options = { workers: 1 } as const;

test('checksums of every length of packet, computed by hand', () => {
  for (const tunnel of [GRE_SUM, GUE_SUM]) {
    const duo = new Duo(world(worldOf(tunnel)), options);
    try {
      for (let length = 0; length < 140; length++) {
        const frame = p.udp({ ...query, payload: p.pattern(length, length * 7), df: true });
        const { steps, complaints } = duo.run([fromFront(frame)], length);
        assert.equal(complaints, []);
        const packet = p.ipOf(steps[0]!.outputs[0]!.bytes);
        const body = packet.subarray(20);
        const pseudo = pseudoHeader(packet.slice(12, 16), packet.slice(16, 20), 17, body.length);
        assert.is(checksum(...(tunnel.type === 'gue' ? [pseudo] : []), body), 0, `${length} bytes`);
      }
    } finally {
      duo.close();
    }
  }
});

test('a flow has one GUE source port, on every director; flows have many', () => {
  const seen = new Map<string, number>();
  for (const seed of [1, 2]) {
    const duo = new Duo(world(worldOf(GUE)), { workers: 1, seed });
    try {
      for (let flow = 0; flow < 64; flow++) {
        const from = `198.18.0.2:${20_000 + flow}`;
        for (const payload of ['one', 'two']) {
          const { steps, complaints } = duo.run([fromFront(p.udp({ ...query, from, payload }))], 0);
          assert.equal(complaints, []);
          const port = readU16(steps[0]!.outputs[0]!.bytes, 34);
          assert.ok(port >= GUE_SOURCES.first && port <= GUE_SOURCES.last, `${port}`);
          assert.is(seen.get(from) ?? port, port);
          seen.set(from, port);
        }
      }
    } finally {
      duo.close();
    }
  }
  assert.ok(new Set(seen.values()).size > 60);
});

test('a server that changes its tunnel does so for connections it has, too', () => {
  const slots = new Map<string, number>();
  const duo = new Duo(world(worldOf(GRE), slots), options);
  try {
    const lengths: (number | undefined)[] = [];
    [GRE, GUE, IPIP, GRE_SUM, GUE_SUM].forEach((tunnel, at) => {
      duo.publish(world(worldOf(tunnel), slots, at + 2));
      const arriving = [fromFront(p.tcp(at === 0 ? syn : { ...data, df: true }))];
      for (const one of [arriving, arriving, arriving]) {
        const { steps, complaints } = duo.run(one, at);
        assert.equal(complaints, []);
        const { bytes } = steps[0]!.outputs[0]!;
        lengths[at] = bytes.length - arriving[0]!.frame.length;
      }
    });
    assert.equal(lengths, [24, 32, 20, 28, 32]);
  } finally {
    duo.close();
  }
});

test.run();
