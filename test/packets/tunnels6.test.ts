/** IPv6 in TUN by GRE and by UDP and GUE, to servers of either family; from director.yaml on. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { toBytes } from '../../src/config/address.js';
import { shimBytes, type Tunnel, tunnelText } from '../../src/config/tunnel.js';
import { checksum, concat, ip4, pseudoHeader, readU16, u16, u32 } from '../support/bytes.js';
import { differ } from '../support/duo.js';
import { GUE_SOURCES, outerProtocol } from '../support/model/tunnel.js';
import * as p from '../support/packet.js';
import * as q from '../support/packet6.js';
import { Bench } from '../support/replay.js';
import { CREWS, fromBack, fromFront, nameOf, toBack, toFront } from '../support/table.js';
import { BACK_ADDRESS } from '../support/world.js';
import { BACK6, CIP6, RIP6, VIPS, yaml6 } from '../support/world6.js';
import { yamlWorld } from '../support/yaml.js';

const RIP = '198.51.100.11';
const TUNNELS: Tunnel[] = [
  { type: 'gre', port: 0, checksum: 'nocsum' },
  { type: 'gre', port: 0, checksum: 'csum' },
  { type: 'gue', port: 6080, checksum: 'nocsum' },
  { type: 'gue', port: 6080, checksum: 'csum' },
  { type: 'gue', port: 6080, checksum: 'remcsum' },
];

const pseudo6 = (length: number) => concat(toBytes(BACK6), toBytes(RIP6), u32(length), u32(17));
const pseudo4 = (length: number) => pseudoHeader(ip4(BACK_ADDRESS), ip4(RIP), 17, length);

/** What stands before the packet, every checksum in full. */
function shim(
  { type, port, checksum: sum }: Tunnel,
  inner: Uint8Array,
  source: number,
  pseudo: (length: number) => Uint8Array,
): Uint8Array {
  const summed = sum !== 'nocsum';
  if (type === 'gre') {
    const header = concat(u16(summed ? 0x8000 : 0), u16(0x86dd), ...(summed ? [u32(0)] : []));
    if (summed) header.set(u16(checksum(header, inner)), 4);
    return header;
  }
  const length = 12 + inner.length;
  const header = concat(u16(source), u16(port), u16(length), u16(0), Uint8Array.of(0, 41, 0, 0));
  if (summed) header.set(u16(checksum(pseudo(length), header, inner)), 6);
  return header;
}

const yamlOf = ({ type, port, checksum: sum }: Tunnel) =>
  `tunnel: { type: ${type}, ${port ? `port: ${port}, ` : ''}checksum: ${sum} }`;
const query = (vip: string, hops = 64, bytes = 41) =>
  q.udp6({
    from: `[${CIP6}]:40000`,
    to: `[${vip}]:80`,
    payload: p.pattern(bytes),
    hops,
    trafficClass: 0x2b,
  });

for (const tunnel of TUNNELS) {
  const config = (backMtu = 1500) => yamlWorld(yaml6({ more: yamlOf(tunnel), backMtu }));
  const protocol = outerProtocol(tunnel);
  const inSix = (inner: Uint8Array, source: number) => {
    const body = concat(shim(tunnel, inner, source, pseudo6), inner);
    return q.ip6Frame({ from: BACK6, to: RIP6, hops: 63, trafficClass: 0x2a }, protocol, body);
  };

  test(`${tunnelText(tunnel)}: inside IPv6 and inside IPv4`, () => {
    for (const crew of CREWS) {
      const bench = new Bench(config(), crew);
      try {
        for (const again of [0, 1]) {
          const [six] = bench.run([fromFront(query(VIPS.tun))], again);
          const [four] = bench.run([fromFront(query(VIPS.sixInFour))], again);
          assert.equal([six?.end, four?.end], ['forwarded_tun', 'forwarded_tun'], nameOf(crew));
          const [a, b] = [six!.outputs[0]!.bytes, four!.outputs[0]!.bytes];
          const ports = tunnel.type === 'gue' ? [readU16(a, 54), readU16(b, 34)] : [];
          for (const port of ports) {
            assert.ok(port >= GUE_SOURCES.first && port <= GUE_SOURCES.last, `${port}`);
          }
          const inner = q.ip6Of(query(VIPS.tun, 63));
          assert.equal(differ(a, toBack(inSix(inner, ports[0] ?? 0)).bytes), []);
          const other = q.ip6Of(query(VIPS.sixInFour, 63));
          const body = concat(shim(tunnel, other, ports[1] ?? 0, pseudo4), other);
          const fields = { from: BACK_ADDRESS, to: RIP, ttl: 63, tos: 0x2a, id: readU16(b, 18) };
          const carried = tunnel.type === 'gre' ? 47 : 17;
          assert.equal(differ(b, toBack(p.ip(fields, carried, body)).bytes), []);
        }
        assert.equal(bench.invariants(), []);
      } finally {
        bench.close();
      }
    }
  });

  test(`${tunnelText(tunnel)}: what fits, and what is told of what does not`, () => {
    const bench = new Bench(config());
    try {
      for (const [vip, header] of [
        [VIPS.tun, 40],
        [VIPS.sixInFour, 20],
      ] as const) {
        const room = 1500 - header - shimBytes(tunnel);
        const [fits] = bench.run([fromFront(query(vip, 64, room - 48))], 0);
        assert.is(fits?.end, 'forwarded_tun');
        assert.is(fits?.outputs[0]?.bytes.length, 1514);
        const [not] = bench.run([fromFront(query(vip, 64, room - 47))], 0);
        assert.is(not?.end, 'answered_too_big');
        assert.is(readU16(not!.outputs[0]!.bytes, 14 + 40 + 6), room);
      }
    } finally {
      bench.close();
    }
  });

  test(`${tunnelText(tunnel)}: packet too big about the outer packet is told with its overhead`, () => {
    const bench = new Bench(config());
    try {
      const packet = query(VIPS.tun, 63);
      assert.is(bench.run([fromFront(query(VIPS.tun))], 0)[0]?.end, 'forwarded_tun');
      const router = { from: '2001:db8:2::77', to: BACK6, type: 2, rest: u32(1400) };
      const quote = inSix(q.ip6Of(packet), 40_000);
      const [step] = bench.run([fromBack(q.icmp6Error({ ...router, quote }))], 1);
      assert.is(step?.end, 'forwarded_icmp_error');
      const rest = u32(1400 - 40 - shimBytes(tunnel));
      const wanted = q.icmp6Error({ from: VIPS.tun, to: CIP6, type: 2, rest, quote: packet });
      assert.equal(differ(step!.outputs[0]!.bytes, toFront(wanted).bytes), []);
      assert.equal(bench.invariants(), []);
    } finally {
      bench.close();
    }
  });
}

test.run();
