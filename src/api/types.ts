/** What the control API answers: the JSON of `sluice show … --json` and the REPL's objects. */
import type { Connection } from '../connections.js';
import type { CheckReport } from '../health/watch.js';
import type { Mode, PortStatus, Scheduler } from '../native.js';
import type { EndCount, Figures, ServerFigures, ServiceFigures } from '../stats/counters.js';

export interface ServiceReport extends ServiceFigures {
  name: string;
  protocol: 'tcp' | 'udp';
  address: string;
  port: number;
  scheduler: Scheduler;
  /** In ipvsadm's words: `sh-port`, `ops` … */
  flags: string[];
  slot: number;
  servers: ServerReport[];
}

export interface ServerReport extends ServerFigures {
  address: string;
  port: number;
  mode: Mode;
  /** The mode in ipvsadm's words: Masq, Route, Tunnel, FullNat, ENat. */
  forward: string;
  /** In effect: what dynamic checks and inhibition make of the configured one. */
  weight: number;
  /** Takes new connections, were it not for its weight. */
  up: boolean;
  /** Its health checks, in the order of the configuration. */
  checks: CheckReport[];
  slot: number;
}

export interface ConnectionReport extends Connection {
  /** Name of the service, or null when it has been removed. */
  service: string | null;
}

export interface PortReport extends PortStatus {
  addresses: string[];
  counters: Figures;
}

export interface DropsReport {
  /** All ends of packets: forwarded, answered, punted and every drop reason. */
  ends: EndCount[];
  /** Things counted that are not ends. */
  extra: Figures;
}

export interface StatusReport {
  /** 'ready': published and forwarding. */
  status: 'ready' | 'stopping';
  name: string;
  version: string;
  dpdk: string;
  pid: number;
  uptimeSeconds: number;
  config: string;
  socket: string;
  generation: number;
  counters: 'live' | 'copy';
  /** Size of the connection tables of all workers together. */
  maxConnections: number;
  connections: number;
  workers: { cpu: number; lagUs: number }[];
  lastReload: { at: string; ok: boolean; summary: string } | null;
}

export interface ReloadReport {
  generation: number;
  summary: string;
  warnings: string[];
}

export interface ErrorReport {
  error: { code: string; message: string };
}
