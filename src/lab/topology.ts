/**
 * The lab's network. Only documentation and benchmark addresses (RFC 5737, RFC 2544), and only in
 * namespaces of its own:
 *
 *   client ── router ──┬── front switch ── director f0
 *   198.18.0.2         │   192.0.2.0/24             b0
 *                      │                             │
 *                      └───── back switch ───────────┴── rs1 rs2 rs3
 *                             198.51.100.0/24            198.51.100.11 … (and .21 … for NAT)
 *
 * Requests to 203.0.113.0/24 go from the router to the director. A real server's default route is
 * the router, so that DR, TUN and ENAT replies pass the director by, and FullNAT's come back only
 * because they are addressed to it. NAT needs the director as the gateway: each server has a second
 * address for that, with a routing rule of its own.
 *
 * The shape `direct` leaves out what a benchmark would only dilute its figures with: the client is
 * its own router, and its interface c0 and the director's f0 are the two ends of one cable.
 */
import { LabError } from './command.js';
import type { Namespace } from './namespace.js';

export const CLIENT = '198.18.0.2';
export const ROUTER = { client: '198.18.0.1', front: '192.0.2.254', back: '198.51.100.254' };
export const VIP_NETWORK = '203.0.113.0/24';
export const FRONT_PREFIX = 24;
export const BACK_PREFIX = 24;

export type ModeName = 'nat' | 'dr' | 'tun' | 'fullnat' | 'enat';

/** One VIP a mode. */
export const VIP: Record<ModeName, string> = {
  nat: '203.0.113.10',
  dr: '203.0.113.20',
  tun: '203.0.113.30',
  fullnat: '203.0.113.40',
  enat: '203.0.113.50',
};

export const LOCAL_ADDRESSES = ['198.51.100.200', '198.51.100.201'];

/** Number `n` counts from 1, for directors and real servers alike. */
export const directorFront = (n: number) => `192.0.2.${n}`;
export const directorBack = (n: number) => `198.51.100.${n}`;
export const realServer = (n: number) => `198.51.100.${10 + n}`;
export const natServer = (n: number) => `198.51.100.${20 + n}`;

export const directorMac = (n: number, port: 'front' | 'back') =>
  `02:00:00:00:0${n}:${port === 'front' ? '01' : '02'}`;

const NAT_TABLE = 100;

export interface TopologyOptions {
  shape: 'routed' | 'direct';
  realServers: number;
  directors: number;
  /** Addresses the real servers have on lo for DR and TUN, with ARP kept silent. */
  loopbackVips: string[];
  /**
   * `partial`: frames of the client and the servers reach the director as a local kernel hands them
   * on, with the checksum left to an interface that never computes it. `full`: as from a wire.
   */
  checksums: 'full' | 'partial';
}

export interface Namespaces {
  client: Namespace;
  /** The client itself in a direct lab. */
  router: Namespace;
  switch: Namespace;
  directors: Namespace[];
  realServers: Namespace[];
}

/**
 * A veth pair between two namespaces. Segmentation and receive merging are off everywhere: frames
 * larger than the MTU exist only between kernels, and a director would never see one on a wire.
 */
function connect(a: Namespace, nameA: string, b: Namespace, nameB: string, checksums = 'full') {
  a.ip(`link add name ${nameA} type veth peer name ${nameB} netns ${b.name}`);
  const off = ['tso', 'off', 'gso', 'off', 'gro', 'off'];
  const tx = checksums === 'full' ? ['tx', 'off'] : [];
  a.exec(['ethtool', '-K', nameA, ...tx, ...off]);
  b.exec(['ethtool', '-K', nameB, 'tx', 'off', ...off]);
}

function quiet(namespace: Namespace): void {
  namespace.sysctl({
    'net.ipv6.conf.all.disable_ipv6': 1,
    'net.ipv6.conf.default.disable_ipv6': 1,
    'net.ipv4.conf.all.rp_filter': 0,
    'net.ipv4.conf.default.rp_filter': 0,
    'net.ipv4.conf.all.send_redirects': 0,
    'net.ipv4.conf.default.send_redirects': 0,
    'net.ipv4.conf.all.accept_redirects': 0,
    'net.ipv4.conf.default.accept_redirects': 0,
    'net.ipv4.icmp_ratelimit': 0,
  });
  namespace.ip('link set lo up');
}

function buildSwitch(namespace: Namespace, bridges: readonly string[]): void {
  for (const bridge of bridges) {
    namespace.ip(
      `link add name ${bridge} type bridge stp_state 0 mcast_snooping 0`,
      `link set ${bridge} up`,
    );
  }
}

/** Plugs a namespace's interface into one of the two switches. */
function plug(
  spaces: Namespaces,
  namespace: Namespace,
  name: string,
  bridge: 'front' | 'back',
  checksums?: string,
): void {
  const port = `${namespace.role}-${name}`;
  connect(namespace, name, spaces.switch, port, checksums);
  spaces.switch.ip(`link set ${port} master ${bridge}`, `link set ${port} up`);
}

function buildClientAndRouter(spaces: Namespaces, options: TopologyOptions): void {
  const { client, router } = spaces;
  connect(client, 'c0', router, 'c0', options.checksums);
  client.ip(
    `addr add ${CLIENT}/24 dev c0`,
    'link set c0 up',
    `route add default via ${ROUTER.client}`,
  );
  plug(spaces, router, 'f0', 'front');
  plug(spaces, router, 'b0', 'back');
  router.ip(
    `addr add ${ROUTER.client}/24 dev c0`,
    `addr add ${ROUTER.front}/${FRONT_PREFIX} dev f0`,
    `addr add ${ROUTER.back}/${BACK_PREFIX} dev b0`,
    'link set c0 up',
    'link set f0 up',
    'link set b0 up',
    `route add ${VIP_NETWORK} via ${directorFront(1)}`,
  );
  router.sysctl({ 'net.ipv4.ip_forward': 1 });
}

/** The client of a direct lab; its cable to the director is the director's end's business. */
function buildDirectClient(spaces: Namespaces): void {
  const { client } = spaces;
  plug(spaces, client, 'c1', 'back');
  client.ip(`addr add ${ROUTER.back}/${BACK_PREFIX} dev c1`, 'link set c1 up');
}

function cableToClient(spaces: Namespaces, director: Namespace, options: TopologyOptions): void {
  const { client } = spaces;
  connect(client, 'c0', director, 'f0', options.checksums);
  client.ip(
    `addr add ${ROUTER.front}/${FRONT_PREFIX} dev c0`,
    `addr add ${CLIENT}/32 dev c0`,
    'link set c0 up',
    `route add ${VIP_NETWORK} via ${directorFront(1)} src ${CLIENT}`,
  );
}

/**
 * The director's interfaces belong to the dataplane alone: no addresses. The director itself sees to
 * it that the kernel does not handle a second time what AF_PACKET copies.
 */
function buildDirector(
  spaces: Namespaces,
  director: Namespace,
  n: number,
  options: TopologyOptions,
): void {
  for (const [name, port] of [
    ['f0', 'front'],
    ['b0', 'back'],
  ] as const) {
    if (name === 'f0' && options.shape === 'direct') cableToClient(spaces, director, options);
    else plug(spaces, director, name, port);
    director.ip(`link set ${name} address ${directorMac(n, port)}`, `link set ${name} up`);
  }
}

function buildRealServer(
  spaces: Namespaces,
  server: Namespace,
  n: number,
  options: TopologyOptions,
): void {
  plug(spaces, server, 'b0', 'back', options.checksums);
  // The second address is outside the first one's subnet entry, or it would be a mere secondary.
  server.ip(
    `addr add ${realServer(n)}/${BACK_PREFIX} dev b0`,
    `addr add ${natServer(n)}/32 dev b0`,
    'link set b0 up',
    `route add default via ${ROUTER.back}`,
    `route add default via ${directorBack(1)} table ${NAT_TABLE}`,
    `rule add from ${natServer(n)} lookup ${NAT_TABLE}`,
    ...options.loopbackVips.map((vip) => `addr add ${vip}/32 dev lo`),
  );
  server.sysctl({
    'net.ipv4.conf.all.arp_ignore': 1,
    'net.ipv4.conf.all.arp_announce': 2,
    'net.ipv4.conf.b0.rp_filter': 0,
  });
}

export function build(spaces: Namespaces, options: TopologyOptions): void {
  const direct = options.shape === 'direct';
  if (direct && options.directors !== 1) {
    throw new LabError('ERR_LAB_SHAPE', 'a direct lab has room for one director');
  }
  const all = new Set([spaces.client, spaces.router, spaces.switch]);
  for (const namespace of [...all, ...spaces.directors, ...spaces.realServers]) quiet(namespace);
  buildSwitch(spaces.switch, direct ? ['back'] : ['front', 'back']);
  if (direct) buildDirectClient(spaces);
  else buildClientAndRouter(spaces, options);
  spaces.directors.forEach((director, i) => {
    buildDirector(spaces, director, i + 1, options);
  });
  spaces.realServers.forEach((server, i) => {
    buildRealServer(spaces, server, i + 1, options);
  });
}
