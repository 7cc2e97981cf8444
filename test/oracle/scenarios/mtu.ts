// Networks whose MTU is smaller than the packets, and what is counted when they don't pass.

import { pattern } from '../../support/packet.js';
import { fragments, type Scenario } from '../scene.js';
import type { OracleMode } from '../services.js';
import { MODES, web } from './common.js';

const requests: Scenario[] = MODES.flatMap((mode) => {
  const room = mode === 'tun' ? 1380 : 1400;
  return [
    {
      say: `${mode}: servers behind an MTU of 1400, packets with DF`,
      services: web(mode),
      mtu: { back: 1400 },
      statistics: true,
      steps: (s) => [
        s.tcp('S', { df: true }),
        s.tcp('A', { df: true, payload: pattern(room - 40) }),
        s.tcp('A', { df: true, payload: pattern(room - 39), tos: 0x2b }),
        s.tcp('A', { df: true, payload: pattern(1460) }),
        s.udp({ df: true, payload: pattern(room - 28) }),
        s.udp({ df: true, payload: pattern(room - 27) }),
        'listing',
      ],
      differs: mode === 'nat' ? [] : ['own-errors-not-counted'],
    },
    {
      say: `${mode}: servers behind an MTU of 1400, packets that may be fragmented`,
      services: web(mode),
      mtu: { back: 1400 },
      statistics: true,
      steps: (s) => [
        s.tcp('S'),
        s.tcp('A', { payload: pattern(room - 40) }),
        s.tcp('A', { payload: pattern(room - 39) }),
        s.udp({ payload: pattern(1472), tos: 0x2b, id: 0xabcd }),
        s.udp({ payload: pattern(1472), ipOptions: [Uint8Array.of(0x94, 4, 0, 0)] }),
      ],
    },
  ];
});

const replies: Scenario[] = [
  {
    say: 'nat: clients behind an MTU of 1400, replies with DF',
    services: web('nat'),
    mtu: { front: 1400 },
    statistics: true,
    steps: (s) => [
      s.tcp('S'),
      s.reply('SA'),
      s.reply('A', { df: true, payload: pattern(1360) }),
      s.reply('A', { df: true, payload: pattern(1361) }),
      s.udp(),
      s.udpReply({ df: true, payload: pattern(1472), tos: 0x28 }),
    ],
  },
  {
    say: 'nat: clients behind an MTU of 1400, replies that may be fragmented',
    services: web('nat'),
    mtu: { front: 1400 },
    statistics: true,
    steps: (s) => [
      s.tcp('S'),
      s.reply('A', { payload: pattern(1361) }),
      s.udp(),
      s.udpReply({ payload: pattern(1472), id: 0xabce }),
    ],
  },
];

type Steps = Scenario['steps'];
const counting: [what: string, steps: Steps][] = [
  ['no connection', (s) => [s.tcp('R'), s.tcp('A')]],
  [
    'a SYN that comes twice, padded',
    (s) => [s.tcp('S', { trailer: new Uint8Array(6) }), s.tcp('S')],
  ],
  ['a TTL that ends', (s) => [s.tcp('S'), s.tcp('A', { ttl: 1 })]],
  ['a TTL that ends in the first packet', (s) => [s.tcp('S', { ttl: 1 })]],
  ['an ICMP error', (s) => [s.tcp('S'), s.error(s.asClientSees(), { type: 3, code: 1 })]],
  ['IP options', (s) => [s.udp({ ipOptions: [Uint8Array.of(0x94, 4, 0, 0)] })]],
  ['fragments', (s) => fragments(s.udp({ payload: pattern(1900) }), 800)],
];

function countedDifferently(mode: OracleMode, what: string): string[] {
  if (mode === 'nat') return what === 'an ICMP error' ? ['quoted-checksum'] : [];
  return what.startsWith('a TTL') ? ['own-errors-not-counted'] : [];
}

const counted: Scenario[] = MODES.flatMap((mode) =>
  counting.map(([what, steps]) => ({
    say: `${mode}: statistics with ${what}`,
    services: web(mode),
    statistics: true,
    steps,
    differs: countedDifferently(mode, what),
  })),
);

const natCounted: Scenario[] = [
  {
    say: "nat: statistics with a server's errors and replies that end at the director",
    services: web('nat'),
    statistics: true,
    steps: (s) => [
      s.tcp('S'),
      s.reply('SA', { ttl: 1 }),
      s.serverError(s.asServerSees(), { type: 3, code: 1 }),
      s.udp(),
      ...fragments(s.udpReply({ payload: pattern(1900) }), 800),
    ],
    differs: ['quoted-checksum'],
  },
];

const drained: Scenario[] = MODES.map((mode) => ({
  say: `${mode}: statistics of a service without servers`,
  services: web(mode, { servers: [{ name: 'A', weight: 0 }] }),
  statistics: true,
  steps: (s) => [s.tcp('S'), s.udp()],
}));

export const mtuAndStatistics: Scenario[] = [
  ...requests,
  ...replies,
  ...counted,
  ...natCounted,
  ...drained,
];
