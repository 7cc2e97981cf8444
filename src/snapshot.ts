/**
 * The Snapshot: everything a worker must know, made only by plan(), published whole.
 * `encodeSnapshot` turns it into the bytes of native/engine/snapshot_wire.h: little-endian numbers,
 * addresses as 16 network-order bytes (IPv4 as ::ffff:a.b.c.d), so IPv6 needs no new layout.
 */
import { isIPv4 } from './config/address.js';
import { CLIENT4, CLIENT6, type ClientSet } from './config/client-sets.js';
import { ENGINES, type Engine } from './config/persistence.js';
import { IPIP, type Tunnel, wrapOf } from './config/tunnel.js';
import { MODES, type Mode, SCHEDULERS, type Scheduler, WRAPS } from './native.js';

export interface SnapshotServer {
  /** 16 bytes. */
  address: Uint8Array;
  port: number;
  mode: Mode;
  /** Of mode tun; absent: IPIP. */
  tunnel?: Tunnel;
  /** 0 drains: existing connections go on, no new ones. */
  weight: number;
  slot: number;
  /** Health: a server that is down gets no new connections. */
  up: boolean;
  /** LVS thresholds; 0: none. */
  upper: number;
  lower: number;
}

export interface SnapshotService {
  address: Uint8Array;
  port: number;
  /** Of a service for a mark none: `fwmark`, and address and port are zero. */
  protocol: 'tcp' | 'udp' | 'sctp' | 'fwmark';
  /** 0: none. */
  mark: number;
  scheduler: Scheduler;
  /** sh/mh also hash the source port (ipvsadm's sh-port, mh-port). */
  schedulePort: boolean;
  /** sh/mh fall back to another server when the chosen one is unavailable. */
  scheduleFallback: boolean;
  /** -o: every packet is scheduled anew. */
  onePacket: boolean;
  /** A client's next connections go to its real server for so long; 0: they are scheduled. */
  persistenceMs: number;
  /** Leading bits of a client's address that persistence looks at. */
  clientBits: number;
  /** A netmask with holes, in place of clientBits: 255.0.255.0 as a number; 0: it has none. */
  netmask: number;
  /** What else tells a client's templates from one another. */
  engine: Engine | null;
  /** Persistent clients of a server with weight 0 are scheduled anew. */
  movesDrained: boolean;
  /** LVS expire_nodest_conn: reset connections whose server is gone (else: silent drop). */
  resetOnServerRemoved: boolean;
  /** FullNAT/ENAT: tell the real server the client's address (TOA / IP option). */
  clientAddress: boolean;
  /** TCP option kind of TOA. */
  toaKind: number;
  /** SYNs are answered by cookies; only clients that return them get a connection. */
  synProxy: boolean;
  slot: number;
  servers: SnapshotServer[];
  /** FullNAT/ENAT local addresses, 16 bytes each. */
  localAddresses: Uint8Array[];
  /** A VRRP instance has its address: `active` here, `standby` at another director; or neither. */
  role: 'none' | 'active' | 'standby';
  /** Clients that may use it; null: all. */
  allow: ClientSet | null;
  /** Clients that may not, whatever `allow` says; null: none. */
  deny: ClientSet | null;
}

/** An address that a VRRP instance has brought here. */
export interface SnapshotRoleAddress {
  address: Uint8Array;
  /** 6 bytes of the virtual router; all zero: the port's own. */
  mac: Uint8Array;
  port: number;
  /** What no service wants goes to programs of this machine. */
  accepted: boolean;
}

export interface SnapshotRoute {
  /** Network address, 16 bytes. */
  address: Uint8Array;
  /** Prefix length in the family's own terms (0–32 for IPv4). */
  length: number;
  /** Next hop, 16 bytes; all zero: on link. */
  via: Uint8Array;
  port: number;
}

export interface SnapshotNeighbour {
  address: Uint8Array;
  mac: Uint8Array;
  port: number;
}

export interface SnapshotPortAddress {
  address: Uint8Array;
  length: number;
  port: number;
}

/** Gives first packets to a service for a mark; the first that fits counts. */
export interface SnapshotMark {
  /** 16 bytes, and a length in the family's own terms. */
  destination: Uint8Array;
  destinationLength: number;
  source: Uint8Array;
  sourceLength: number;
  /** undefined: TCP and UDP. */
  protocol: 'tcp' | 'udp' | 'sctp' | undefined;
  /** Destination ports. */
  low: number;
  high: number;
  /** Slot; undefined: no service is for the mark, and packets are as if unmarked. */
  service: number | undefined;
  /** The director's port that a packet comes by; undefined: any. */
  port: number | undefined;
}

/** Timeouts in milliseconds by connection state; order of STATES in native.ts. */
export type Timeouts = number[];

export interface Snapshot {
  generation: number;
  timeouts: Timeouts;
  /** Resets and ICMP errors of its own that a worker makes in a second; 0: any number. */
  answerRate: number;
  services: SnapshotService[];
  /** Addresses the director always answers for (VIPs and LIPs), 16 bytes each, no duplicates. */
  owned: Uint8Array[];
  /** Those it answers for as long as it is the master of their VRRP instance; not in `owned`. */
  roleAddresses: SnapshotRoleAddress[];
  routes: SnapshotRoute[];
  neighbours: SnapshotNeighbour[];
  /** The ports' own addresses: DIPs, and the connected routes that follow from them. */
  portAddresses: SnapshotPortAddress[];
  marks: SnapshotMark[];
}

/** LVS's defaults (ms), order of STATES: NONE ES SS SR FW TW CL CW LA LI SA UDP, then SCTP's. */
export const DEFAULT_TIMEOUTS: Timeouts = [
  2_000, 900_000, 120_000, 60_000, 120_000, 120_000, 10_000, 60_000, 30_000, 120_000, 120_000,
  300_000, 4_000, 61_000, 61_000, 61_000, 61_000, 61_000, 61_000, 900_000, 61_000, 61_000, 61_000,
  4_000, 61_000,
];

const MAGIC = 0x49554c53; // "SLUI"
const VERSION = 1;
const HEADER = 216;
const SERVICE = 72;
const SERVER = 48;
const ADDRESS = 16;
const ROUTE = 40;
const NEIGHBOUR = 24;
const PORT_ADDRESS = 24;
const ROLE_ADDRESS = 24;
const MARK = 48;
const CLIENT_LIST = 24;
const ANY_PORT = 255;
const NO_SLOT = 0xffff_ffff;

/** Sections in the order of the header's (offset, count) pairs. */
const SECTIONS = 12;

/** Their bytes do not depend on what stands around them, and most outlive many snapshots. */
const encodedServers = new WeakMap<SnapshotService, Uint8Array>();

export function encodeSnapshot(snapshot: Snapshot): Uint8Array {
  const { services } = snapshot;
  const serverCount = services.reduce((sum, { servers }) => sum + servers.length, 0);
  const lips = services.flatMap((service) => service.localAddresses);
  const lists = listsOf(services);
  const networks = (family: 4 | 6) =>
    [...lists.keys()].reduce((sum, list) => sum + (list.family === family ? list.count : 0), 0);
  const sizes: [count: number, bytes: number][] = [
    [services.length, SERVICE],
    [serverCount, SERVER],
    [lips.length, ADDRESS],
    [snapshot.owned.length, ADDRESS],
    [snapshot.routes.length, ROUTE],
    [snapshot.neighbours.length, NEIGHBOUR],
    [snapshot.portAddresses.length, PORT_ADDRESS],
    [snapshot.roleAddresses.length, ROLE_ADDRESS],
    [snapshot.marks.length, MARK],
    [lists.size, CLIENT_LIST],
    [networks(4), CLIENT4],
    [networks(6), CLIENT6],
  ];
  const total = sizes.reduce((sum, [count, bytes]) => sum + align8(count * bytes), HEADER);
  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  const u32 = (at: number, value: number) => view.setUint32(at, value, true);

  u32(0, MAGIC);
  u32(4, VERSION);
  u32(8, snapshot.generation);
  u32(12, total);
  const starts: number[] = [];
  let next = HEADER;
  sizes.forEach(([count, size], section) => {
    u32(16 + section * 8, next);
    u32(20 + section * 8, count);
    starts.push(next);
    next += align8(count * size);
  });
  snapshot.timeouts.forEach((ms, state) => {
    u32(16 + SECTIONS * 8 + state * 4, ms);
  });

  u32(16 + SECTIONS * 8 + snapshot.timeouts.length * 4, snapshot.answerRate);

  const [
    atServices,
    atServers,
    atLips,
    atOwned,
    atRoutes,
    atNeighbours,
    atPortAddresses,
    atRoleAddresses,
    atMarks,
    atLists,
    atClients4,
    atClients6,
  ] = starts as number[] as Repeated<12>;
  putServices(bytes, view, atServices, services, lists);
  let at = atServers;
  for (const service of services) {
    let encoded = encodedServers.get(service);
    if (encoded === undefined) {
      encoded = encodeServers(service);
      encodedServers.set(service, encoded);
    }
    bytes.set(encoded, at);
    at += encoded.length;
  }
  putAddresses(bytes, atLips, lips);
  putAddresses(bytes, atOwned, snapshot.owned);
  at = atRoutes;
  for (const route of snapshot.routes) {
    bytes.set(route.address, at);
    bytes.set(route.via, at + 16);
    bytes[at + 32] = route.length;
    bytes[at + 33] = family(route.address);
    bytes[at + 34] = route.port;
    at += ROUTE;
  }
  at = atNeighbours;
  for (const neighbour of snapshot.neighbours) {
    bytes.set(neighbour.address, at);
    bytes.set(neighbour.mac, at + 16);
    bytes[at + 22] = neighbour.port;
    at += NEIGHBOUR;
  }
  at = atPortAddresses;
  for (const own of snapshot.portAddresses) {
    bytes.set(own.address, at);
    bytes[at + 16] = own.length;
    bytes[at + 17] = own.port;
    at += PORT_ADDRESS;
  }
  at = atRoleAddresses;
  for (const role of snapshot.roleAddresses) {
    bytes.set(role.address, at);
    bytes.set(role.mac, at + 16);
    bytes[at + 22] = role.port;
    bytes[at + 23] = role.accepted ? 1 : 0;
    at += ROLE_ADDRESS;
  }
  putMarks(bytes, view, atMarks, snapshot.marks);
  putClients(bytes, view, atLists, { 4: atClients4, 6: atClients6 }, lists.keys());
  return bytes;
}

type Repeated<N extends number, T extends number[] = []> = T['length'] extends N
  ? T
  : Repeated<N, [...T, number]>;

/** Each once, with its number, from 1 on. */
function listsOf(services: readonly SnapshotService[]): Map<ClientSet, number> {
  const lists = new Map<ClientSet, number>();
  for (const { allow, deny } of services) {
    for (const list of [allow, deny]) if (list && !lists.has(list)) lists.set(list, lists.size + 1);
  }
  return lists;
}

function putClients(
  bytes: Uint8Array,
  view: DataView,
  start: number,
  sections: Record<4 | 6, number>,
  lists: Iterable<ClientSet>,
): void {
  let at = start;
  const first = { 4: 0, 6: 0 };
  for (const { fingerprint, family, count, bytes: networks } of lists) {
    view.setBigUint64(at, BigInt(`0x${fingerprint}`), true);
    view.setUint32(at + 8, first[family], true);
    view.setUint32(at + 12, count, true);
    bytes[at + 16] = family;
    bytes.set(networks, sections[family] + first[family] * (family === 4 ? CLIENT4 : CLIENT6));
    first[family] += count;
    at += CLIENT_LIST;
  }
}

function putServices(
  bytes: Uint8Array,
  view: DataView,
  start: number,
  services: readonly SnapshotService[],
  lists: ReadonlyMap<ClientSet, number>,
): void {
  let at = start;
  let firstServer = 0;
  let firstLip = 0;
  for (const service of services) {
    bytes.set(service.address, at);
    view.setUint16(at + 16, service.port, true);
    bytes[at + 18] = PROTOCOLS[service.protocol];
    bytes[at + 19] = family(service.address);
    bytes[at + 20] = SCHEDULERS.indexOf(service.scheduler);
    bytes[at + 21] =
      (service.schedulePort ? 1 : 0) |
      (service.scheduleFallback ? 2 : 0) |
      (service.onePacket ? 4 : 0) |
      (service.resetOnServerRemoved ? 8 : 0) |
      (service.clientAddress ? 16 : 0) |
      (service.role === 'standby' ? 32 : 0) |
      (service.role === 'none' ? 0 : 64) |
      (service.movesDrained ? 128 : 0);
    bytes[at + 22] = service.toaKind;
    bytes[at + 23] = service.synProxy ? 1 : 0;
    view.setUint32(at + 24, service.slot, true);
    view.setUint32(at + 28, firstServer, true);
    view.setUint32(at + 32, service.servers.length, true);
    view.setUint32(at + 36, firstLip, true);
    view.setUint32(at + 40, service.localAddresses.length, true);
    view.setUint32(at + 44, service.persistenceMs, true);
    bytes[at + 48] = service.clientBits;
    bytes[at + 49] = service.engine === null ? 0 : 1 + ENGINES.indexOf(service.engine);
    view.setUint32(at + 52, service.mark, true);
    view.setUint32(at + 56, service.allow ? (lists.get(service.allow) as number) : 0, true);
    view.setUint32(at + 60, service.deny ? (lists.get(service.deny) as number) : 0, true);
    view.setUint32(at + 64, service.netmask, false);
    firstServer += service.servers.length;
    firstLip += service.localAddresses.length;
    at += SERVICE;
  }
}

const PROTOCOLS = { fwmark: 0, tcp: 6, udp: 17, sctp: 132 } as const;

function putMarks(
  bytes: Uint8Array,
  view: DataView,
  start: number,
  marks: readonly SnapshotMark[],
): void {
  marks.forEach((rule, index) => {
    const at = start + index * MARK;
    bytes.set(rule.destination, at);
    bytes.set(rule.source, at + 16);
    bytes[at + 32] = rule.destinationLength;
    bytes[at + 33] = rule.sourceLength;
    bytes[at + 34] = family(rule.destination);
    bytes[at + 35] = rule.protocol === undefined ? 0 : PROTOCOLS[rule.protocol];
    view.setUint16(at + 36, rule.low, true);
    view.setUint16(at + 38, rule.high, true);
    view.setUint32(at + 40, rule.service ?? NO_SLOT, true);
    bytes[at + 44] = rule.port ?? ANY_PORT;
  });
}

function encodeServers({ servers }: SnapshotService): Uint8Array {
  const bytes = new Uint8Array(servers.length * SERVER);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const server of servers) {
    bytes.set(server.address, at);
    view.setUint16(at + 16, server.port, true);
    bytes[at + 18] = MODES.indexOf(server.mode);
    bytes[at + 19] = server.up ? 1 : 0;
    view.setUint32(at + 20, server.weight, true);
    view.setUint32(at + 24, server.slot, true);
    view.setUint32(at + 28, server.upper, true);
    view.setUint32(at + 32, server.lower, true);
    const { tunnel = IPIP } = server;
    view.setUint16(at + 36, tunnel.port, true);
    bytes[at + 38] = WRAPS.indexOf(wrapOf(tunnel));
    at += SERVER;
  }
  return bytes;
}

function family(address: Uint8Array): number {
  return isIPv4(address) ? 4 : 6;
}

function putAddresses(bytes: Uint8Array, start: number, addresses: Uint8Array[]): void {
  addresses.forEach((address, index) => {
    bytes.set(address, start + index * ADDRESS);
  });
}

function align8(size: number): number {
  return (size + 7) & ~7;
}
