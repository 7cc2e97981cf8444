/**
 * What leaves the director as scapy sees it: an independent dissector finds the client-address
 * options, the tunnelled packets and the quotes where they should be, and no bad checksum.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Mode } from '../../src/native.js';
import { data, firstAck, LIP, query, R, RIP, syn, V, VIP } from '../support/flow.js';
import * as p from '../support/packet.js';
import { Bench } from '../support/replay.js';
import { type ScapyPacket, scapy, scapyBadChecksums, scapyMissing } from '../support/scapy.js';
import { skip } from '../support/skip.js';
import { fromFront } from '../support/table.js';
import { BACK_ADDRESS, world } from '../support/world.js';

/** What leaves for one client's SYN, first ACK, data, a UDP query, and a packet whose TTL is over. */
function leaving(mode: Mode): ScapyPacket[] {
  const locals = mode === 'fullnat' || mode === 'enat' ? [LIP] : [];
  const bench = new Bench(
    world({
      services: (['tcp', 'udp'] as const).map((protocol) => ({
        listen: V,
        protocol,
        mode,
        servers: [R],
        locals,
      })),
    }),
  );
  const arriving = [
    p.tcp(syn),
    p.tcp(firstAck),
    p.tcp(data),
    p.udp(query),
    p.tcp({ ...data, ttl: 1 }),
  ].map(fromFront);
  const sent = bench.run(arriving, 0).flatMap(({ outputs }) => outputs.map(({ bytes }) => bytes));
  bench.close();
  const packets = scapy(sent);
  assert.equal(scapyBadChecksums(packets), []);
  assert.is(packets.length, 5);
  return packets;
}

const CLIENT_HEX = '9c40c6120002';
const VIRTUAL_HEX = '0050cb00710a';

const missing = scapyMissing();
if (missing) {
  skip('frames of all modes through scapy', missing);
} else {
  test('nat: addresses and ports', () => {
    const [first] = leaving('nat');
    const ip = first!.ip[0]!;
    assert.equal([ip.src, ip.dst, ip.tcp?.dport, ip.ttl], ['198.18.0.2', RIP, 8080, 60]);
    assert.equal(first!.layers.slice(0, 3), ['Ether', 'IP', 'TCP']);
  });

  test('dr: the packet as it came', () => {
    const [first] = leaving('dr');
    assert.equal([first!.dst, first!.ip[0]?.dst], ['02:00:00:00:02:01', VIP]);
  });

  test('tun: IP in IP', () => {
    const [first, ...others] = leaving('tun');
    assert.equal(first!.layers.slice(0, 4), ['Ether', 'IP', 'IP', 'TCP']);
    const [outer, inner] = first!.ip;
    assert.equal([outer?.src, outer?.dst, outer?.proto], [BACK_ADDRESS, RIP, 4]);
    assert.equal([inner?.at, inner?.dst, inner?.tcp?.dport], ['ip.inner', VIP, 80]);
    assert.equal(others[2]?.ip[1]?.udp?.dport, 80);
  });

  test('fullnat: TOA first among the TCP options, UOA among the IP options', () => {
    const [first, ack, segment, datagram] = leaving('fullnat');
    assert.is(first!.ip[0]?.src, LIP);
    assert.equal(first!.ip[0]?.tcp?.options[0], ['254', CLIENT_HEX]);
    assert.equal(first!.ip[0]?.tcp?.options[1], ['MSS', 1452]);
    // No SYN-ACK has passed: the client's ACKs say nothing of the server's sequence yet.
    for (const packet of [ack, segment]) {
      assert.not.ok(packet!.ip[0]?.tcp?.options.some(([kind]) => kind === '254'));
    }
    const [option] = datagram!.ip[0]?.options ?? [];
    assert.equal(option, { kind: 31, raw: `1f08${CLIENT_HEX}` });
  });

  test('enat: client and virtual address on SYN, first ACK and first data, and on UDP', () => {
    const [first, ack, segment, datagram] = leaving('enat');
    for (const packet of [first, ack, segment]) {
      const options = packet!.ip[0]?.tcp?.options ?? [];
      assert.equal(options[0], ['254', CLIENT_HEX]);
      assert.is(options[1]?.[1], `534c${VIRTUAL_HEX}`);
    }
    assert.equal(datagram!.ip[0]?.options.slice(0, 2), [
      { kind: 31, raw: `1f08${CLIENT_HEX}` },
      { kind: 94, raw: `5e08${VIRTUAL_HEX}` },
    ]);
  });

  for (const mode of ['nat', 'dr', 'tun', 'fullnat', 'enat'] as Mode[]) {
    test(`${mode}: time exceeded quotes the client's packet whole`, () => {
      const last = leaving(mode)[4]!;
      const [outer, quote] = last.ip;
      assert.equal([outer?.src, outer?.icmp?.type, outer?.icmp?.code], [VIP, 11, 0]);
      assert.equal(
        [quote?.at, quote?.src, quote?.dst, quote?.ttl, quote?.tcp?.sport],
        ['ip.quote', '198.18.0.2', VIP, 1, 40000],
      );
    });
  }
}

test.run();
