/**
 * Two directors that share the VIPs, of one kind or the other. Both kinds have the same namespaces,
 * addresses, priorities and adverts; the router, and NAT's servers, send to addresses that move.
 */
import type { Lab } from '../../src/lab/lab.js';
import { VIP_NETWORK } from '../../src/lab/topology.js';

/** What the router sends requests to, and NAT's servers their replies. */
export const SHARED = { front: '192.0.2.100', back: '198.51.100.100' };
export const ROUTER_ID = 51;
/**
 * Of either, next to the highest: skew, (256 - priority) / 256 of an interval, is no part of what is
 * compared. Nobody preempts, so that each kill is one takeover.
 */
export const PRIORITIES = [254, 250] as const;

export type Which = 1 | 2;
export const other = (n: Which): Which => (n === 1 ? 2 : 1);

export interface Pair {
  readonly name: string;
  /** Addresses to probe, by what the results call them. */
  readonly vips: Readonly<Record<string, string>>;
  /** Whether connections go on through the other director at all. */
  readonly synchronises: boolean;
  start(n: Which): Promise<void>;
  /** What has to be killed, in this order. */
  pids(n: Which): number[];
  /** What is left of one that was killed is taken away. */
  bury(n: Which): Promise<void>;
  isMaster(n: Which): Promise<boolean>;
  /** Times that it has become the master since it was started. */
  masterships(n: Which): Promise<number>;
  /** Whether the backup knows what there is to know. */
  knows(n: Which, connections: number): Promise<boolean>;
}

/** A director's cables, at the switch. */
export const cables = (n: Which) => [`director${n}-f0`, `director${n}-b0`];

export function routeToShared(lab: Lab): void {
  lab.ns('router').ip(`route replace ${VIP_NETWORK} via ${SHARED.front}`);
  for (const { role } of lab.spaces.realServers) {
    lab.ns(role).ip(`route replace default via ${SHARED.back} table 100`);
  }
}

export function plug(lab: Lab, n: Which): void {
  lab.spaces.switch.ip(...cables(n).map((name) => `link set ${name} up`));
}
