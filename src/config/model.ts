/**
 * The Model: what a configuration says, with every default filled in, as plain data. Addresses
 * are canonical text here; plan() turns them into bytes.
 */
import type { AlertThresholds } from '../alerts/alerts.js';
import type { ServerHealth, ServiceHealth } from '../health/model.js';
import type { KernelModel } from '../kernel/model.js';
import type { Mode, Scheduler } from '../native.js';
import type { SyncModel } from '../sync/model.js';
import type { VrrpModel } from '../vrrp/model.js';
import type { Cidr, Endpoint } from './address.js';
import type { ClientFile, Clients } from './clients.js';
import type { Persistence } from './persistence.js';
import type { Tunnel } from './tunnel.js';

export interface Model {
  director: DirectorModel;
  timeouts: { tcpMs: number; tcpFinMs: number; udpMs: number };
  ports: PortModel[];
  routes: RouteModel[];
  neighbours: NeighbourModel[];
  marks: MarkModel[];
  services: ServiceModel[];
  /** Those that the services' lists name, each once. */
  clientFiles: ClientFile[];
  sync: SyncModel | undefined;
  vrrp: VrrpModel;
  kernel: KernelModel;
}

export interface DirectorModel {
  name: string;
  socket: string;
  /** Whose members may use the control socket; undefined: its owner alone. */
  socketGroup: string | undefined;
  /** Who a director started by root goes on as; undefined: as it was started. */
  user: string | undefined;
  /** A count, or the CPUs themselves. */
  workers: number | number[];
  hugepages: boolean;
  memory: number;
  mbufs: number;
  maxConnections: number;
  /** Resets and ICMP errors of its own that a worker makes in a second; 0: any number. */
  answerRate: number;
  /** Health checks under way at once; each may hold a socket. */
  maxChecks: number;
  maxServices: number;
  maxServers: number;
  idle: { afterUs: number; sleepUs: number };
  alerts: AlertThresholds;
  /** Where Prometheus may ask, in plain HTTP; undefined: on the control socket alone. */
  metrics: Endpoint | undefined;
  /** The control API by TCP; undefined: on the control socket alone. */
  api: ApiModel | undefined;
  /** File that run-time edits are kept in for the next process; undefined: they end with this one. */
  keepEdits: string | undefined;
  /** Folder that stands in for /proc, with net/ip_vs and net/ip_vs_stats; undefined: none. */
  proc: string | undefined;
}

export interface ApiModel {
  listen: Endpoint;
  /** Paths of PEM files. */
  tls: { certificate: string; key: string } | undefined;
  tokens: {
    name: string;
    role: 'read' | 'write';
    /** Holds the token; undefined: its hash is given, which is no part of the Model (Loaded.tokenHashes). */
    file: string | undefined;
  }[];
}

export interface PortModel {
  name: string;
  /** undefined: the configuration is for `replay` and `check` only. */
  device: string | undefined;
  twin: string | undefined;
  mac: string | undefined;
  mtu: number;
  queues: number | undefined;
  partialChecksums: boolean;
  addresses: Cidr[];
}

export interface RouteModel {
  to: Cidr;
  /** undefined: on link. */
  via: string | undefined;
  /** Said, or found by the next hop; undefined only in a file that check.ts refuses. */
  port: string | undefined;
}

export interface NeighbourModel {
  address: string;
  mac: string;
  port: string | undefined;
}

export interface MarkModel {
  mark: number;
  to: Cidr;
  /** undefined: TCP and UDP. */
  protocol: 'tcp' | 'udp' | 'sctp' | undefined;
  /** Destination ports. */
  ports: { low: number; high: number }[];
  /** undefined: from anywhere. */
  from: Cidr | undefined;
  /** The director's port that a packet comes by; undefined: any. */
  port: string | undefined;
}

export interface ServiceModel {
  name: string;
  /** Of a service for a mark (`fwmark`): no address of the family, and the mark as its port. */
  listen: Endpoint;
  protocol: 'tcp' | 'udp' | 'sctp' | 'fwmark';
  mode: Mode;
  scheduler: Scheduler;
  schedulePort: boolean;
  scheduleFallback: boolean;
  onePacket: boolean;
  persistence: Persistence | null;
  onServerRemoved: 'drop' | 'reset';
  clientAddress: 'toa' | 'none';
  toaKind: number;
  synProxy: boolean;
  localAddresses: string[];
  servers: ServerModel[];
  health: ServiceHealth;
  clients: Clients;
}

export interface ServerModel {
  /** With the port that is really used: the service's in modes that cannot change it. */
  address: Endpoint;
  weight: number;
  /** Takes no new connections, whatever its weight, until it is told to again. Never false. */
  drained?: true;
  mode: Mode;
  /** Of mode tun; absent: IPIP. */
  tunnel?: Tunnel;
  upperThreshold: number;
  lowerThreshold: number;
  health: ServerHealth;
}

/** Modes that leave the client's TCP, UDP or SCTP header as it is, destination port included. */
export function keepsPort(mode: Mode): boolean {
  return mode === 'dr' || mode === 'tun';
}

export function usesLocalAddress(mode: Mode): boolean {
  return mode === 'fullnat' || mode === 'enat';
}

export function isPciAddress(device: string): boolean {
  return /^([0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7](,|$)/i.test(device);
}
