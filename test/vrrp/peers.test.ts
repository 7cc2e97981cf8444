/** Whose MAC a frame to a unicast peer is sent to. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nextHopOf } from '../../src/vrrp/peers.js';

/** As the kernel writes it: little-endian numbers in hexadecimal, tabs and blanks. */
const route = (to: string, via: string, mask: string, flags: string) => {
  const hex = (address: string) =>
    Buffer.from(address.split('.').map(Number)).reverse().toString('hex').toUpperCase();
  return `slfront\t${hex(to)}\t${hex(via)}\t${flags}\t0\t0\t0\t${hex(mask)}\t0\t0\t0  `;
};
const NONE = '0.0.0.0';
const HEAD = 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT';
const TABLE = [
  HEAD,
  route(NONE, '192.0.2.254', NONE, '0003'),
  route('192.0.2.0', NONE, '255.255.255.0', '0001'),
  route('203.0.113.0', '192.0.2.253', '255.255.255.0', '0003'),
  route('203.0.113.128', '192.0.2.252', '255.255.255.128', '0003'),
  route('198.51.100.0', '192.0.2.251', '255.255.255.0', '0002'),
  '',
].join('\n');

for (const [peer, via, why] of [
  ['192.0.2.2', '192.0.2.2', 'on the link'],
  ['203.0.113.9', '192.0.2.253', 'behind a router'],
  ['203.0.113.200', '192.0.2.252', 'the longest prefix counts'],
  ['198.51.100.7', '192.0.2.254', 'a route that is down does not'],
  ['198.18.0.1', '192.0.2.254', 'the default route, its first bit set'],
] as const) {
  test(`${peer}: ${why}`, () => assert.is(nextHopOf(peer, TABLE), via));
}

test('without a route it is asked for itself', () => {
  assert.is(nextHopOf('192.0.2.2', `${HEAD}\n`), '192.0.2.2');
});

test.run();
