/** The dataplane under a virtual clock. */
import type { ConnectionPage, Limits, PortOptions } from './engine.js';
import type { SyncFigures, SyncSettings } from './sync.js';
import type { Watching } from './watch.js';

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
