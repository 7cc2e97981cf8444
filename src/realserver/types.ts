/**
 * What the addon does for the real server's agent (native/addon/realserver.cc). src/native.ts
 * re-exports this as part of the boundary.
 */

/** tun: IPIP decapsulation. toa: FullNAT, TCP and UDP. enat: reply rewriting. */
export const REALSERVER_MODES = ['tun', 'toa', 'enat'] as const;
export type RealserverMode = (typeof REALSERVER_MODES)[number];

export const REALSERVER_ATTACH = ['auto', 'tcx', 'clsact'] as const;
export type RealserverAttach = (typeof REALSERVER_ATTACH)[number];

export interface RealserverAttachOptions {
  /** Where requests come in and replies go out. */
  interfaces: string[];
  /** Folder of client.bpf.o, tunnel.bpf.o and peername.bpf.o. */
  objectDir: string;
  /** Addresses or prefixes a director sends from: its own (DIP) and its local ones (LIP). */
  directors: string[];
  vips: string[];
  toaKind: number;
  modes: RealserverMode[];
  /** A cgroup2 folder; the root of the hierarchy unless given. */
  cgroup?: string;
  /** How to hang on interfaces; auto: TCX where the kernel has it (6.6), else clsact filters. */
  attach?: RealserverAttach;
  /** A folder in a bpf file system: programs and flows outlive the process. */
  pin?: string;
  /** Flows remembered at once; the longest unused go first. */
  maxFlows?: number;
  /** A flow that rests longer counts as ended (ms); LVS's timeouts unless given. */
  tcpIdleMs?: number;
  udpIdleMs?: number;
}

/** What realserverAttach returns: detached when collected, unless pinned. */
export type RealserverHandle = { readonly __realserver: unique symbol };

export interface RealserverAttachment {
  program: string;
  /** Interface or cgroup. */
  where: string;
  how: 'tcx' | 'clsact' | 'cgroup';
}

export interface RealserverCounter {
  name: string;
  help: string;
  value: number;
}

export interface RealserverNative {
  /** Throws errors with `code` ERR_REALSERVER_…, and then leaves nothing attached. */
  realserverAttach(options: RealserverAttachOptions): RealserverHandle;
  realserverAttachments(handle: RealserverHandle): RealserverAttachment[];
  realserverCounters(handle: RealserverHandle): RealserverCounter[];
  /** Reads the machine's addresses anew; how many there are. */
  realserverRefreshAddresses(handle: RealserverHandle): number;
  realserverDetach(handle: RealserverHandle): void;
}
