/**
 * The boundary between TypeScript and the C++ addon: every native type and function, and so one long
 * file.
 *
 * Rules: TypeScript validates and reports in full; C++ checks what it must not trust and throws an
 * Error whose `code` is one of ERR_NATIVE_*. Bulk data crosses as typed arrays, never as objects in
 * a loop. Nothing here blocks on a worker: requests to workers go through their mailbox.
 */
import { createRequire } from 'node:module';

/** Where a packet ended (`kind` of a verdict). Names in `CounterLayout.ends` are finer. */
export const VERDICT_KINDS = ['forwarded', 'answered', 'punted', 'dropped'] as const;
export type VerdictKind = (typeof VERDICT_KINDS)[number];

/** Forwarding methods in wire order, with ipvsadm's words. */
export const MODES = ['nat', 'dr', 'tun', 'fullnat', 'enat'] as const;
export type Mode = (typeof MODES)[number];
export const FORWARD_WORDS: Record<Mode, string> = {
  nat: 'Masq',
  dr: 'Route',
  tun: 'Tunnel',
  fullnat: 'FullNat',
  enat: 'ENat',
};

/** What mode tun puts around packets, in wire order: IP alone, GRE, GUE; with a checksum or without. */
export const WRAPS = ['ipip', 'gre', 'gre_checked', 'gue', 'gue_checked'] as const;
export type Wrap = (typeof WRAPS)[number];

/** Schedulers in wire order. */
export const SCHEDULERS = [
  'rr',
  'wrr',
  'lc',
  'wlc',
  'sh',
  'mh',
  'dh',
  'sed',
  'nq',
  'fo',
  'ovf',
  'twos',
  'lblc',
  'lblcr',
] as const;
export type Scheduler = (typeof SCHEDULERS)[number];

/**
 * Connection states in wire order, as ipvsadm -lnc prints them: TCP's, UDP's, and behind it those of
 * SCTP, some of which have the same names.
 */
export const STATES = [
  'NONE',
  'ESTABLISHED',
  'SYN_SENT',
  'SYN_RECV',
  'FIN_WAIT',
  'TIME_WAIT',
  'CLOSE',
  'CLOSE_WAIT',
  'LAST_ACK',
  'LISTEN',
  'SYNACK',
  'UDP',
  'INIT1',
  'INIT',
  'C-SENT',
  'C-REPLIED',
  'C-WAIT',
  'COOKIE',
  'C-ECHOED',
  'ESTABLISHED',
  'S-SENT',
  'S-RECEIVED',
  'S-ACK-SENT',
  'REJECTED',
  'CLOSED',
] as const;
export type ConnectionState = (typeof STATES)[number];

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

/** Connection sync: what is told and adopted, and how. */
export interface SyncSettings {
  protocol: 'sluice' | 'ipvs';
  /** Own connections are told; the peer's are adopted. */
  tells: boolean;
  adopts: boolean;
  /** 16 bytes; `sluice` only. */
  key?: Uint8Array;
  /** 0: any, and sent as 0; `ipvs` only. */
  syncid?: number;
  /** Records a second. */
  rate: number;
  /** Age at which a change is told. */
  afterMs: number;
  /** A connection that lives is told again at least so often. */
  refreshMs: number;
  /** Of this run; live it is drawn. */
  session?: number;
}

export interface SyncOptions extends SyncSettings {
  /** Kernel interface the socket is bound to. */
  interface: string;
  /** Peer or multicast group. */
  destination: string;
  port: number;
  /** Of multicast; 1 unless told. */
  ttl?: number;
  /** Longest datagram; what the MTU takes unless told. */
  datagramBytes?: number;
}

/** Figures by name; what they mean is in NativeModule.syncFigureHelp(). */
export type SyncFigures = Record<string, number>;

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

/** Words of one verdict: input index, kind, end (index in `ends`), mode, service slot, server slot, out port, output index; -1 where it does not apply. */
export const VERDICT_WORDS = 8;

export interface ReplayBatch {
  /** All frames, one after the other. */
  bytes: Uint8Array;
  /** n + 1 offsets into bytes. */
  offsets: Uint32Array;
  /** Nanoseconds since the epoch of the capture, ascending. */
  times: BigUint64Array;
  /** Index of the port each frame enters. */
  ports: Uint8Array;
}

export interface ReplayResult {
  bytes: Uint8Array;
  offsets: Uint32Array;
  times: BigUint64Array;
  /** Port index; bit 7 set: went to that port's TAP twin. */
  ports: Uint8Array;
  /** Input frame that caused each output, -1 if none did. */
  sources: Int32Array;
  /** VERDICT_WORDS a received frame. */
  verdicts: Int32Array;
}

/**
 * How frames come to several workers: bursts in turn, as if by chance; by the queues of a NIC that
 * hashes as it was told (RSS), of one that hashes differently, or of one that tells no hash.
 */
export type Distribution = 'inTurn' | 'nic' | 'otherKey' | 'noHash';

export interface ReplayOptions {
  ports: PortOptions[];
  limits: Limits;
  /** Seed of IP IDs and local port cursors. */
  seed: number;
  /** Most frames of one time and port that are given to the worker together: 1 … 32. */
  burst: number;
  /** Workers that share the flows; 1 unless told. */
  workers?: number;
  /** How frames come to several workers; in turn unless told. */
  distribution?: Distribution;
  /** See EngineOptions. */
  portHalf?: number;
}

/** Which packets a trace is about; what is left out may be anything. */
export interface WatchedFlow {
  /** 16 bytes. */
  client?: Uint8Array;
  clientPort?: number;
  /** 16 bytes. */
  service?: Uint8Array;
  servicePort?: number;
  /** IPv4's number of it, of ICMPv6 ICMP's. */
  protocol?: number;
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

/** With `flow` a trace, else a capture. Bounds are in native/addon/watch.cc. */
export interface WatchOptions {
  flow?: WatchedFlow;
  /** tcpdump's language; '' takes everything. */
  filter?: string;
  /** A bit a port. */
  ports?: number;
  in?: boolean;
  out?: boolean;
  /** Bytes of a frame that are kept. */
  snaplen?: number;
  /** Records a second, of all workers together. */
  rate: number;
  /** Records of each worker, at the most. */
  count?: number;
  seconds: number;
}

/** Words a port in `WatchPage.counts`: seen, matched, taken, over the rate, no room. */
export const WATCH_COUNT_WORDS = 5;

export interface WatchPage {
  /** Whole records; src/watch/records.ts reads them. */
  records: Uint8Array;
  /** Nothing will come any more. */
  ended: boolean;
  /** A capture's filter runs as machine code. */
  machineCode: boolean;
  counts: BigUint64Array;
}

/** A few traces and captures at once (ERR_NATIVE_WATCH_BUSY beyond), which end by themselves. */
export interface Watching {
  /** Its number. ERR_NATIVE_FILTER says what libpcap says. */
  watchStart(options: WatchOptions): number;
  /** What has come since the last call. */
  watchRead(watch: number): WatchPage;
  watchStop(watch: number): void;
}

/** One dataplane under a virtual clock. No root, no hugepages; many may live in one process. */
export interface Replay extends Watching {
  /** Same snapshot bytes as the live engine takes. */
  publish(snapshot: Uint8Array): void;
  run(batch: ReplayBatch): ReplayResult;
  /** Move the clock on (expiry runs); nanoseconds since the epoch. */
  advance(toNs: bigint): void;
  counters(): BigUint64Array;
  connections(worker: number, cursor: number, limit: number): ConnectionPage;
  /** mbufs taken from the pool and not given back: 0 between runs, or there is a leak. */
  mbufsInUse(): number;
  startSync(settings: SyncSettings): void;
  /** Datagrams for the peer that are due by now. */
  syncSend(): Uint8Array[];
  syncReceive(datagram: Uint8Array): void;
  /** null: not started. */
  sync(): SyncFigures | null;
  close(): void;
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

/** Of a process that leaves; see native/engine/live/hand_over.h. */
export interface HandOverState {
  phase: 'copying' | 'ready' | 'switching' | 'done' | 'broken';
  /** Connections and changes told so far. */
  told: number;
  lost: number;
}

/** Of a process that takes over. */
export interface TakeOverState {
  phase: HandOverState['phase'];
  gapUs: number;
  received: number;
  /** Connections that it has of the other one. */
  adopted: number;
  refused: number;
}

/**
 * One process takes over from another: all of the engine that runs in this one, and all throw
 * ERR_NATIVE_STOPPED. Descriptors that are given belong to the engine from then on.
 */
export interface Upgrading {
  /** Of the stream between the two. */
  handOverFormat: number;
  socketPair(): [number, number];
  closeFd(fd: number): void;
  /** Not for programs that this one starts. */
  keepToItself(fds: number[]): void;
  /** Twins by name, and packet sockets: they stay the engine's. */
  belongings(): { twins: Record<string, number>; sockets: number[] };
  /** Throws ERR_UPGRADE_RUNNING. */
  handOver(fd: number): void;
  handOverState(): HandOverState | null;
  /** Forwards again; the other process must be dead. */
  endHandOver(): void;
  takeOver(fd: number): void;
  takeOverState(): TakeOverState | null;
  /** Once ready: now. `sockets`: the other process's. */
  switchOver(sockets: number[]): void;
  /** An engine that waits forwards. */
  goLive(): void;
  /** What this process leaves on interfaces stays when it ends. */
  letGo(): void;
}

/** What a VRRP master repeats; see native/engine/live/herald.h. */
export interface Advert {
  /** Index of the port. */
  port: number;
  intervalUs: number;
  /** Whole frames, sent together: one, or one a unicast peer. */
  frames: Uint8Array[];
  /** Sent once when it resigns. */
  farewell: Uint8Array[];
  /** What is put into each of them as it leaves. */
  seal?: Seal;
}

/** A sequence number and a code; frames have room for them: see native/engine/live/seal.h. */
export interface Seal {
  kind: 'ah' | 'trailer';
  key: Uint8Array;
}

/** All that becoming the master of some instances takes, prepared ahead. */
export interface Succession {
  adverts: { instance: number; advert: Advert }[];
  snapshot: Uint8Array;
  /** Sent once it is published: gratuitous ARP. */
  remarks: Remark[];
}

/** A frame that is sent once, for an instance that is the master: gratuitous ARP. */
export interface Remark {
  instance: number;
  port: number;
  frame: Uint8Array;
}

export interface HeraldNews {
  /** The lease has run out since: no instance repeats, what follows a role has been given up. */
  lapsed: boolean;
  /** What was prepared has been carried out, before anything was heard that is in `heard`. */
  succeeded: boolean;
  /**
   * When the alarm last went off: everything that had arrived by then is in this `heard` or an
   * earlier one. What has arrived since may not be.
   */
  completeMs: number;
  /** Instances that are repeated. */
  repeating: number[];
  /** Frames of IP protocol 112, or of 51 (AH) around it, in order, with when they came: ms of the monotonic clock. */
  heard: { atMs: number; port: number; frame: Uint8Array }[];
  /** Frames that there was no room for. */
  lost: number;
  /** Remarks that there was no room for. */
  unsent: number;
  /** Between the time of an advert and its sending, the longest; 0: none has left. */
  lateMs: number;
}

/** A native thread that keeps VRRP's time. Times are of CLOCK_MONOTONIC, as process.hrtime(). */
export interface Herald {
  /** From now on; a known instance keeps its rhythm unless `atOnce`. */
  repeat(instance: number, advert: Advert, atOnce: boolean): void;
  /** Its remarks that wait are forgotten. */
  cease(instance: number, farewell: boolean): void;
  /** In turn with others, at a pace. */
  send(remark: Remark): void;
  /**
   * Sequence numbers of an instance's seals go on above this one; the last of them. 0: none yet. They
   * outlive a control plane.
   */
  heed(instance: number, sequence: number): number;
  /**
   * One alarm, the last one counts; goes off once every worker has looked at its queues since.
   * `decided`: everything that was taken has been considered, so that at the alarm, unless something
   * is heard before, what was prepared is to be carried out.
   */
  wakeAt(atMs: number, decided: boolean): void;
  /** null: nothing. A publication forgets it, too. */
  prepare(succession: Succession | null): void;
  /** For so long from now; from the first time on all depends on it. */
  renewLease(ms: number): void;
  take(): HeraldNews;
}

export interface NativeModule extends Upgrading {
  versions(): { dpdk: string; addon: string };
  counterLayout(workers: number, ports: number, limits: Limits): CounterLayout;
  startEngine(options: EngineOptions, onEvent: (event: EngineEvent) => void): Engine;
  /**
   * The engine that runs in this process, from any thread that has loaded the addon. From now on
   * events come here, until this thread ends. ERR_NATIVE_STOPPED: none runs.
   */
  attachEngine(onEvent: (event: EngineEvent) => void): Engine;
  /** Of the engine that runs. `onNews`: there is something to take, or the alarm has gone off. */
  openHerald(onNews: () => void): Herald;
  createReplay(options: ReplayOptions): Replay;
  syncFigureHelp(): Record<string, string>;
  /** Tells the service manager (sd_notify(3)); false where there is none, or it did not take it. */
  notifyManager(text: string): boolean;
  /** Children that have ended are forgotten by the kernel; gives those that have not. */
  reap(pids: number[]): number[];
  /**
   * Starts this program again as another user, in this process and with its arguments, with no
   * more than these capabilities (bit 1 << CAP_…). Returns only by an ERR_PRIVILEGE.
   */
  becomeUser(user: string, capabilities: bigint): void;
  /** For a program that is started next with what this thread may do; then forgetAmbient(). */
  raiseAmbient(): void;
  /** Programs that this thread starts, or a thread that it makes, get none of its capabilities. */
  forgetAmbient(): void;
  /** A non-blocking IPv4 socket's descriptor, the caller's to close. Errors have errno's name as code. */
  openSocket(options: SocketOptions): number;
  /**
   * Makes these VIPs (of both families) the only ones in accept mode that the TAP twin has. Throws
   * ERR_NATIVE_TWIN; then some may be missing.
   */
  acceptAddresses(twin: string, addresses: string[]): void;
  /** Its thread ends with close(), or with the environment. */
  createProber(onResults: (results: Uint32Array) => void): NativeProber;
}

/**
 * Words of one probe that is ordered: id, address, own address (all 0: any; four words each), port |
 * own port << 16 (all of them in network byte order), SO_MARK, VIP (IPv4; 0: to `address`), tunnel
 * (see SocketOptions), ms of silence, ms in all, bytes of the interface's name, bytes of the HTTP
 * question. Both texts follow one another in `texts`.
 */
export const PROBE_WORDS = 17;
/** Words of one result: id, PROBE_ENDS, detail, microseconds. */
export const RESULT_WORDS = 4;
/**
 * How a probe ended; detail is an HTTP status (answered), an errno (failed, not_tried), or whether
 * it was connected (timed_out). `not_tried`: we lack files, memory or local ports.
 */
export const PROBE_ENDS = [
  'connected',
  'answered',
  'failed',
  'timed_out',
  'closed',
  'not_http',
  'not_tried',
] as const;
export type ProbeEnd = (typeof PROBE_ENDS)[number];

/** TCP conversations on a thread of their own; see native/prober. */
export interface NativeProber {
  /** An id, a small number, is not used again before its result has come. */
  start(orders: Uint32Array, texts: Uint8Array): void;
  /** Those that have not ended fail with ECANCELED. */
  cancel(ids: Uint32Array): void;
  /** true: results that are awaited are a reason for the process to go on. */
  hold(on: boolean): void;
  /** CPU time of its thread so far, ns. */
  cpuNs(): number;
  close(): void;
}

export interface SocketOptions {
  /** `icmp`: an echo socket (ping_group_range has to allow it). */
  kind: 'tcp' | 'udp' | 'icmp';
  /** SO_MARK; 0: none. */
  mark?: number;
  /** SO_BINDTODEVICE. */
  interface?: string;
  /** Own address and port. */
  address?: string;
  port?: number;
  /**
   * To a VIP by way of its server (native/engine/live/passages.h), for so long. `tunnel`: 0 for none,
   * else the index in WRAPS + 1, and GUE's port × 0x10000.
   */
  passage?: { server: string; vip: string; tunnel: number; ms: number };
}

const require = createRequire(import.meta.url);
let loaded: NativeModule | undefined;

/**
 * Loads the addon on first use, so that `sluice check` works where it is not built. SLUICE_ADDON
 * names another build, such as one with sanitizers.
 */
export function native(): NativeModule {
  if (!loaded) {
    const bindings = require('bindings') as (name: string) => NativeModule;
    const other = process.env.SLUICE_ADDON;
    try {
      loaded = other ? (require(other) as NativeModule) : bindings('sluice');
    } catch (cause) {
      const error = new Error(
        `the native addon cannot be loaded (build it with: npm run build): ${(cause as Error).message}`,
        { cause },
      ) as Error & { code: string };
      error.code = 'ERR_NATIVE_LOAD';
      throw error;
    }
  }
  return loaded;
}
