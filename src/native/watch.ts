/** Traces and captures of real packets. */

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
