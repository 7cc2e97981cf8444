// The one network both directors are put into: same addresses, same MACs, same static neighbours.

import type { Topology } from './uml.js';

export const FRONT_MAC = '02:00:00:00:01:01';
export const BACK_MAC = '02:00:00:00:01:02';
export const GATEWAY = '192.0.2.254';
export const GATEWAY_MAC = '02:00:00:00:00:fe';
export const FRONT = '192.0.2.1';
export const BACK = '198.51.100.1';

/** Servers are called A, B, C …; from I on they are of tunnels by GRE and GUE. */
export const SERVERS = [
  ...(['A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M'] as const),
  ...(['N', 'O', 'P', 'Q', 'R', 'S'] as const),
] as const;
export type ServerName = (typeof SERVERS)[number];
export const serverAddress = (name: ServerName) => `198.51.100.${11 + SERVERS.indexOf(name)}`;
export const serverMac = (name: ServerName) => `02:00:00:00:02:${11 + SERVERS.indexOf(name)}`;

export const GATEWAY6 = '2001:db8:1::fe';
export const FRONT6 = '2001:db8:1::1';
export const BACK6 = '2001:db8:2::1';
export const serverAddress6 = (name: ServerName) => `2001:db8:2::${11 + SERVERS.indexOf(name)}`;

/** Each scenario has a virtual address and clients to itself: connections outlive a scenario. */
const CLIENTS_AT_MOST = 120;
export const vipOf = (scenario: number) => `198.19.${1 + (scenario >> 8)}.${scenario & 0xff}`;
export function clientOf(scenario: number, host: number): string {
  const at = scenario * CLIENTS_AT_MOST + host;
  if (host > CLIENTS_AT_MOST || at > 0x17fff) throw new Error('no client address left');
  const [network, first] = at > 0xffff ? ['198.19', 128] : ['198.18', 0];
  return `${network}.${first + ((at & 0xffff) >> 8)}.${at & 0xff}`;
}

/** IPv6 has room of its own: a /64 of clients a scenario. */
export const vip6Of = (scenario: number) => `2001:db8:f::${(scenario + 1).toString(16)}`;
export const client6Of = (scenario: number, host: number) =>
  `2001:db8:c:${(scenario + 1).toString(16)}::${host.toString(16)}`;

export const topology = {
  front: { mac: FRONT_MAC, address: `${FRONT}/24`, mtu: 1500 },
  back: { mac: BACK_MAC, address: `${BACK}/24`, mtu: 1500 },
  routes: [
    { to: '198.18.0.0/16', via: GATEWAY },
    { to: '198.19.128.0/17', via: GATEWAY },
  ],
  neighbours: [
    { address: GATEWAY, mac: GATEWAY_MAC, port: 'front' as const },
    ...SERVERS.map((name) => ({
      address: serverAddress(name),
      mac: serverMac(name),
      port: 'back' as const,
    })),
  ],
} satisfies Omit<Topology, 'vips' | 'six'>;

export const topology6 = {
  front: `${FRONT6}/64`,
  back: `${BACK6}/64`,
  routes: [{ to: '2001:db8:c::/48', via: GATEWAY6 }],
  neighbours: [
    { address: GATEWAY6, mac: GATEWAY_MAC, port: 'front' as const },
    ...SERVERS.map((name) => ({
      address: serverAddress6(name),
      mac: serverMac(name),
      port: 'back' as const,
    })),
  ],
} satisfies Omit<NonNullable<Topology['six']>, 'vips'>;
