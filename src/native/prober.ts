/** The native thread that holds TCP conversations with servers, and sockets with options of their own. */

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
