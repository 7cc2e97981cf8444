/**
 * The Model: what a configuration says, with every default filled in, as plain data. Addresses
 * are canonical text here; plan() turns them into bytes.
 */
import { dirname, join } from 'node:path';
import { type AlertThresholds, DEFAULT_THRESHOLDS } from '../alerts/alerts.js';
import { buildServerHealth, buildServiceHealth } from '../health/build.js';
import { MAX_CHECKS, type ServerHealth, type ServiceHealth } from '../health/model.js';
import { buildKernel, type KernelModel } from '../kernel/model.js';
import type { Mode, Scheduler } from '../native.js';
import { buildSync, type SyncModel } from '../sync/model.js';
import { buildVrrp, type VrrpModel } from '../vrrp/model.js';
import { type Cidr, type Endpoint, isSix } from './address.js';
import { buildClients, type ClientFile, type Clients } from './clients.js';
import { buildMarks, type MarkModel, markEnd } from './marks.js';
import { buildPersistence, type Persistence } from './persistence.js';
import { connectedPort, nextHopPort } from './reach.js';
import type { Parsed } from './schema.js';
import { type Tunnel, tunnelOf } from './tunnel.js';

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

/** Devices whose frames come from a kernel of this machine, which leaves checksums to the card. */
const KERNEL_DEVICES = /^net_(af_packet|af_xdp|tap|pcap)/;

export function isPciAddress(device: string): boolean {
  return /^([0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7](,|$)/i.test(device);
}

/** LVS's defaults (`ipvsadm --list --timeout`): 15 minutes, 2 minutes, 5 minutes. */
const TIMEOUTS_US = { tcp: 900e6, tcpFin: 120e6, udp: 300e6 };

export function buildModel(parsed: Parsed): Model {
  const director = parsed.director ?? {};
  const name = director.name ?? 'sluice';
  const socket = director.socket ?? `/run/sluice/${name}.sock`;
  const timeouts = { ...TIMEOUTS_US, ...withoutUndefined(parsed.timeouts ?? {}) };
  const model: Model = {
    director: {
      name,
      socket,
      socketGroup: director.socketGroup,
      user: director.user,
      workers: director.workers ?? 1,
      hugepages: director.hugepages ?? true,
      memory: director.memory ?? 512,
      mbufs: director.mbufs ?? 32_768,
      maxConnections: director.maxConnections ?? 1_000_000,
      maxChecks: director.maxChecks ?? MAX_CHECKS,
      answerRate: director.answerRate ?? 10_000,
      maxServices: director.maxServices ?? 1_024,
      maxServers: director.maxServers ?? 8_192,
      idle: {
        afterUs: director.idle?.after ?? 1_000,
        sleepUs: director.idle?.sleep ?? 50,
      },
      alerts: { ...DEFAULT_THRESHOLDS, ...withoutUndefined(director.alerts ?? {}) },
      metrics: director.metrics,
      api: director.api && {
        listen: director.api.listen,
        tls: director.api.tls,
        tokens: director.api.tokens.map(({ name: own, role, file }) => ({ name: own, role, file })),
      },
      keepEdits: director.keepEdits,
      proc: director.proc === false ? undefined : (director.proc ?? join(dirname(socket), 'proc')),
    },
    timeouts: {
      tcpMs: timeouts.tcp / 1_000,
      tcpFinMs: timeouts.tcpFin / 1_000,
      udpMs: timeouts.udp / 1_000,
    },
    ports: parsed.ports.map((port) => ({
      name: port.name,
      device: port.device,
      twin: port.twin === false ? undefined : (port.twin ?? `sl${port.name}`),
      mac: port.mac,
      mtu: port.mtu ?? 1500,
      queues: port.queues,
      partialChecksums: port.partialChecksums ?? KERNEL_DEVICES.test(port.device ?? ''),
      addresses: port.addresses ?? [],
    })),
    routes: [],
    neighbours: [],
    marks: buildMarks(parsed.marks),
    services: (parsed.services ?? []).map(buildService),
    clientFiles: [],
    sync: buildSync(parsed.sync),
    vrrp: buildVrrp(parsed.vrrp),
    kernel: buildKernel(parsed.kernel),
  };
  model.neighbours = (parsed.neighbours ?? []).map(({ address, mac, port }) => ({
    address,
    mac,
    port: port ?? connectedPort(model.ports, address),
  }));
  model.routes = (parsed.routes ?? []).map(({ to, via, port }) => ({
    to,
    via,
    port: port ?? (via && nextHopPort(model.ports, model.neighbours, via)),
  }));
  return model;
}

function buildService(service: NonNullable<Parsed['services']>[number]): ServiceModel {
  const six = service.servers?.some(({ address }) => isSix(address.address)) ?? false;
  const isSixth = service.family === undefined ? six : service.family === 'ipv6';
  const listen = service.listen ?? markEnd(service.mark ?? 0, isSixth);
  // ipvsadm, too, gives a Route or Tunnel server the port of its service, if that has one.
  const marked = service.listen === undefined;
  const portIn = (mode: Mode, port: number) => (keepsPort(mode) && !marked ? listen.port : port);
  return {
    name: service.name,
    listen,
    protocol: marked ? 'fwmark' : (service.protocol ?? 'tcp'),
    mode: service.mode,
    scheduler: service.scheduler ?? 'wlc',
    schedulePort: service.schedulePort ?? false,
    scheduleFallback: service.scheduleFallback ?? false,
    onePacket: service.onePacket ?? false,
    persistence: buildPersistence(service.persistence, listen.address),
    onServerRemoved: service.onServerRemoved ?? 'drop',
    clientAddress: service.clientAddress ?? 'toa',
    toaKind: service.toaKind ?? 254,
    synProxy: service.synProxy ?? false,
    localAddresses: service.localAddresses ?? [],
    servers: (service.servers ?? []).map((server) => {
      const ownMode = server.mode ?? service.mode;
      const port = portIn(ownMode, server.address.port);
      return {
        address: { address: server.address.address, port },
        weight: server.weight ?? 1,
        mode: ownMode,
        ...tunnelOf(ownMode, server.tunnel ?? service.tunnel),
        upperThreshold: server.upperThreshold ?? 0,
        lowerThreshold: server.lowerThreshold ?? 0,
        health: buildServerHealth(server.health, service.health),
      };
    }),
    health: buildServiceHealth(service.health, service, portIn),
    clients: buildClients(service.clients),
  };
}

function withoutUndefined<T extends object>(object: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}
