/** The IPv6 world of the packet tests, as a director.yaml: a service a mode and protocol, TCP and UDP unless told. */
import { BACK, BACK_MAC, FRONT, FRONT_MAC, ROUTER_MAC, serverMac } from './world.js';

export const CIP6 = '2001:db8:c::2';
/** By mode, as their last word: nat, dr, tun, fullnat, tun to an IPv4 server. */
export const VIPS = {
  nat: '2001:db8:f::10',
  dr: '2001:db8:f::11',
  tun: '2001:db8:f::12',
  fullnat: '2001:db8:f::13',
  sixInFour: '2001:db8:f::14',
} as const;
export type Way = keyof typeof VIPS;
export const LIP6 = '2001:db8:2::200';
export const RIP6 = '2001:db8:2::11';
export const FRONT6 = '2001:db8:1::1';
export const BACK6 = '2001:db8:2::1';
export const ROUTER6 = '2001:db8:1::fe';
export const WAYS = Object.keys(VIPS) as Way[];

export interface World6 {
  backMtu?: number;
  partial?: boolean;
  servers?: number;
  scheduler?: string;
  protocols?: string[];
  more?: string;
}

export function yaml6({
  backMtu = 1500,
  partial = false,
  servers = 1,
  scheduler = 'rr',
  protocols = ['tcp', 'udp'],
  more = '',
}: World6 = {}): string {
  const list = (way: Way) =>
    Array.from({ length: servers }, (_, n) =>
      way === 'sixInFour' ? `198.51.100.${11 + n}:8080` : `[2001:db8:2::${11 + n}]:8080`,
    )
      .map((address) => `\n      - { address: "${address}" }`)
      .join('');
  return `
director: { hugepages: false }
ports:
  - { name: front, mac: "${FRONT_MAC}", addresses: [192.0.2.1/24, "${FRONT6}/64"], partialChecksums: ${partial} }
  - { name: back, mac: "${BACK_MAC}", mtu: ${backMtu}, addresses: [198.51.100.1/24, "${BACK6}/64"] }
routes:
  - { to: 0.0.0.0/0, via: 192.0.2.254 }
  - { to: "::/0", via: "${ROUTER6}" }
neighbours:
  - { address: 192.0.2.254, mac: "${ROUTER_MAC}", port: front }
  - { address: "${ROUTER6}", mac: "${ROUTER_MAC}", port: front }
${Array.from(
  { length: servers },
  (_, n) => `
  - { address: "2001:db8:2::${11 + n}", mac: "${serverMac(n + 1)}", port: back }
  - { address: 198.51.100.${11 + n}, mac: "${serverMac(n + 1)}", port: back }`,
).join('')}
services:
${WAYS.flatMap((way) =>
  protocols.map(
    (protocol) => `
  - name: ${way}-${protocol}
    listen: "[${VIPS[way]}]:80"
    protocol: ${protocol}
    mode: ${way === 'sixInFour' ? 'tun' : way}
    scheduler: ${scheduler}
    ${way === 'fullnat' ? `localAddresses: ["${LIP6}"]` : ''}
    ${more}
    servers:${list(way)}`,
  ),
).join('\n')}
`;
}

export { BACK, FRONT };
