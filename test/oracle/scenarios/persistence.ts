// Persistent services: which server a client's later connections get, and the templates listed.

import type { Scenario, Step } from '../scene.js';
import type { Service } from '../services.js';
import { MODES, range } from './common.js';

const web = (more: Partial<Service> = {}): Service => ({
  mode: 'dr',
  protocol: 'tcp',
  port: 80,
  scheduler: 'rr',
  persistence: { timeout: 300 },
  servers: [{ name: 'A' }, { name: 'B' }, { name: 'C' }],
  ...more,
});

const dns = (more: Partial<Service> = {}) => web({ protocol: 'udp', port: 53, ...more });

/** Each client comes three times, from other ports, in turn with the others. */
const visits = (syn: (host: number, sport: number) => Step): Step[] =>
  range(3).flatMap((round) => range(7).map((host) => syn(host, 40000 + round)));

export const persistence: Scenario[] = [
  ...MODES.map(
    (mode): Scenario => ({
      say: `persistent ${mode}: clients come back`,
      services: [web({ mode })],
      statistics: true,
      steps: (s) => [...visits((host, sport) => s.tcp('S', { host, sport })), 'listing'],
    }),
  ),
  {
    say: 'persistent UDP: clients come back',
    services: [dns()],
    steps: (s) => [...visits((host, sport) => s.udp({ host, sport })), 'listing'],
  },
  {
    say: 'persistent for networks: neighbours get the same server',
    services: [web({ persistence: { timeout: 300, netmask: '255.255.255.252' } })],
    steps: (s) => [...visits((host, sport) => s.tcp('S', { host, sport })), 'listing'],
  },
  {
    say: 'two persistent services of one address know nothing of one another',
    services: [
      web({ scheduler: 'wrr', servers: [{ name: 'A' }, { name: 'B', weight: 2 }] }),
      dns(),
    ],
    steps: (s) => [
      ...range(5).flatMap((host) => [
        s.tcp('S', { host }),
        s.udp({ host }),
        s.tcp('S', { host, sport: 41000 }),
        s.udp({ host, sport: 41000 }),
      ]),
      'listing',
    ],
  },
  {
    say: 'a server that drains keeps its persistent clients and gets no others',
    services: [web()],
    steps: (s) => [
      ...range(6).map((host) => s.tcp('S', { host })),
      { services: [web({ servers: [{ name: 'A', weight: 0 }, { name: 'B' }, { name: 'C' }] })] },
      ...range(12).map((host) => s.tcp('S', { host, sport: 41000 })),
      'listing',
    ],
  },
  {
    say: 'clients of a removed server are scheduled anew',
    services: [web()],
    steps: (s) => [
      ...range(6).map((host) => s.tcp('S', { host })),
      { services: [web({ servers: [{ name: 'B' }, { name: 'C' }] })] },
      ...range(6).map((host) => s.tcp('S', { host, sport: 41000 })),
      ...range(6).map((host) => s.tcp('S', { host, sport: 42000 })),
    ],
  },
  {
    say: 'established, closed, and back again',
    differs: ['template-assured'],
    services: [
      web({
        mode: 'nat',
        servers: [
          { name: 'A', port: 8080 },
          { name: 'B', port: 8080 },
        ],
      }),
    ],
    steps: (s) => [
      ...range(2).flatMap((host) => [
        s.tcp('S', { host }),
        s.reply('SA', { host, server: host === 1 ? 'B' : 'A' }),
        s.tcp('A', { host }),
        s.tcp('FA', { host }),
      ]),
      'listing',
      ...range(4).map((host) => s.tcp('S', { host, sport: 41000 })),
      'listing',
    ],
  },
];
