// Packets of connections on their way, in both directions.

import { nop, pattern } from '../../support/packet.js';
import type { Scenario } from '../scene.js';
import { MODES, web } from './common.js';

const tosValues = [0x00, 0x01, 0x02, 0x03, 0x28, 0x2b, 0xb8, 0xff];
const recordRoute = Uint8Array.of(7, 7, 4, 0, 0, 0, 0, 0);
const routerAlert = Uint8Array.of(0x94, 4, 0, 0);

const anyMode: Scenario[] = MODES.flatMap((mode) => [
  {
    say: `${mode}: a TCP connection is opened, used and closed by the client`,
    services: web(mode),
    statistics: true,
    steps: (s) => [
      s.tcp('S', { options: [Uint8Array.of(2, 4, 5, 180)] }),
      'listing',
      s.tcp('A', { seq: 1001, ack: 2001 }),
      'listing',
      s.tcp('PA', { seq: 1001, ack: 2001, payload: 'GET / HTTP/1.1' }),
      s.tcp('FA', { seq: 1015, ack: 2001 }),
      'listing',
      s.tcp('A', { seq: 1016, ack: 2002 }),
      'listing',
      s.tcp('S', { seq: 90000 }),
      'listing',
    ],
  },
  {
    say: `${mode}: the client resets an established connection, then tries to go on`,
    services: web(mode),
    steps: (s) => [
      s.tcp('S'),
      s.tcp('A'),
      s.tcp('R'),
      'listing',
      s.tcp('A'),
      'listing',
      s.tcp('S'),
      'listing',
    ],
  },
  {
    say: `${mode}: a client resets its connection before it is established`,
    services: web(mode),
    steps: (s) => [s.tcp('S'), s.tcp('R'), 'listing', s.tcp('S'), s.tcp('RA'), 'listing'],
  },
  {
    say: `${mode}: a SYN is sent again before it is answered`,
    services: web(mode, { servers: [{ name: 'A' }, { name: 'B' }] }),
    steps: (s) => [s.tcp('S'), s.tcp('S'), s.tcp('S', { sport: 40001 }), s.tcp('S'), 'listing'],
  },
  {
    say: `${mode}: a port is used again when its connection is closed, reset, or still closing`,
    services: web(mode, { servers: [{ name: 'A' }, { name: 'B' }, { name: 'C' }] }),
    statistics: true,
    steps: (s) => [
      ...['R', 'FA'].flatMap((end, host) => [
        s.tcp('S', { host }),
        s.tcp('A', { host }),
        s.tcp(end, { host }),
        s.tcp('S', { host }),
        'listing' as const,
        s.tcp('A', { host }),
        s.tcp('R', { host }),
        s.tcp('SA', { host }),
        'listing' as const,
      ]),
    ],
  },
  {
    say: `${mode}: UDP queries of one client`,
    services: web(mode),
    statistics: true,
    steps: (s) => [s.udp(), 'listing', s.udp({ payload: pattern(1200) }), s.udp({ payload: '' })],
  },
  {
    say: `${mode}: TOS and ECN values, on TCP and UDP`,
    services: web(mode),
    steps: (s) => [
      s.tcp('S'),
      ...tosValues.flatMap((tos) => [s.tcp('A', { tos }), s.udp({ tos, df: true })]),
    ],
  },
  {
    say: `${mode}: DF and IP identification are kept`,
    services: web(mode),
    steps: (s) => [
      s.tcp('S', { df: true, id: 0 }),
      s.tcp('A', { df: false, id: 0 }),
      s.tcp('A', { df: true, id: 0xffff }),
      s.tcp('A', { df: false, id: 0xffff }),
      s.udp({ df: true, id: 7 }),
    ],
  },
  {
    say: `${mode}: packets with a bad TCP or UDP checksum stay equally bad`,
    services: web(mode),
    steps: (s) => [
      s.tcp('S'),
      s.tcp('PA', { payload: 'data', checksum: 'bad' }),
      s.tcp('PA', { payload: 'data', checksum: 0 }),
      s.tcp('PA', { payload: 'data', checksum: 0xffff }),
      s.udp({ checksum: 'bad' }),
      s.udp({ checksum: 0xffff }),
    ],
  },
  {
    say: `${mode}: a UDP query without a checksum`,
    services: web(mode),
    steps: (s) => [
      s.udp({ checksum: 'none' }),
      s.udp({ checksum: 'none', payload: '' }),
      s.udp({ checksum: 'none', payload: 'odd' }),
    ],
  },
  {
    say: `${mode}: harmless IP options are kept`,
    services: web(mode),
    steps: (s) => [
      s.tcp('S', { ipOptions: [nop, nop, nop, nop] }),
      s.tcp('A', { ipOptions: [routerAlert] }),
      s.udp({ ipOptions: [routerAlert] }),
      s.udp({ ipOptions: [Uint8Array.of(0xde, 4, 1, 2)] }),
    ],
  },
  {
    say: `${mode}: a record-route option`,
    services: web(mode),
    steps: (s) => [s.tcp('S', { ipOptions: [recordRoute] })],
    differs: ['record-route'],
  },
  {
    say: `${mode}: a source-routed packet`,
    services: web(mode),
    steps: (s) => [
      s.tcp('S', { ipOptions: [Uint8Array.of(0x83, 7, 4, 198, 18, 60, 1)] }),
      'listing',
    ],
  },
  {
    say: `${mode}: TCP options of a client pass as they are`,
    services: web(mode),
    steps: (s) => [
      s.tcp('S', {
        options: [Uint8Array.of(2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7)],
      }),
      s.tcp('A', { options: [Uint8Array.of(254, 8, 0x12, 0x34, 203, 0, 113, 99)] }),
    ],
  },
  {
    say: `${mode}: full-size packets fit where the mode adds nothing`,
    services: web(mode),
    steps: (s) => [
      s.tcp('S'),
      s.tcp('A', { payload: pattern(mode === 'tun' ? 1440 : 1460), df: true }),
      s.tcp('A', { payload: pattern(mode === 'tun' ? 1440 : 1460) }),
      s.udp({ payload: pattern(mode === 'tun' ? 1452 : 1472), df: true }),
    ],
  },
  {
    say: `${mode}: Ethernet padding behind a short packet isn't forwarded`,
    services: web(mode),
    steps: (s) => [
      s.tcp('S', { trailer: new Uint8Array(6).fill(0xee) }),
      s.udp({ payload: 'x', trailer: new Uint8Array(17).fill(0xee) }),
    ],
  },
  {
    say: `${mode}: a TTL of 2 is still forwarded`,
    services: web(mode),
    steps: (s) => [s.tcp('S', { ttl: 2 }), s.udp({ ttl: 2 }), s.tcp('A', { ttl: 255 })],
  },
  {
    say: `${mode}: odd first segments that make a connection`,
    services: web(mode),
    steps: (s) => [
      s.tcp('SA', { sport: 41001 }),
      s.tcp('F', { sport: 41002 }),
      s.tcp('', { sport: 41003 }),
      s.tcp('SF', { sport: 41004 }),
      s.tcp('SR', { sport: 41005 }),
      s.tcp('SEC', { sport: 41006 }),
      s.tcp('SP', { sport: 41007, payload: 'fast open' }),
      'listing',
    ],
  },
  {
    say: `${mode}: a service whose servers are two: the connection stays where it is`,
    services: web(mode, { servers: [{ name: 'A' }, { name: 'B' }] }),
    steps: (s) => [
      s.tcp('S'),
      s.tcp('S', { sport: 40001 }),
      s.tcp('A'),
      s.tcp('A', { sport: 40001 }),
      s.udp(),
      s.udp({ sport: 40001 }),
      s.udp(),
      'listing',
    ],
  },
]);

const natOnly: Scenario[] = [
  {
    say: 'nat: both directions of a TCP connection, closed by the client',
    services: web('nat'),
    statistics: true,
    steps: (s) => [
      s.tcp('S'),
      s.reply('SA', { ack: 1001, options: [Uint8Array.of(2, 4, 5, 180)] }),
      'listing',
      s.tcp('A', { seq: 1001, ack: 1001 }),
      'listing',
      s.reply('PA', { payload: pattern(1460), df: true, tos: 0x2b, id: 9 }),
      s.tcp('FA'),
      'listing',
      s.reply('A'),
      'listing',
      s.reply('FA'),
      'listing',
      s.tcp('A'),
      'listing',
    ],
  },
  {
    say: 'nat: a TCP connection closed by the server',
    services: web('nat'),
    steps: (s) => [
      s.tcp('S'),
      s.reply('SA'),
      s.tcp('A'),
      s.reply('FA'),
      'listing',
      s.tcp('FA'),
      'listing',
      s.reply('A'),
      'listing',
    ],
  },
  {
    say: 'nat: the server refuses the connection',
    services: web('nat'),
    steps: (s) => [s.tcp('S'), s.reply('RA', { ack: 1001 }), 'listing', s.tcp('S'), 'listing'],
  },
  {
    say: 'nat: the server resets an established connection',
    services: web('nat'),
    steps: (s) => [
      s.tcp('S'),
      s.reply('SA'),
      s.tcp('A'),
      s.reply('R'),
      'listing',
      s.reply('A'),
      'listing',
    ],
  },
  {
    say: 'nat: UDP replies with right, bad and no checksum',
    services: web('nat'),
    statistics: true,
    steps: (s) => [
      s.udp(),
      s.udpReply(),
      s.udpReply({ checksum: 'bad' }),
      s.udpReply({ checksum: 'none' }),
      s.udpReply({ payload: pattern(1472), df: true }),
      'listing',
    ],
  },
  {
    say: 'nat: replies with a bad TCP checksum, options, small TTL',
    services: web('nat'),
    steps: (s) => [
      s.tcp('S'),
      s.reply('SA', { checksum: 'bad' }),
      s.reply('A', { ipOptions: [routerAlert] }),
      s.reply('A', { ttl: 2 }),
    ],
  },
  {
    say: 'nat: a reply whose TTL ends at the director',
    services: web('nat'),
    steps: (s) => [s.tcp('S'), s.reply('SA', { ttl: 1 }), s.udp(), s.udpReply({ ttl: 1 })],
  },
  {
    say: 'nat: one client port to two services of a server stays apart',
    services: web('nat'),
    steps: (s) => [
      s.tcp('S', { sport: 5000 }),
      s.udp({ sport: 5000 }),
      s.reply('SA', { dport: 5000 }),
      s.udpReply({ dport: 5000 }),
    ],
  },
  {
    say: "nat: packets of a server that belong to no connection aren't translated",
    services: web('nat'),
    steps: (s) => [
      s.tcp('S'),
      s.reply('A', { dport: 3 }),
      s.reply('A', { sport: 8081 }),
      s.reply('A', { server: 'B' }),
      s.udpReply(),
    ],
    differs: ['plain-forwarding'],
  },
];

/** Three services on one address, a mode each: nothing of one leaks into another. */
const together: Scenario[] = [
  {
    say: 'nat, dr and tun services side by side on one address',
    services: MODES.map((mode, at) => ({
      mode,
      protocol: 'tcp',
      port: 80 + at,
      servers: [{ name: 'A' }, { name: 'B' }],
    })),
    steps: (s) => [
      ...[80, 81, 82].flatMap((dport) => [
        s.tcp('S', { dport }),
        s.tcp('S', { dport, sport: 40001 }),
        s.tcp('A', { dport }),
      ]),
      s.reply('SA', { sport: 80, server: 'B' }),
      s.reply('SA', { sport: 80, dport: 40001, server: 'A' }),
      'listing',
    ],
    statistics: true,
  },
];

export const forwarding: Scenario[] = [...anyMode, ...natOnly, ...together];
