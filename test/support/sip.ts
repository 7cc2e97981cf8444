/** A service for SIP calls in both families, and the datagrams of its clients. */
import * as p from './packet.js';
import * as q from './packet6.js';
import type { Arriving } from './replay.js';
import { fromFront } from './table.js';
import { serverAddress, TWO_FAMILIES } from './world.js';

const LIP = '198.51.100.200';
const LIP6 = '2001:db8:2::200';

export interface Words {
  mode?: 'nat' | 'dr' | 'fullnat';
  timeout?: string;
  netmask?: string | number;
  onePacket?: boolean;
  /** For a mark in place of an address. */
  mark?: boolean;
}

/** Of both families, by what differs: how addresses and packets look. */
export const FAMILIES = {
  IPv4: {
    vip: '203.0.113.10',
    client: (network: number, host: number, port: number) => `198.18.${network}.${host}:${port}`,
    server: (n: number) => `${serverAddress(n)}:5060`,
    udp: p.udp,
    tcp: p.tcp,
    everybody: '0.0.0.0' as string | number,
    near: '255.255.255.0' as string | number,
    local: LIP,
  },
  IPv6: {
    vip: '2001:db8:1::10',
    client: (network: number, host: number, port: number) =>
      `[2001:db8:c:${network}::${host}]:${port}`,
    server: (n: number) => `[2001:db8:2::${10 + n}]:5060`,
    udp: q.udp6,
    tcp: q.tcp6,
    everybody: 1,
    near: 64,
    local: LIP6,
  },
};
export type FamilyName = keyof typeof FAMILIES;
export const NAMES = Object.keys(FAMILIES) as FamilyName[];
export const virtual = (name: FamilyName) =>
  name === 'IPv6' ? `[${FAMILIES[name].vip}]:5060` : `${FAMILIES[name].vip}:5060`;

export function yaml(name: FamilyName, words: Words): string {
  const { server, local, vip } = FAMILIES[name];
  const { mode = 'dr', timeout = '60s', netmask, onePacket = false, mark = false } = words;
  const servers = [1, 2, 3].map((n) => `{ address: "${server(n)}" }`).join(', ');
  const end = mark
    ? `mark: 5\n    family: ${name.toLowerCase()}`
    : `listen: "${virtual(name)}"\n    protocol: udp`;
  return `
director: { hugepages: false }
${TWO_FAMILIES}
${mark ? `marks: [{ mark: 5, to: "${vip}" }]` : ''}
services:
  - name: calls
    ${end}
    mode: ${mode}
    scheduler: rr
    onePacket: ${onePacket}
    ${mode === 'fullnat' ? `localAddresses: ["${local}"]` : ''}
    persistence: { timeout: ${timeout}, engine: sip${netmask === undefined ? '' : `, netmask: ${netmask}`} }
    servers: [${servers}]
`;
}

export const message = (id: string, field = 'Call-ID: ') =>
  `INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9\r\n${field}${id}\r\nContent-Length: 0\r\n\r\n`;

export function datagram(name: FamilyName, from: string, payload: string): Arriving {
  return fromFront(FAMILIES[name].udp({ from, to: virtual(name), payload }));
}
