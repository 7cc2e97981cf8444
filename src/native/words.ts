/** Names of things in the order in which the wire between TypeScript and C++ counts them. */

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
