// Persistent services: which server a client's later connections get, and the templates listed.

import type { Scenario, Scene, Step } from '../scene.js';
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

const sip = (persistence: Partial<Service['persistence']>, more: Partial<Service> = {}) =>
  web({
    protocol: 'udp',
    port: 5060,
    onePacket: true,
    persistence: { timeout: 300, engine: 'sip', ...persistence },
    ...more,
  });

const message = (s: Scene, host: number, sport: number, id: string, field = 'Call-ID: ') => {
  const head = 'INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9\r\n';
  return s.udp({ host, sport, dport: 5060, payload: `${head}${field}${id}\r\n\r\n` });
};

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
  ...MODES.flatMap((mode) =>
    [true, false].map(
      (onePacket): Scenario => ({
        say: `persistent ${mode} by Call-ID, ${onePacket ? 'each packet' : 'each flow'}`,
        services: [sip({}, { mode, onePacket })],
        statistics: true,
        steps: (s) => [
          ...range(3).flatMap((round) =>
            range(2).flatMap((host) =>
              ['a@x', 'b@x', 'c'].map((id, at) => message(s, host, 5060 + at + 10 * round, id)),
            ),
          ),
          message(s, 1, 5060, 'b@x'),
          'listing',
        ],
      }),
    ),
  ),
  {
    say: 'Call-IDs as they may be written, and packets that have none',
    services: [sip({})],
    steps: (s) => [
      ...['call-id: ', 'CALL-ID:', 'Call-ID \t:\t ', 'i: ', 'I:', 'Call-ID:\r\n '].map(
        (field, at) => message(s, 1, 5060 + at, 'same', field),
      ),
      message(s, 2, 5060, 'x'.repeat(255)),
      message(s, 2, 5060, 'x'.repeat(256)),
      message(s, 2, 5060, ''),
      message(s, 2, 5060, 'x@'),
      message(s, 2, 5060, 'x y'),
      message(s, 2, 5060, 'x', 'X-Call-ID: '),
      message(s, 2, 5060, 'x', 'Identity: '),
      ...['', '\r\n\r\n', 'Call-ID: x\r\n', 'X\r\nCall-ID: x'].map((payload) =>
        s.udp({ host: 3, dport: 5060, payload }),
      ),
      'listing',
    ],
  },
  ...['0.0.0.0', '255.255.255.252'].map(
    (netmask): Scenario => ({
      say: `by Call-ID, of clients that are one by netmask ${netmask}`,
      services: [sip({ netmask })],
      steps: (s) => [
        ...range(9).flatMap((host) => ['a', 'b'].map((id) => message(s, host, 5060, id))),
        'listing',
      ],
    }),
  ),
  {
    say: 'a netmask with holes',
    services: [web({ persistence: { timeout: 300, netmask: '255.0.255.0' } })],
    steps: (s) => [
      ...['198.77.0.5', '198.18.0.9', '198.77.1.5', '198.99.1.1', '199.77.0.5', '198.1.0.0'].map(
        (client) => s.from(client),
      ),
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
