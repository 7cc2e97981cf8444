/** What a test says of either family alike: addresses, how segments lie in packets, and worlds. */
import { concat, endpoint, u16, u32 } from './bytes.js';
import { dissect, dissectTcp, type Tcp } from './dissect.js';
import { C, CLIENT_SIDE_ROUTER, LIP, R, SERVER_SIDE_ROUTER, V, VIP } from './flow.js';
import type { TcpFields } from './packet.js';
import * as p from './packet.js';
import * as q from './packet6.js';
import {
  BACK_MAC,
  FRONT_MAC,
  ROUTER_MAC,
  type ServiceWords,
  serverMac,
  type World,
  type WorldWords,
  world,
} from './world.js';
import { BACK6, CIP6, FRONT6, LIP6, RIP6, ROUTER6, VIPS } from './world6.js';
import { yamlWorld } from './yaml.js';

export interface FamilyWords {
  /** In names of tests. */
  name: string;
  C: string;
  V: string;
  VIP: string;
  R: string;
  /** Another server. */
  R2: string;
  LIP: string;
  clientSideRouter: string;
  serverSideRouter: string;
  /** Client n; C is 2's port 40000. */
  at(n: number, port: number): string;
  /** Of an IP header, and of the option that tells a server of its client. */
  headBytes: number;
  toaBytes: number;
  /** MSS that a cookie can tell, and that of a SYN which says none (RFC 9293 section 3.7.1). */
  classes: number[];
  usualMss: number;
  /** The least MTU that a port of the tests has. */
  leastMtu: number;
  world(words: WorldWords): World;
  tcp(fields: TcpFields): Uint8Array;
  toa(client: string): Uint8Array;
  /** The segment in a frame. */
  tcpOf(frame: Uint8Array | undefined): Tcp;
  /** IPv4's identification; 0 otherwise. */
  idOf(frame: Uint8Array | undefined): number;
  /** The error of a router about a packet that its next link had no room for. */
  tooBig(from: string, to: string, quote: Uint8Array): Uint8Array;
  /** Of a packet from `from` to `to`: what follows its header, in fragments of `size` bytes. */
  cut(from: string, to: string, l4: Uint8Array, size: number): Uint8Array[];
  /** What follows the header of a packet, or of a fragment. */
  l4Of(frame: Uint8Array, isFragment: boolean): Uint8Array;
  /** The segment in a packet that an error quotes, as far as it is there. */
  quotedOf(frame: Uint8Array | undefined): Tcp | undefined;
}

const four: FamilyWords = {
  name: '',
  ...{ C, V, VIP, R, LIP },
  R2: '198.51.100.12:8080',
  clientSideRouter: CLIENT_SIDE_ROUTER,
  serverSideRouter: SERVER_SIDE_ROUTER,
  at: (n, port) => `198.18.0.${n}:${port}`,
  headBytes: 20,
  toaBytes: 8,
  classes: [64, 536, 1220, 1300, 1380, 1440, 1460, 8960],
  usualMss: 536,
  leastMtu: 1000,
  world,
  tcp: p.tcp,
  toa: p.toa,
  tcpOf: (frame) => there(frame && dissect(frame).ip?.tcp),
  idOf: (frame) => (frame && dissect(frame).ip?.id) ?? 0,
  tooBig: (from, to, quote) => p.icmpError({ from, to, type: 3, code: 4, mtu: 1400, quote }),
  quotedOf: (frame) => frame && dissect(frame).ip?.icmp?.quote?.tcp,
  cut: (from, to, l4, size) =>
    starts(l4, size).map((start) => {
      const place = { mf: start + size < l4.length, fragmentOffset: start / 8, id: 77 };
      return p.ip({ from, to, ...place }, 6, l4.subarray(start, start + size));
    }),
  l4Of: (frame) => p.ipOf(frame).subarray(20),
};

function starts(l4: Uint8Array, size: number): number[] {
  return Array.from({ length: Math.ceil(l4.length / size) }, (_, n) => n * size);
}

const IP6 = 40;
const ICMP6 = 8;
const NOTHING = new Uint8Array();

const six: FamilyWords = {
  name: 'IPv6, ',
  C: `[${CIP6}]:40000`,
  V: `[${VIPS.nat}]:80`,
  VIP: VIPS.nat,
  R: `[${RIP6}]:8080`,
  R2: '[2001:db8:2::12]:8080',
  LIP: LIP6,
  clientSideRouter: '2001:db8:1::77',
  serverSideRouter: '2001:db8:2::99',
  at: (n, port) => `[2001:db8:c::${n}]:${port}`,
  headBytes: IP6,
  toaBytes: 20,
  classes: [64, 536, 1220, 1280, 1360, 1420, 1440, 8940],
  usualMss: 1220,
  leastMtu: 1280,
  world: sixWorld,
  tcp: ({ ttl, tos, id: _id, df: _df, ipOptions, ...fields }) =>
    q.tcp6({
      ...(fields as q.Tcp6Fields),
      ...(ttl === undefined ? {} : { hops: ttl }),
      ...(tos === undefined ? {} : { trafficClass: tos }),
      // Destination options: what IPv6 has in the place of IPv4's.
      ...(ipOptions ? { extensions: [{ kind: 60, body: Uint8Array.of(1, 4, 0, 0, 0, 0) }] } : {}),
    }),
  toa: q.toa6,
  tcpOf: (frame) => there(frame && dissectTcp(q.ip6Of(frame).subarray(IP6), NOTHING, false)),
  idOf: () => 0,
  tooBig: (from, to, quote) =>
    q.icmp6Error({ from, to, type: 2, rest: concat(u16(0), u16(1400)), quote }),
  quotedOf: (frame) =>
    frame && dissectTcp(q.ip6Of(frame).subarray(IP6 + ICMP6 + IP6), NOTHING, false),
  cut: (from, to, l4, size) =>
    starts(l4, size).map((start) => {
      const offset = u16(start | (start + size < l4.length ? 1 : 0));
      const extensions = [{ kind: 44, body: concat(offset, u32(77)) }];
      return q.ip6Frame({ from, to, extensions }, 6, l4.subarray(start, start + size));
    }),
  l4Of: (frame, isFragment) => q.ip6Of(frame).subarray(isFragment ? IP6 + 8 : IP6),
};

export const FAMILIES: FamilyWords[] = [four, six];
export const [FOUR, SIX] = [four, six];

function there(tcp: Tcp | undefined): Tcp {
  if (!tcp) throw new Error('no TCP');
  return tcp;
}

/** The way a user's configuration goes; `up` is the health checks' word. */
function sixWorld({ services, frontMtu = 1500, backMtu = 1500 }: WorldWords): World {
  const made = yamlWorld(`
director: { hugepages: false }
ports:
  - { name: front, mac: "${FRONT_MAC}", mtu: ${frontMtu}, addresses: ["${FRONT6}/64"] }
  - { name: back, mac: "${BACK_MAC}", mtu: ${backMtu}, addresses: ["${BACK6}/64"] }
routes:
  - { to: "::/0", via: "${ROUTER6}" }
neighbours:
  - { address: "${ROUTER6}", mac: "${ROUTER_MAC}", port: front }
  - { address: "2001:db8:2::11", mac: "${serverMac(1)}", port: back }
  - { address: "2001:db8:2::12", mac: "${serverMac(2)}", port: back }
services:
${services.map(yamlOf).join('\n')}
`);
  for (const [at, service] of services.entries()) {
    service.servers.forEach((one, index) => {
      const server = made.snapshot.services[at]?.servers[index];
      if (server && typeof one !== 'string' && one.up === false) server.up = false;
    });
  }
  return made;
}

function yamlOf({ listen, mode, locals = [], servers, synProxy = false }: ServiceWords): string {
  const words = {
    name: 'web',
    ...{ listen, mode, synProxy, scheduler: 'rr' },
    ...(locals.length > 0 ? { localAddresses: locals } : {}),
    servers: servers.map((one) => ({ address: typeof one === 'string' ? one : one.at })),
  };
  return `  - ${JSON.stringify(words)}`;
}

/** The address of `address:port`, of either family. */
export function addressOf(text: string): string {
  return text.startsWith('[') ? q.end6(text)[0] : endpoint(text)[0];
}
