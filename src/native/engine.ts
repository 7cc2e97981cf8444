/** The live dataplane: what it is started with, its counters and what it tells. */
import type { SyncFigures, SyncOptions } from './sync.js';
import type { Watching } from './watch.js';
import type { VerdictKind } from './words.js';

export interface PortOptions {
  /** Name used in configs and listings. */
  name: string;
  /** DPDK devargs of a virtual device (`net_af_packet0,iface=f0`) or a PCI address. Live only. */
  device?: string;
  /** MAC as 6 bytes. Replay needs it; live it overrides the device's own. */
  mac?: Uint8Array;
  /** IP MTU in bytes. */
  mtu: number;
  /** Name of the TAP twin, or undefined for none. Live only. */
  twin?: string;
  /** Of one that is there already: another process's, which ends. Live only. */
  twinFd?: number;
  /** Addresses the twin gets: `a.b.c.d/len`. Live only (replay has them in the snapshot). */
  addresses?: string[];
  /** Frames from a local kernel may carry a partial checksum: complete them. */
  partialChecksums?: boolean;
  /** Receive and transmit queues; 1 unless told. */
  queues?: number;
}

export interface EalOptions {
  /** false: `--no-huge` (no root, no hugepages). */
  hugepages: boolean;
  /** MiB. */
  memory: number;
  /** CPU a worker; worker i runs on cpus[i]. Empty for replay. */
  workerCpus: number[];
  /** PCI addresses allowed; none means --no-pci. */
  pci: string[];
  /** DPDK log level 1 … 8; 4 (warning) unless told. */
  logLevel?: number;
}

export interface EngineOptions {
  eal: EalOptions;
  ports: PortOptions[];
  limits: Limits;
  /** Back-off of a worker that sees no packet: after `afterUs` of empty polls sleep `sleepUs` (0: never). */
  idle: { afterUs: number; sleepUs: number };
  /** mbufs in the pool. */
  mbufs: number;
  /** Half of local ports to give out, where another director has the same local addresses: 0 or 1. */
  portHalf?: number;
  /** Keys RSS, so that the directors of a pair spread flows alike; drawn unless told. */
  rssSeed?: bigint;
  /** Keys SYN cookies where RSS has no key of its own: of the process before this one; else drawn. */
  cookieSeed?: bigint;
  /** Another process has the ports: until takeOver() or goLive() nothing is forwarded. */
  waits?: boolean;
}

export interface Limits {
  /** Connections a worker holds (table size is fixed at start). */
  maxConnections: number;
  /** Slots: highest number of services / servers at once. */
  maxServices: number;
  maxServers: number;
}

export interface PortStatus {
  name: string;
  device: string;
  mac: string;
  mtu: number;
  up: boolean;
  twin: string;
  /** Driver's own counters. */
  rxPackets: number;
  txPackets: number;
  rxBytes: number;
  txBytes: number;
  rxMissed: number;
  txErrors: number;
  rxNoMbuf: number;
}

/** A group of equal records of 64-bit counters inside each worker's block. */
export interface CounterGroup {
  /** First word of record 0, relative to the worker's block. */
  offset: number;
  /** Words a record. */
  stride: number;
  /** Records. */
  count: number;
  /** Name of each word; '' is unused. */
  names: string[];
}

/**
 * Counters are u64 words: worker w's block starts at word w * words. Records of `services` and
 * `servers` are indexed by slot, `ports` by port index, `ends` and `extra` have one record.
 */
export interface CounterLayout {
  workers: number;
  /** Words a worker. */
  words: number;
  /** One word per end of a packet: forwarded…, answered…, punted, dropped reasons. */
  ends: CounterGroup;
  /** For each word of `ends`: its kind and one sentence on what it means. */
  endInfo: { kind: VerdictKind; help: string }[];
  /** Things counted that are not ends (received, option left out, handed off …). */
  extra: CounterGroup;
  ports: CounterGroup;
  /** conns inPkts outPkts inBytes outBytes */
  services: CounterGroup;
  /** conns inPkts outPkts inBytes outBytes active inactive */
  servers: CounterGroup;
  /** Of servers: answered refused unanswered (SYNs; NAT and FullNAT). */
  handshakes: CounterGroup;
}

/** Bytes of one record of a connection listing; see `ConnectionView` in src/connections.ts. */
export const CONNECTION_RECORD_BYTES = 96;
/**
 * Little-endian record: caddr[16] vaddr[16] laddr[16] daddr[16] (v4 as ::ffff:a.b.c.d; laddr is ::
 * unless FullNAT/ENAT), u16 cport vport lport dport, u8 protocol mode state family, u32 serviceSlot,
 * u32 serverSlot, u32 idleMs, u32 timeoutMs, u32 reserved.
 */
export interface ConnectionPage {
  /** Pass back to go on; 0 when the listing is complete. */
  cursor: number;
  records: Uint8Array;
}

export interface EngineEvent {
  /** 'log': a rate-limited line from the dataplane; 'link': a port's link changed. */
  type: 'log' | 'link';
  level: 'error' | 'warn' | 'info' | 'debug';
  message: string;
  /** ERR_… of a log line where it has one, e.g. ERR_LOCAL_PORTS_EXHAUSTED. */
  code?: string;
  /** Times it happened since the last such line. */
  count?: number;
  /** Service it last happened to, where it is one's. */
  serviceSlot?: number;
}

export interface Gauges {
  mbufs: number;
  mbufsInUse: number;
  /** By worker: of the set that is fullest, what is used of the worker's share. */
  localPorts: {
    used: number;
    ports: number;
    /** LIP, and the server that its ports are used towards; 4 bytes each. */
    local: Uint8Array;
    server: Uint8Array;
    serverPort: number;
    protocol: number;
  }[];
}

/**
 * The live engine: one a process (EAL starts once). It ends by stop() or with the thread that
 * started it; a thread that attached may end in any way.
 */
export interface Engine extends Watching {
  publish(snapshot: Uint8Array): void;
  counters(): BigUint64Array;
  /** Address and length of the counters for the nan live view (native/live). */
  countersLocation(): { address: bigint; bytes: number };
  connections(worker: number, cursor: number, limit: number): Promise<ConnectionPage>;
  ports(): PortStatus[];
  /** How full things are that no counter tells; ports as surveys that come round found them. */
  gauges(): Gauges;
  /** Microseconds since each worker finished a loop: a stalled worker shows here. */
  workerLag(): Float64Array;
  /** Throws ERR_SYNC_SOCKET, ERR_SYNC_INTERFACE, ERR_SYNC_RUNNING. */
  startSync(options: SyncOptions): void;
  stopSync(): void;
  /** null: it does not run. */
  sync(): SyncFigures | null;
  stop(): void;
}
