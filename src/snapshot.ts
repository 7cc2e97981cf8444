/**
 * The Snapshot: everything a worker must know, made only by plan(), published whole.
 * `encodeSnapshot` turns it into the bytes of native/engine/snapshot_wire.h: little-endian numbers,
 * addresses as 16 network-order bytes (IPv4 as ::ffff:a.b.c.d), so IPv6 needs no new layout.
 */
import { MODES, type Mode, SCHEDULERS, type Scheduler } from './native.js';

export interface SnapshotServer {
  /** 16 bytes. */
  address: Uint8Array;
  port: number;
  mode: Mode;
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
  protocol: 'tcp' | 'udp';
  scheduler: Scheduler;
  /** sh/mh also hash the source port (ipvsadm's sh-port, mh-port). */
  schedulePort: boolean;
  /** sh/mh fall back to another server when the chosen one is unavailable. */
  scheduleFallback: boolean;
  /** -o: every packet is scheduled anew. */
  onePacket: boolean;
  /** LVS expire_nodest_conn: reset connections whose server is gone (else: silent drop). */
  resetOnServerRemoved: boolean;
  /** FullNAT/ENAT: tell the real server the client's address (TOA / IP option). */
  clientAddress: boolean;
  /** TCP option kind of TOA. */
  toaKind: number;
  slot: number;
  servers: SnapshotServer[];
  /** FullNAT/ENAT local addresses, 16 bytes each. */
  localAddresses: Uint8Array[];
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

/** Timeouts in milliseconds by connection state; order of STATES in native.ts. */
export type Timeouts = number[];

export interface Snapshot {
  generation: number;
  timeouts: Timeouts;
  services: SnapshotService[];
  /** Addresses the director answers for (VIPs and LIPs), 16 bytes each, without duplicates. */
  owned: Uint8Array[];
  routes: SnapshotRoute[];
  neighbours: SnapshotNeighbour[];
  /** The ports' own addresses: DIPs, and the connected routes that follow from them. */
  portAddresses: SnapshotPortAddress[];
}

/** LVS's defaults (ms), order of STATES: NONE ES SS SR FW TW CL CW LA LI SA UDP. */
export const DEFAULT_TIMEOUTS: Timeouts = [
  2_000, 900_000, 120_000, 60_000, 120_000, 120_000, 10_000, 60_000, 30_000, 120_000, 120_000,
  300_000,
];

const MAGIC = 0x49554c53; // "SLUI"
const VERSION = 1;
const HEADER = 128;
const SERVICE = 64;
const SERVER = 48;
const ADDRESS = 16;
const ROUTE = 40;
const NEIGHBOUR = 24;
const PORT_ADDRESS = 24;

/** Sections in the order of the header's (offset, count) pairs. */
const SECTIONS = 7;

export function encodeSnapshot(snapshot: Snapshot): Uint8Array {
  const servers = snapshot.services.flatMap((service) => service.servers);
  const lips = snapshot.services.flatMap((service) => service.localAddresses);
  const sizes: [count: number, bytes: number][] = [
    [snapshot.services.length, SERVICE],
    [servers.length, SERVER],
    [lips.length, ADDRESS],
    [snapshot.owned.length, ADDRESS],
    [snapshot.routes.length, ROUTE],
    [snapshot.neighbours.length, NEIGHBOUR],
    [snapshot.portAddresses.length, PORT_ADDRESS],
  ];
  const total = sizes.reduce((sum, [count, bytes]) => sum + align8(count * bytes), HEADER);
  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  const u8 = (at: number, value: number) => view.setUint8(at, value);
  const u16 = (at: number, value: number) => view.setUint16(at, value, true);
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

  let at = starts[0] as number;
  let firstServer = 0;
  let firstLip = 0;
  for (const service of snapshot.services) {
    bytes.set(service.address, at);
    u16(at + 16, service.port);
    u8(at + 18, service.protocol === 'tcp' ? 6 : 17);
    u8(at + 19, isIPv4(service.address) ? 4 : 6);
    u8(at + 20, SCHEDULERS.indexOf(service.scheduler));
    u8(
      at + 21,
      (service.schedulePort ? 1 : 0) |
        (service.scheduleFallback ? 2 : 0) |
        (service.onePacket ? 4 : 0) |
        (service.resetOnServerRemoved ? 8 : 0) |
        (service.clientAddress ? 16 : 0),
    );
    u8(at + 22, service.toaKind);
    u32(at + 24, service.slot);
    u32(at + 28, firstServer);
    u32(at + 32, service.servers.length);
    u32(at + 36, firstLip);
    u32(at + 40, service.localAddresses.length);
    firstServer += service.servers.length;
    firstLip += service.localAddresses.length;
    at += SERVICE;
  }
  at = starts[1] as number;
  for (const server of servers) {
    bytes.set(server.address, at);
    u16(at + 16, server.port);
    u8(at + 18, MODES.indexOf(server.mode));
    u8(at + 19, server.up ? 1 : 0);
    u32(at + 20, server.weight);
    u32(at + 24, server.slot);
    u32(at + 28, server.upper);
    u32(at + 32, server.lower);
    at += SERVER;
  }
  putAddresses(bytes, starts[2] as number, lips);
  putAddresses(bytes, starts[3] as number, snapshot.owned);
  at = starts[4] as number;
  for (const route of snapshot.routes) {
    bytes.set(route.address, at);
    bytes.set(route.via, at + 16);
    u8(at + 32, route.length);
    u8(at + 33, isIPv4(route.address) ? 4 : 6);
    u8(at + 34, route.port);
    at += ROUTE;
  }
  at = starts[5] as number;
  for (const neighbour of snapshot.neighbours) {
    bytes.set(neighbour.address, at);
    bytes.set(neighbour.mac, at + 16);
    u8(at + 22, neighbour.port);
    at += NEIGHBOUR;
  }
  at = starts[6] as number;
  for (const own of snapshot.portAddresses) {
    bytes.set(own.address, at);
    u8(at + 16, own.length);
    u8(at + 17, own.port);
    at += PORT_ADDRESS;
  }
  return bytes;
}

/** True for ::ffff:a.b.c.d. */
export function isIPv4(address: Uint8Array): boolean {
  return (
    address.subarray(0, 10).every((byte) => byte === 0) &&
    address[10] === 255 &&
    address[11] === 255
  );
}

function putAddresses(bytes: Uint8Array, start: number, addresses: Uint8Array[]): void {
  addresses.forEach((address, index) => {
    bytes.set(address, start + index * ADDRESS);
  });
}

function align8(size: number): number {
  return (size + 7) & ~7;
}
