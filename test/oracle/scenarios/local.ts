// What the virtual address itself answers, and what it is silent about.

import { nop, pattern } from '../../support/packet.js';
import type { Scenario } from '../scene.js';
import { FRONT } from '../topology.js';
import { MODES, web } from './common.js';

const anyMode: Scenario[] = MODES.flatMap((mode) => [
  {
    say: `${mode}: segments with ACK but without a connection are reset`,
    services: web(mode),
    steps: (s) => [
      s.tcp('A', { seq: 7, ack: 9 }),
      s.tcp('A', { seq: 7, ack: 9, tos: 0x2b, df: true, id: 5 }),
      s.tcp('PA', { seq: 7, ack: 0xffffffff, payload: 'hello' }),
      s.tcp('FA', { seq: 7, ack: 0 }),
      s.tcp('A', { seq: 7, ack: 9, ttl: 1 }),
      s.tcp('A', { seq: 7, ack: 9, ipOptions: [nop, nop, nop, nop] }),
      'listing',
    ],
  },
  {
    say: `${mode}: a reset without a connection is dropped`,
    services: web(mode),
    steps: (s) => [s.tcp('R'), s.tcp('RA'), s.tcp('RP', { payload: 'why' }), 'listing'],
  },
  {
    say: `${mode}: TCP and UDP services without any server answer port unreachable`,
    services: web(mode, { servers: [] }),
    steps: (s) => [
      s.tcp('S'),
      s.tcp('S', { tos: 0x2b, df: true }),
      s.tcp('S', { payload: pattern(700) }),
      s.tcp('SA'),
      s.tcp('A', { ack: 5 }),
      s.tcp('R'),
      s.udp(),
      s.udp({ payload: pattern(900), checksum: 'none' }),
      s.tcp('S', { ttl: 1 }),
      'listing',
    ],
  },
  {
    say: `${mode}: all servers at weight 0 count as none for new connections`,
    services: web(mode, {
      servers: [
        { name: 'A', weight: 0 },
        { name: 'B', weight: 0 },
      ],
    }),
    steps: (s) => [s.tcp('S'), s.udp(), s.udp({ tos: 0x15 }), 'listing'],
  },
  {
    say: `${mode}: a client whose source port is FTP's data port`,
    services: web(mode),
    steps: (s) => [s.tcp('S', { sport: 20 })],
    differs: ['ftp-data'],
  },
]);

const vip: Scenario[] = [
  {
    say: 'TCP to a port of the VIP without a service is reset',
    services: web('dr'),
    steps: (s) => [
      s.tcp('S', { dport: 81, seq: 77 }),
      s.tcp('S', { dport: 81, seq: 77, payload: 'abc' }),
      s.tcp('SF', { dport: 81, seq: 77 }),
      s.tcp('F', { dport: 81, seq: 0xffffffff }),
      s.tcp('', { dport: 81, seq: 5, payload: 'zz' }),
      s.tcp('SA', { dport: 81, seq: 5, ack: 44 }),
      s.tcp('A', { dport: 81, ack: 44, tos: 0x03 }),
      s.tcp('S', { dport: 81, ttl: 1, tos: 0xff }),
      s.tcp('R', { dport: 81 }),
      s.tcp('S', { dport: 53 }),
    ],
  },
  {
    say: 'TCP with a bad checksum to a port without a service is dropped',
    services: web('dr'),
    steps: (s) => [s.tcp('S', { dport: 81, checksum: 'bad' }), s.tcp('A', { checksum: 'bad' })],
  },
  {
    say: 'UDP to a port of the VIP without a service is answered with port unreachable',
    services: web('dr'),
    steps: (s) => [
      s.udp({ dport: 54 }),
      s.udp({ dport: 54, tos: 0x2c, df: true }),
      s.udp({ dport: 54, payload: pattern(1000) }),
      s.udp({ dport: 54, checksum: 'none' }),
      s.udp({ dport: 54, checksum: 'bad' }),
      s.udp({ dport: 54, ttl: 1 }),
      s.udp({ dport: 80 }),
    ],
  },
  {
    say: 'an echo request to the VIP is answered',
    services: web('dr'),
    steps: (s) => [
      s.icmp({ type: 8, rest: Uint8Array.of(0x12, 0x34, 0, 1), payload: 'ping' }),
      s.icmp({ type: 8, rest: Uint8Array.of(0x12, 0x34, 0, 2), payload: pattern(1472), df: true }),
      s.icmp({ type: 8, payload: 'ping', tos: 0x2b, ttl: 1 }),
      s.icmp({ type: 8, payload: '' }),
      s.icmp({ type: 8, payload: 'ping', checksum: 'bad' }),
      s.icmp({ type: 8, payload: 'ping', ipOptions: [Uint8Array.of(0x94, 4, 0, 0)] }),
    ],
  },
  {
    say: "ICMP the VIP doesn't answer: an echo reply",
    services: web('dr'),
    steps: (s) => [s.icmp({ type: 0, payload: 'pong' })],
  },
  {
    say: 'protocols that are neither TCP nor UDP nor ICMP are unreachable',
    services: web('dr'),
    steps: (s) => [
      s.ip(47, new Uint8Array(8)),
      s.ip(253, new Uint8Array(8)),
      s.ip(253, pattern(700), { ttl: 1, tos: 0x2b, df: true }),
    ],
  },
  {
    say: 'an ICMP timestamp request to the VIP',
    services: web('dr'),
    steps: (s) => [s.icmp({ type: 13, payload: new Uint8Array(12) })],
    differs: ['timestamp-request'],
  },
  {
    say: 'packets that no one may forward: bad header, bad length, martian source, wrong MAC',
    services: web('dr'),
    steps: (s) => [
      s.tcp('S', { ipChecksum: 'bad' }),
      s.tcp('S', { ihl: 4 }),
      s.tcp('S', { version: 5 }),
      s.tcp('S', { totalLength: 1000 }),
      s.tcp('S', { totalLength: 19 }),
      s.tcp('S', { totalLength: 30 }),
      s.udp({ totalLength: 24 }),
      s.from('127.0.0.1'),
      s.from('255.255.255.255'),
      s.from('224.0.0.5'),
      s.from('0.0.0.0'),
      s.from(s.vip),
      s.from(FRONT),
      s.tcp('S', { toMac: '02:00:00:00:09:09' }),
      'listing',
    ],
  },
  {
    say: 'a unicast packet in a broadcast frame',
    services: web('dr'),
    steps: (s) => [s.tcp('S', { toMac: 'ff:ff:ff:ff:ff:ff' }), 'listing'],
    differs: ['left-to-the-kernel'],
  },
  {
    say: 'a TCP data offset that cannot be',
    services: web('dr'),
    steps: (s) => [s.tcp('S', { doff: 4 }), s.tcp('S', { doff: 15 }), 'listing'],
    differs: ['malformed-transport'],
  },
  {
    say: 'a UDP length that cannot be',
    services: web('dr'),
    steps: (s) => [s.udp({ length: 255 }), s.udp({ length: 4 }), 'listing'],
    differs: ['malformed-transport'],
  },
  {
    say: 'a UDP length shorter than the packet',
    services: web('dr'),
    steps: (s) => [s.udp({ length: 9 }), 'listing'],
  },
];

export const local: Scenario[] = [...anyMode, ...vip];
