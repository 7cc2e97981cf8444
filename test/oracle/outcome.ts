// What a director did at each step of a scenario, in the same words for both.

import type { Step } from './scene.js';
import type { Service } from './services.js';
import type { Frame } from './uml.js';

/** A connection as both directors list it: `client:port vport>server:port STATE`. */
export interface Listing {
  connections: string[];
  /** Seconds to live, in the same order. */
  expiry: number[];
  /** `vport protocol server:port` → active and inactive connections. */
  counts: Record<string, [active: number, inactive: number]>;
}

/** What one step led to. */
export type Outcome =
  | Reaction
  /** `seconds`: that the scenario has taken by then, where the clock is the real one. */
  | { listing: Listing; seconds?: number }
  | { services: Service[] };

/** `PROTOCOL vip:port` and `… server:port` → connections, packets in and out, bytes in and out. */
export type Statistics = Record<string, number[]>;

export interface Reaction {
  input: Frame;
  sent: Sent[];
  /** Sluice's name for where the packet ended. */
  end?: string;
}

/** `kernel`: handed to the kernel's own stack (only Sluice tells this apart). */
export interface Sent {
  port: 'front' | 'back' | 'kernel';
  bytes: Uint8Array;
}

export const isFrame = (step: Step): step is Frame => typeof step === 'object' && 'bytes' in step;

export function sortedListing(
  found: [connection: string, expiry: number][],
  counts: Listing['counts'],
): Listing {
  const sorted = found.sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    connections: sorted.map(([connection]) => connection),
    expiry: sorted.map(([, expiry]) => expiry),
    counts,
  };
}
