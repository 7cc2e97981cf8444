// Which server a new connection gets: the order of many picks.

import type { Scenario, Step } from '../scene.js';
import type { OracleScheduler, Server, Service } from '../services.js';
import { SERVERS } from '../topology.js';
import { MODES, range, web } from './common.js';

const servers = (weights: number[]): Server[] =>
  weights.map((weight, index) => ({ name: SERVERS[index] ?? 'A', weight }));

const tcp = (scheduler: OracleScheduler, weights: number[], more: Partial<Service> = {}) => [
  {
    mode: 'dr' as const,
    protocol: 'tcp' as const,
    port: 80,
    scheduler,
    servers: servers(weights),
    ...more,
  },
];
const udp = (scheduler: OracleScheduler, weights: number[], more: Partial<Service> = {}) => [
  {
    mode: 'dr' as const,
    protocol: 'udp' as const,
    port: 53,
    scheduler,
    servers: servers(weights),
    ...more,
  },
];

const weightings = [
  [1],
  [1, 1],
  [1, 1, 1],
  [1, 3],
  [3, 1],
  [2, 4, 6],
  [5, 1, 1],
  [1, 0, 2],
  [0, 0, 1],
  [4, 3, 2, 1],
  [10, 7, 0, 7, 3],
  [100, 1, 50],
];

const LITTLE: readonly OracleScheduler[] = ['dh', 'fo', 'lblc', 'lblcr'];
/** Where the order says little. */
const few = [[1], [1, 1, 1], [1, 0, 2], [0, 0, 1], [4, 3, 2, 1], [10, 7, 0, 7, 3]];

const orders: Scenario[] = (
  ['rr', 'wrr', 'lc', 'wlc', 'dh', 'sed', 'nq', 'fo', 'ovf', 'lblc', 'lblcr'] as const
).flatMap((scheduler) =>
  (LITTLE.includes(scheduler) ? few : weightings).flatMap((weights) => [
    {
      say: `${scheduler} ${weights.join(',')}: order of 40 new TCP connections`,
      services: tcp(scheduler, weights),
      steps: (s) => [...range(40).map((host) => s.tcp('S', { host })), 'listing'],
    },
    {
      say: `${scheduler} ${weights.join(',')}: order of 20 new UDP flows`,
      services: udp(scheduler, weights),
      steps: (s) => [...range(20).map((host) => s.udp({ host })), 'listing'],
    },
  ]),
);

const leastConnections: Scenario[] = (
  ['lc', 'wlc', 'sed', 'nq', 'ovf', 'lblc', 'lblcr'] as const
).map((scheduler) => ({
  say: `${scheduler}: connections that close make room`,
  services: tcp(scheduler, [1, 2, 1]),
  steps: (s) => [
    ...range(8).flatMap((host) => [s.tcp('S', { host }), s.tcp('A', { host })]),
    ...[1, 4, 5].map((host) => s.tcp('FA', { host })),
    ...range(6, 20).map((host) => s.tcp('S', { host })),
    ...[2, 3].map((host) => s.tcp('R', { host })),
    ...range(6, 30).map((host) => s.tcp('S', { host })),
    'listing',
  ],
}));

const changes: [say: string, OracleScheduler, number[], number[]][] = [
  ['a server is added', 'rr', [1, 1], [1, 1, 1]],
  ['a server is added', 'wrr', [1, 3], [1, 3, 2]],
  ['the first server is removed', 'rr', [1, 1, 1], [-1, 1, 1]],
  ['the last server is removed', 'wrr', [2, 3, 1], [2, 3, -1]],
  ['a weight is raised', 'wrr', [1, 3], [2, 3]],
  ['a weight is set to 0', 'wrr', [3, 2, 1], [0, 2, 1]],
  ['a weight is set to 0', 'rr', [1, 1, 1], [1, 0, 1]],
  ['a server is added', 'wlc', [1, 1], [1, 1, 2]],
  ['a server is added', 'mh', [1, 1], [1, 1, 1]],
  ['a server is added', 'dh', [1, 1], [1, 1, 1]],
  ['the best server is drained', 'fo', [1, 3, 2], [1, 0, 2]],
  ['a server is added', 'sh', [1, 1], [1, 1, 1]],
  ['a server is added', 'lblc', [1, 1], [1, 1, 1]],
  ['the first server is removed', 'lblc', [1, 1, 1], [-1, 1, 1]],
  ['a weight is set to 0', 'lblc', [1, 1, 1], [1, 1, 0]],
  ['the last server is removed', 'lblcr', [1, 2, 1], [1, 2, -1]],
  ['a weight is set to 0', 'lblcr', [1, 1, 1], [1, 1, 0]],
];

const reloads: Scenario[] = changes.flatMap(([say, scheduler, before, after]) =>
  [3, 4].map((picks) => ({
    say: `${scheduler} ${before.join(',')} after ${picks} picks: ${say}`,
    services: tcp(scheduler, before),
    steps: (s): Step[] => [
      ...range(picks).map((host) => s.tcp('S', { host })),
      {
        services: tcp(scheduler, after, {
          servers: servers(after).filter((server) => (server.weight ?? 1) >= 0),
        }),
      },
      ...range(16, 40).map((host) => s.tcp('S', { host })),
      'listing',
    ],
  })),
);

const hashed: Scenario[] = (['sh', 'mh'] as const).flatMap((scheduler) =>
  [
    [1, 1],
    [1, 1, 1],
    [1, 2, 3],
    [1, 0, 1],
    [0, 0],
    [100, 201, 7],
  ].flatMap((weights) => [
    {
      say: `${scheduler} ${weights.join(',')}: 120 clients`,
      services: tcp(scheduler, weights),
      steps: (s) => range(120).map((host) => s.tcp('S', { host })),
    },
    {
      say: `${scheduler} ${weights.join(',')} with ports: 40 flows of 3 clients`,
      services: tcp(scheduler, weights, { schedulePort: true }),
      steps: (s) => range(40).map((at) => s.tcp('S', { host: 1 + (at % 3), sport: 1024 + at * 7 })),
    },
    {
      say: `${scheduler} ${weights.join(',')} with fallback: 60 clients`,
      services: tcp(scheduler, weights, { scheduleFallback: true }),
      steps: (s) => range(60).map((host) => s.tcp('S', { host })),
    },
  ]),
);

const others: Scenario[] = [
  ...(['sh', 'mh'] as const).map((scheduler) => ({
    say: `${scheduler} without ports: every flow of a client goes to one server`,
    services: tcp(scheduler, [1, 1, 1]),
    steps: (s: Parameters<Scenario['steps']>[0]) =>
      range(12).map((at) => s.tcp('S', { sport: 3000 + at * 11 })),
  })),
  {
    say: 'mh with mapped ports: 60 clients',
    services: web('nat', { scheduler: 'mh', servers: [{ name: 'A' }, { name: 'B', weight: 2 }] }),
    steps: (s) => range(60).map((host) => s.tcp('S', { host })),
  },
  ...MODES.map((mode) => ({
    say: `${mode} one-packet scheduling: each query is scheduled anew`,
    services: udp('rr', [1, 1], { mode, onePacket: true }),
    steps: (s: Parameters<Scenario['steps']>[0]) => [s.udp(), s.udp(), s.udp(), s.udp({ host: 2 })],
  })),
];

export const scheduling: Scenario[] = [
  ...orders,
  ...leastConnections,
  ...reloads,
  ...hashed,
  ...others,
];
