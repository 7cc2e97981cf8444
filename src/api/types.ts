/** What the control API answers: the JSON of `sluice show … --json` and the REPL's objects. */
import type { Connection } from '../connections.js';
import type { CheckReport } from '../health/watch.js';
import type { ModelChange } from '../model-diff.js';
import type { Mode, PortStatus, Scheduler } from '../native.js';
import type { EndCount, Figures, ServerFigures, ServiceFigures } from '../stats/counters.js';
import type { Rates } from '../stats/rates.js';

export type { Rates };

export interface ServiceReport extends ServiceFigures {
  name: string;
  protocol: 'tcp' | 'udp';
  address: string;
  port: number;
  scheduler: Scheduler;
  /** In ipvsadm's words: `sh-port`, `ops` … */
  flags: string[];
  localAddresses: string[];
  rates: Rates;
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
  upperThreshold: number;
  lowerThreshold: number;
  rates: Rates;
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
  /** Differences of the running state from its file, as `sluice diff` shows them. */
  edits: string[];
  /** Seconds. */
  timeouts: { tcp: number; tcpFin: number; udp: number };
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
  /** What the running state has that its file has not, and the other way round. */
  edits: string[];
}

export interface EditReport {
  generation: number;
  summary: string;
  /** For each edit why it was refused, or null. */
  results: ({ code: string; message: string } | null)[];
}

export interface HistoryReport {
  generation: number;
  /** ISO 8601. */
  at: string;
  cause: string;
  summary: string;
  current: boolean;
}

/** A change with the connections that live servers it removes or changes have now. */
export interface CountedChange extends ModelChange {
  connections: number;
}

export interface DiffReport {
  file: string;
  /** What the file would change. */
  changes: CountedChange[];
  /** How the running state differs from the file it was read from. */
  edits: CountedChange[];
  /** Edits that would give way to the file. */
  overruled: string[];
  /** Settings of the file that only a restart brings about. */
  restart: string[];
}

export interface ErrorReport {
  error: { code: string; message: string };
}
