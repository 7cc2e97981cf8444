// IPv6: the ways of forwarding.ts, icmp.ts, removal.ts, fragments.ts and persistence.ts, one each.

import { pattern } from '../../support/packet.js';
import type { Scenario } from '../scene.js';
import { fragments6, type Scenario6, six } from '../scene6.js';
import type { Service } from '../services.js';
import { MODES, web } from './common.js';

const TCP: Pick<Service, 'protocol' | 'port'> = { protocol: 'tcp', port: 80 };

const anyMode: Scenario6[] = MODES.flatMap((mode): Scenario6[] => [
  {
    say: `${mode}: a TCP connection is opened, used and closed by the client`,
    services: web(mode),
    statistics: true,
    steps: (s) => [
      s.tcp6('S', { trafficClass: 0x28, flow: 0x12345, hops: 61 }),
      'listing',
      s.tcp6('S'),
      s.tcp6('A', { seq: 1001, ack: 2001 }),
      'listing',
      s.tcp6('PA', { seq: 1001, ack: 2001, payload: 'GET / HTTP/1.1', trafficClass: 3 }),
      s.tcp6('FA', { seq: 1015, ack: 2001 }),
      'listing',
      s.tcp6('A', { seq: 1016, ack: 2002 }),
      s.tcp6('S', { seq: 90000 }),
      'listing',
    ],
  },
  {
    say: `${mode}: a client resets, then tries to go on`,
    services: web(mode),
    steps: (s) => [
      s.tcp6('S'),
      s.tcp6('A'),
      s.tcp6('R'),
      'listing',
      s.tcp6('A'),
      s.tcp6('S', { host: 2 }),
      s.tcp6('R', { host: 2 }),
      'listing',
    ],
  },
  {
    say: `${mode}: segments without a connection`,
    services: web(mode),
    steps: (s) => [
      ...['A', 'PA', 'FA', 'R', 'RA', 'SA'].map((flags, host) =>
        s.tcp6(flags, { host: host + 1, ack: 77 }),
      ),
      s.tcp6('S', { dport: 81 }),
      s.udp6({ dport: 54 }),
      'listing',
    ],
  },
  {
    say: `${mode}: UDP, several clients and servers`,
    services: web(mode, { servers: [{ name: 'A' }, { name: 'B' }, { name: 'C' }] }),
    statistics: true,
    steps: (s) => [
      ...[1, 2, 3, 4, 1, 2].map((host) => s.udp6({ host, payload: pattern(10 * host) })),
      s.udp6({ host: 5, payload: '' }),
      'listing',
    ],
  },
  {
    say: `${mode}: a hop limit that ends here, and one that ends behind`,
    services: web(mode),
    steps: (s) => [
      s.udp6({ hops: 1 }),
      s.udp6({ hops: 2 }),
      s.tcp6('S', { hops: 1, host: 2 }),
      s.tcp6('S', { hops: 2, host: 2 }),
    ],
  },
  {
    say: `${mode}: weight 0 drains, a server that is removed is missed, one that is back is found`,
    services: web(mode, { servers: [{ name: 'A' }] }),
    steps: (s) => [
      s.tcp6('S'),
      s.tcp6('A'),
      s.udp6(),
      { services: web(mode, { servers: [{ name: 'A', weight: 0 }] }) },
      s.tcp6('A'),
      s.udp6(),
      s.tcp6('S', { host: 2 }),
      s.udp6({ host: 2 }),
      { services: web(mode, { servers: [{ name: 'B' }] }) },
      s.tcp6('A'),
      s.udp6(),
      s.tcp6('S', { host: 3 }),
      { services: web(mode, { servers: [{ name: 'A' }, { name: 'B' }] }) },
      s.tcp6('A'),
      s.udp6(),
      'listing',
    ],
  },
  {
    say: `${mode}: a removed server's connections are reset when that is wanted`,
    services: web(mode, { servers: [{ name: 'A' }, { name: 'B' }] }),
    resetOnServerRemoved: true,
    steps: (s) => [
      s.tcp6('S'),
      s.tcp6('A'),
      s.udp6(),
      { services: web(mode, { servers: [{ name: 'C' }] }) },
      s.tcp6('A'),
      s.udp6(),
      s.tcp6('S', { sport: 40002 }),
      'listing',
    ],
  },
  {
    say: `${mode}: a datagram in fragments, in order and not`,
    services: web(mode),
    ...(mode === 'tun' && { differs: ['tunnel-fragments-ipv6'] }),
    steps: (s) => {
      const parts = fragments6(s.udp6({ payload: pattern(2000) }), 1232);
      const others = fragments6(s.udp6({ host: 2, payload: pattern(1500) }), 800);
      return [...parts, ...others.reverse(), 'listing'];
    },
  },
  {
    say: `${mode}: larger than the MTU behind`,
    services: web(mode),
    mtu: { back: 1400 },
    steps: (s) => [
      s.udp6({ payload: pattern(1300) }),
      s.udp6({ payload: pattern(1380) }),
      s.tcp6('S', { host: 2 }),
      s.tcp6('PA', { host: 2, payload: pattern(1340) }),
      s.tcp6('PA', { host: 2, payload: pattern(1341) }),
      s.tcp6('PA', { host: 2, payload: pattern(1400) }),
    ],
  },
  {
    say: `${mode}: a persistent client keeps its server, its network alike`,
    services: [
      {
        mode,
        ...TCP,
        persistence: { timeout: 300, netmask: '64' },
        servers: [{ name: 'A' }, { name: 'B' }, { name: 'C' }],
      },
    ],
    steps: (s) => [
      s.tcp6('S', { host: 1 }),
      s.tcp6('S', { host: 1, sport: 40001 }),
      s.tcp6('S', { host: 2 }),
      s.tcp6('S', { host: 3, sport: 40001 }),
    ],
  },
  {
    say: `${mode}: a service for any port, of a persistent client`,
    services: [
      {
        mode,
        protocol: 'tcp',
        port: 0,
        persistence: { timeout: 300 },
        servers: [{ name: 'A' }, { name: 'B' }],
      },
    ],
    steps: (s) => [
      s.tcp6('S', { dport: 22 }),
      s.tcp6('S', { dport: 443 }),
      s.tcp6('S', { host: 2, dport: 443 }),
      s.tcp6('S', { host: 2, dport: 22 }),
    ],
  },
]);

const nat: Scenario6[] = [
  {
    say: 'nat: both directions of a TCP connection that the server closes',
    services: web('nat'),
    statistics: true,
    steps: (s) => [
      s.tcp6('S'),
      s.reply6('SA', { ack: 1001, hops: 62, trafficClass: 0x2b, flow: 0xabcde }),
      'listing',
      s.tcp6('A', { seq: 1001, ack: 2001 }),
      'listing',
      s.tcp6('PA', { seq: 1001, ack: 2001, payload: pattern(700) }),
      s.reply6('PA', { seq: 2001, ack: 1701, payload: pattern(1400) }),
      s.reply6('FA', { seq: 3401, ack: 1701 }),
      'listing',
      s.tcp6('A', { seq: 1701, ack: 3402 }),
      s.tcp6('FA', { seq: 1701, ack: 3402 }),
      s.reply6('A', { seq: 3402, ack: 1702 }),
      'listing',
    ],
  },
  {
    say: 'nat: the server refuses, and resets an established connection',
    services: web('nat'),
    steps: (s) => [
      s.tcp6('S'),
      s.reply6('RA', { ack: 1001 }),
      'listing',
      s.tcp6('S', { host: 2 }),
      s.reply6('SA', { host: 2, ack: 1001 }),
      s.tcp6('A', { host: 2 }),
      s.reply6('R', { host: 2 }),
      'listing',
    ],
  },
  {
    say: 'nat: UDP answers, one with its hop limit at an end',
    services: web('nat'),
    steps: (s) => [
      s.udp6(),
      s.udpReply6(),
      s.udpReply6({ payload: pattern(1000) }),
      s.udpReply6({ hops: 1 }),
      'listing',
    ],
  },
  {
    say: 'nat: a reply larger than the MTU in front',
    services: web('nat'),
    mtu: { front: 1400 },
    steps: (s) => [
      s.udp6(),
      s.udpReply6({ payload: pattern(1300) }),
      s.udpReply6({ payload: pattern(1380) }),
    ],
  },
  {
    say: 'nat: a reply in fragments',
    services: web('nat'),
    steps: (s) => [
      s.udp6(),
      ...fragments6(s.udpReply6({ payload: pattern(2500) }), 1232),
      'listing',
    ],
  },
];

const errors: Scenario6[] = [
  ...[
    { is: 'no route', type: 1, code: 0 },
    { is: 'port unreachable', type: 1, code: 4 },
    { is: 'packet too big', type: 2, code: 0, mtu: 1400 },
    { is: 'time exceeded', type: 3, code: 0 },
    { is: 'parameter problem', type: 4, code: 0 },
  ].flatMap(({ is, ...fields }): Scenario6[] => [
    {
      say: `nat: ${is} from a server about a request`,
      services: web('nat'),
      differs: ['server-errors-ipv6'],
      steps: (s) => [
        s.tcp6('S'),
        s.serverError6(s.asServerSees6(), fields),
        s.udp6(),
        s.serverError6(s.asServerSeesUdp6(), fields),
        'listing',
      ],
    },
    {
      say: `nat: ${is} from the client's side about a reply`,
      services: web('nat'),
      differs: ['quoted-checksum-ipv6'],
      steps: (s) => [
        s.tcp6('S'),
        s.error6(s.asClientSees6(), fields),
        s.udp6(),
        s.error6(s.asClientSeesUdp6(), fields),
        'listing',
      ],
    },
  ]),
  ...(['dr', 'tun'] as const).map(
    (mode): Scenario6 => ({
      say: `${mode}: errors from the client's side about replies, which the server is to have`,
      services: web(mode),
      steps: (s) => [
        s.tcp6('S'),
        s.error6(s.asClientSees6(), { type: 1, code: 4 }),
        s.error6(s.asClientSees6(), { type: 2, code: 0, mtu: 1400 }),
        s.udp6(),
        s.error6(s.asClientSeesUdp6(), { type: 3, code: 0 }),
      ],
    }),
  ),
  {
    say: 'an error about a flow that nobody knows, and an echo request',
    services: web('nat'),
    steps: (s) => [
      s.error6(s.asClientSees6(), { type: 1, code: 4 }),
      s.icmp6({ type: 128, rest: Uint8Array.of(0, 1, 0, 2), payload: pattern(100) }),
    ],
  },
];

export const sixes: Scenario[] = [...anyMode, ...nat, ...errors].map(six);
