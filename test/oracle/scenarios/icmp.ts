// ICMP errors about connections, and the errors the director makes itself.

import { pattern } from '../../support/packet.js';
import type { Scenario } from '../scene.js';
import { BACK } from '../topology.js';
import { MODES, web } from './common.js';

const related: [what: string, type: number, code: number, mtu?: number][] = [
  ['net unreachable', 3, 0],
  ['host unreachable', 3, 1],
  ['port unreachable', 3, 3],
  ['fragmentation needed', 3, 4, 1400],
  ['administratively prohibited', 3, 13],
  ['source quench', 4, 0],
  ['time exceeded', 11, 0],
  ['reassembly time exceeded', 11, 1],
];

const alert = Uint8Array.of(0x94, 4, 0, 0);

const fromClients: Scenario[] = MODES.flatMap((mode) => [
  {
    say: `${mode}: ICMP errors about a reply, from a router before the client and from the client`,
    services: web(mode),
    steps: (s) => [
      s.tcp('S'),
      s.tcp('A'),
      s.udp(),
      ...related.flatMap(([, type, code, mtu]) => [
        s.error(s.asClientSees(), { type, code, mtu, tos: 0xc0 }),
        s.error(s.asClientSeesUdp(), { type, code, mtu, from: s.client() }),
      ]),
      'listing',
    ],
    differs: mode === 'nat' ? ['quoted-checksum'] : [],
  },
  {
    say: `${mode}: ICMP errors from the client's side that quote little, much, or a UDP checksum of 0`,
    services: web(mode),
    steps: (s) => [
      s.tcp('S'),
      s.udp(),
      s.error(s.asClientSees(), { type: 3, code: 1, quoteBytes: 28 }),
      s.error(s.asClientSees({ payload: pattern(500) }), { type: 3, code: 1 }),
      s.error(s.asClientSeesUdp({ checksum: 'none' }), { type: 3, code: 3 }),
      s.error(s.asClientSeesUdp(), { type: 3, code: 3, quoteBytes: 28 }),
      s.error(s.asClientSees({ ttl: 1, tos: 0x2b, df: true, id: 3 }), { type: 11, code: 0 }),
    ],
    differs: mode === 'nat' ? ['quoted-checksum'] : [],
  },
  {
    say: `${mode}: ICMP errors with IP options, around or inside the quote, or TOS and ID of their own`,
    services: web(mode),
    steps: (s) => [
      s.tcp('S'),
      s.udp(),
      s.error(s.asClientSees({ ipOptions: [alert] }), { type: 3, code: 1 }),
      s.error(s.asClientSeesUdp({ ipOptions: [alert] }), { type: 3, code: 3, quoteBytes: 32 }),
      s.error(s.asClientSees(), { type: 3, code: 1, ipOptions: [alert] }),
      s.error(s.asClientSees(), { type: 3, code: 1, tos: 0x2b, id: 0, df: true }),
      s.error(s.asClientSees({ checksum: 'bad' }), { type: 11, code: 0 }),
    ],
    differs: mode === 'nat' ? ['quoted-checksum'] : [],
  },
  {
    say: `${mode}: redirect and parameter problem to the VIP lead nowhere`,
    services: web(mode),
    steps: (s) => [
      s.tcp('S'),
      s.error(s.asClientSees(), { type: 5, code: 1 }),
      s.error(s.asClientSees(), { type: 12, code: 0 }),
    ],
  },
  {
    say: `${mode}: an ICMP error whose own TTL ends, or whose checksum is bad`,
    services: web(mode),
    steps: (s) => [
      s.tcp('S'),
      s.error(s.asClientSees(), { type: 3, code: 1, ttl: 1 }),
      s.error(s.asClientSees(), { type: 3, code: 1, checksum: 'bad' }),
    ],
  },
  {
    say: `${mode}: an ICMP error about a flow that isn't known`,
    services: web(mode),
    steps: (s) => [
      s.error(s.asClientSees(), { type: 3, code: 4, mtu: 1400 }),
      s.error(s.asClientSeesUdp(), { type: 3, code: 3 }),
      s.error(s.asClientSees(), { type: 3, code: 4, mtu: 1400, quoteBytes: 20 }),
    ],
  },
  {
    say: `${mode}: TTL 1 arrives for a connection and for a new one`,
    services: web(mode),
    steps: (s) => [
      s.tcp('S', { ttl: 1 }),
      'listing',
      s.tcp('A', { ttl: 1, tos: 0x2b, df: true }),
      s.tcp('PA', { ttl: 1, payload: pattern(600), tos: 0x28 }),
      s.tcp('A', { ttl: 0 }),
      s.udp({ ttl: 1, tos: 0xff }),
      s.udp({ ttl: 1, payload: pattern(520), checksum: 'none' }),
      s.udp({ ttl: 1, ipOptions: [Uint8Array.of(0x94, 4, 0, 0)] }),
      'listing',
    ],
  },
]);

const fromServers: Scenario[] = [
  {
    say: "nat: ICMP errors from a server and from a router on the servers' side",
    services: web('nat'),
    steps: (s) => [
      s.tcp('S'),
      s.udp(),
      ...related.flatMap(([, type, code, mtu]) => [
        s.serverError(s.asServerSees(), { type, code, mtu, tos: 0xc0 }),
        s.serverError(s.asServerSeesUdp(), { type, code, mtu, server: 'C' }),
      ]),
      'listing',
    ],
    differs: ['quoted-checksum'],
  },
  {
    say: "nat: errors from the servers' side that quote little or much",
    services: web('nat'),
    steps: (s) => [
      s.tcp('S'),
      s.udp(),
      s.serverError(s.asServerSees(), { type: 3, code: 1, quoteBytes: 28 }),
      s.serverError(s.asServerSees({ payload: pattern(500) }), { type: 3, code: 1 }),
      s.serverError(s.asServerSeesUdp({ checksum: 'none' }), { type: 3, code: 3 }),
      s.serverError(s.asServerSees(), { type: 11, code: 0, ttl: 1 }),
    ],
    differs: ['quoted-checksum'],
  },
  {
    say: "nat: errors from the servers' side about no connection, and redirects",
    services: web('nat'),
    steps: (s) => [
      s.serverError(s.asServerSees(), { type: 3, code: 3 }),
      s.tcp('S'),
      s.serverError(s.asServerSees(), { type: 5, code: 1 }),
    ],
    differs: ['plain-forwarding'],
  },
];

const tunnel: Scenario[] = [
  {
    say: 'tun: with DF, what does not fit the tunnel is answered with fragmentation needed',
    services: web('tun'),
    steps: (s) => [
      s.tcp('S', { df: true }),
      s.tcp('A', { df: true, payload: pattern(1440) }),
      s.tcp('A', { df: true, payload: pattern(1441) }),
      s.tcp('A', { df: true, payload: pattern(1460), tos: 0x28 }),
      s.udp({ df: true, payload: pattern(1452) }),
      s.udp({ df: true, payload: pattern(1453), checksum: 'none' }),
      s.udp({ df: true, payload: pattern(1472), ipOptions: [] }),
      'listing',
    ],
  },
  {
    say: 'tun: without DF, the outer packet is fragmented',
    services: web('tun'),
    steps: (s) => [
      s.tcp('S'),
      s.tcp('A', { payload: pattern(1441) }),
      s.tcp('A', { payload: pattern(1460), tos: 0x2b }),
      s.udp({ payload: pattern(1453) }),
      s.udp({ payload: pattern(1472) }),
    ],
  },
  {
    say: 'tun: an ICMP error about the outer packet becomes one for the client',
    services: web('tun', { servers: [{ name: 'F' }] }),
    steps: (s) => {
      const outer = (length: number) => s.tunnelled(s.tcp('A', { payload: pattern(length) }), 'F');
      return [
        s.tcp('S'),
        s.serverError(outer(10), { type: 3, code: 3, to: BACK, server: 'F' }),
        s.serverError(outer(400), { type: 3, code: 1, to: BACK, server: 'F' }),
        s.serverError(outer(10), { type: 11, code: 0, to: BACK, server: 'G' }),
        s.serverError(outer(10), { type: 3, code: 13, to: BACK, server: 'F', tos: 0xc0 }),
        'listing',
      ];
    },
  },
  {
    say: "tun: an ICMP error whose quote ends before the inner packet's ports",
    services: web('tun'),
    steps: (s) => [
      s.tcp('S'),
      s.serverError(s.tunnelled(s.tcp('A'), 'A'), { type: 3, code: 1, to: BACK, quoteBytes: 28 }),
    ],
    differs: ['left-to-the-kernel'],
  },
  {
    say: 'tun: fragmentation needed on the way to the server is told to the client',
    services: web('tun', { servers: [{ name: 'G' }] }),
    steps: (s) => [
      s.tcp('S'),
      s.serverError(s.tunnelled(s.tcp('A', { payload: pattern(1400), df: true }), 'G', true), {
        type: 3,
        code: 4,
        mtu: 1400,
        to: BACK,
        server: 'G',
      }),
      s.tcp('A', { payload: pattern(1400), df: true }),
    ],
    differs: ['tunnel-path-mtu'],
  },
];

export const icmpErrors: Scenario[] = [...fromClients, ...fromServers, ...tunnel];
