// Servers that are drained, removed and come back while they have connections.

import type { Scenario } from '../scene.js';
import { MODES, web } from './common.js';

const two = [{ name: 'A' as const }, { name: 'B' as const }];

const anyMode: Scenario[] = MODES.flatMap((mode) => [
  {
    say: `${mode}: a server drained by weight 0 keeps its connections and gets no new ones`,
    services: web(mode, { servers: two }),
    steps: (s) => [
      s.tcp('S'),
      s.tcp('S', { sport: 40001 }),
      s.udp(),
      s.udp({ sport: 40001 }),
      { services: web(mode, { servers: [{ name: 'A' }, { name: 'B', weight: 0 }] }) },
      s.tcp('A'),
      s.tcp('S'),
      s.tcp('A', { sport: 40001 }),
      s.udp(),
      s.tcp('S', { sport: 40002 }),
      s.tcp('S', { sport: 40003 }),
      s.udp({ sport: 40002 }),
      'listing',
    ],
  },
  {
    say: `${mode}: packets of a removed server's connections are dropped`,
    services: web(mode, { servers: two }),
    steps: (s) => [
      s.tcp('S'),
      s.tcp('S', { sport: 40001 }),
      s.udp(),
      s.udp({ sport: 40001 }),
      { services: web(mode, { servers: [{ name: 'A' }] }) },
      s.tcp('A'),
      s.tcp('S'),
      s.tcp('R'),
      s.udp(),
      s.tcp('A', { sport: 40001 }),
      s.udp({ sport: 40001 }),
      s.tcp('S', { sport: 40002 }),
      s.udp({ sport: 40002 }),
    ],
  },
  {
    say: `${mode}: the only server is removed and comes back`,
    services: web(mode),
    steps: (s) => [
      s.tcp('S'),
      s.tcp('A'),
      s.udp(),
      { services: web(mode, { servers: [] }) },
      s.tcp('A'),
      s.udp(),
      { services: web(mode) },
      s.tcp('A'),
      s.udp(),
      'listing',
    ],
  },
  {
    say: `${mode}: with resets asked for, a removed server's connection ends at once`,
    services: web(mode, { servers: two }),
    resetOnServerRemoved: true,
    steps: (s) => [
      s.tcp('S'),
      s.tcp('S', { sport: 40001 }),
      s.tcp('S', { sport: 40002 }),
      s.udp(),
      { services: web(mode, { servers: [{ name: 'A' }] }) },
      s.tcp('A', { seq: 5, ack: 6 }),
      s.tcp('A', { seq: 5, ack: 6 }),
      s.tcp('S', { sport: 40002 }),
      s.tcp('A', { sport: 40001 }),
      s.udp(),
      'listing',
    ],
  },
  {
    say: `${mode}: a service is removed while another one stays`,
    services: web(mode),
    steps: (s) => [
      s.tcp('S'),
      s.tcp('A'),
      s.udp(),
      { services: web(mode).slice(1) },
      s.tcp('A', { seq: 5, ack: 6 }),
      s.tcp('S', { sport: 40001 }),
      s.udp(),
    ],
  },
]);

const nat: Scenario[] = [
  {
    say: 'nat: a removed server still gets its replies and errors translated',
    services: web('nat', { servers: two }),
    steps: (s) => [
      s.tcp('S'),
      s.udp(),
      { services: web('nat', { servers: [{ name: 'A' }] }) },
      s.reply('SA', { server: 'B' }),
      s.udpReply({ server: 'B' }),
      s.error(s.asClientSees(), { type: 3, code: 4, mtu: 1400 }),
      s.serverError(s.asServerSees({}, 'B'), { type: 3, code: 3, server: 'B' }),
    ],
    differs: ['quoted-checksum'],
  },
];

export const removal: Scenario[] = [...anyMode, ...nat];
