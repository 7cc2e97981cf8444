/** The Model of a file that was parsed: every default filled in. */
import { dirname, join } from 'node:path';
import { DEFAULT_THRESHOLDS } from '../alerts/alerts.js';
import { buildServerHealth, buildServiceHealth } from '../health/build.js';
import { MAX_CHECKS } from '../health/model.js';
import { buildKernel } from '../kernel/model.js';
import type { Mode } from '../native.js';
import { buildSync } from '../sync/model.js';
import { buildVrrp } from '../vrrp/model.js';
import { isSix } from './address.js';
import { buildClients } from './clients.js';
import { buildMarks, markEnd } from './marks.js';
import { keepsPort, type Model, type ServiceModel } from './model.js';
import { buildPersistence } from './persistence.js';
import { connectedPort, nextHopPort } from './reach.js';
import type { Parsed } from './schema.js';
import { tunnelOf } from './tunnel.js';

/** Devices whose frames come from a kernel of this machine, which leaves checksums to the card. */
const KERNEL_DEVICES = /^net_(af_packet|af_xdp|tap|pcap)/;

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
