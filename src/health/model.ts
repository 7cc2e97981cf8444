/**
 * What a configuration says about health checks, with every default filled in. Words and
 * defaults are keepalived's (keepalived.conf(5), 2.2): an option set on a service is the default of
 * its servers, one set on a server the default of its checks, so a check here carries the result.
 */
import type { Endpoint } from '../config/address.js';
import type { Tunnel } from '../config/tunnel.js';
import type { Mode } from '../native.js';

/** A program to run, with its arguments; no shell. */
export interface Script {
  argv: string[];
  /** undefined: as the director itself. */
  user: string | undefined;
  group: string | undefined;
}

/** When a check runs, and what makes it change its mind. All checkers but FILE and BFD have it. */
export interface Timing {
  /** From the end of one check to the start of the next. keepalived: 60 s. */
  delayLoopMs: number;
  /** Failures after the first that a server in service is allowed. */
  retry: number;
  delayBeforeRetryMs: number;
  /** The first check comes at a random time within this. keepalived: delay_loop. */
  warmupMs: number;
  /** Down until a check has succeeded; otherwise up until one has failed. */
  alpha: boolean;
  /** Every failure is worth a line, not only the one that takes the server out. */
  logAllFailures: boolean;
}

/** How a checker connects. */
export interface Connecting {
  /** undefined: the server's own address. */
  connectIp: string | undefined;
  /** undefined: the server's own port. */
  connectPort: number | undefined;
  bindTo: string | undefined;
  bindInterface: string | undefined;
  bindPort: number | undefined;
  /** dr, tun: the packets go to the VIP, as a client's do: to the server's MAC, or through the tunnel. */
  toVip: boolean;
  /** Socket mark of the checker's packets (SO_MARK); 0: none. */
  fwmark: number;
  connectTimeoutMs: number;
}

export interface TcpCheck extends Timing, Connecting {
  type: 'tcp';
}

export interface HttpUrl {
  path: string;
  /** MD5 of the body, hexadecimal (genhash). */
  digest: string | undefined;
  /** Inclusive ranges; keepalived's default is 200-299. */
  statusCodes: [low: number, high: number][];
  virtualhost: string | undefined;
  /** JavaScript's syntax, searched in the body. */
  regex: string | undefined;
  /** Flags of JavaScript: i m s u. */
  regexFlags: string;
  /** A match fails the check. */
  regexNoMatch: boolean;
  /** A match has to start at this offset or later, in bytes. */
  regexMinOffset: number;
  /** A match has to start before this offset; undefined: anywhere. */
  regexMaxOffset: number | undefined;
}

export interface HttpCheck extends Timing, Connecting {
  type: 'http';
  tls: boolean;
  /** Send the virtual host as the server's name (RFC 6066 section 3). */
  sni: boolean;
  /** Refuse a certificate that is not signed by `ca` (or the system's roots), or names another. */
  verify: boolean;
  ca: string | undefined;
  certificate: string | undefined;
  key: string | undefined;
  password: string | undefined;
  /** Coming up, the URLs follow one another without delay_loop between them. */
  fastRecovery: boolean;
  virtualhost: string | undefined;
  urls: HttpUrl[];
}

export interface SmtpCheck extends Timing, Connecting {
  type: 'smtp';
  heloName: string;
}

export const DNS_TYPES = ['A', 'NS', 'CNAME', 'SOA', 'MX', 'TXT', 'AAAA'] as const;

export interface DnsCheck extends Timing, Connecting {
  type: 'dns';
  queryType: (typeof DNS_TYPES)[number];
  name: string;
  /** An answer has to hold this text (an address, a name, TXT data); undefined: any answer will do. */
  answer: string | undefined;
}

export interface UdpCheck extends Timing, Connecting {
  type: 'udp';
  /** Hexadecimal; undefined: random bytes. */
  payload: string | undefined;
  requireReply: boolean;
  /** Hexadecimal, `x` for four bits that may be anything; compared as far as both reach. */
  reply: string | undefined;
  minReplyLength: number;
  maxReplyLength: number;
}

export interface PingCheck extends Timing, Connecting {
  type: 'ping';
}

export interface MiscCheck extends Timing {
  type: 'misc';
  script: Script;
  /** The script is killed then, and has failed. keepalived: delay_loop. */
  timeoutMs: number;
  /** Exit status 2–255 sets the weight to status − 2. */
  dynamic: boolean;
}

export interface FileCheck {
  type: 'file';
  path: string;
  /** The number in the file, times this, is added to the weight; a number × weight below
   * −253 fails the check. 0: the file's number itself. */
  weight: number;
  reverse: boolean;
  dynamic: boolean;
}

export interface BfdCheck {
  type: 'bfd';
  /** Name of the session: a bfd_instance, or BIRD's session to `neighbour`. */
  name: string;
  /** Address of the session's other end; undefined: the server's own. */
  neighbour: string | undefined;
  /** BIRD's control socket. */
  socket: string;
  alpha: boolean;
}

export type Check =
  | TcpCheck
  | HttpCheck
  | SmtpCheck
  | DnsCheck
  | UdpCheck
  | PingCheck
  | MiscCheck
  | FileCheck
  | BfdCheck;

/** What clients' connections tell; see passive.ts. */
export interface PassiveCheck {
  /** Connections in a row that are refused or not answered put the server out. */
  failures: number;
  /** So do so many percent of those in `windowMs`, if there are at least `minimum`; undefined: never. */
  ratio: number | undefined;
  windowMs: number;
  minimum: number;
  /** How long the first time; twice as long each time that follows, up to the maximum. */
  ejectionMs: number;
  maxEjectionMs: number;
  /** Percent of a service's servers that may be out, for whatever reason, by an ejection. */
  maxEjected: number;
}

/** Of a real server; a member of ServerModel. */
export interface ServerHealth {
  checks: Check[];
  passive: PassiveCheck | undefined;
  /** A failed server stays listed, with weight 0; otherwise it is taken out. */
  inhibitOnFailure: boolean;
  notifyUp: Script | undefined;
  notifyDown: Script | undefined;
}

/** Of a virtual service; a member of ServiceModel. */
export interface ServiceHealth {
  /** Least total weight of live servers for the service to be called up. */
  quorum: number;
  /** Gained at quorum + hysteresis, lost below quorum − hysteresis. */
  hysteresis: number;
  quorumUp: Script | undefined;
  quorumDown: Script | undefined;
  /** At shutdown notify_down of the servers and quorum_down are run. */
  omega: boolean;
  /** Takes all new connections while the quorum is lost. */
  sorryServer: { address: Endpoint; mode: Mode; tunnel?: Tunnel } | undefined;
  /** keepalived's. Here the sorry server's connections go on after it has stepped back, either way. */
  sorryServerInhibit: boolean;
}

export const BIRD_SOCKET = '/run/bird/bird.ctl';

/** keepalived's defaults, in milliseconds. */
export const DELAY_LOOP_MS = 60_000;
export const CONNECT_TIMEOUT_MS = 5_000;

/** Failures allowed after the first one. */
export function defaultRetry(type: Check['type']): number {
  return type === 'dns' ? 3 : type === 'misc' ? 0 : 1;
}

export function defaultDelayBeforeRetryMs(type: Check['type'], delayLoopMs: number): number {
  if (type === 'dns') return delayLoopMs;
  return type === 'http' ? 3_000 : 1_000;
}

/** director.maxChecks, unless told: 10 000 checks a second of which a fifth take a second and a half. */
export const MAX_CHECKS = 4_096;

/** Of a server of which nothing is said. */
export const UNCHECKED: ServerHealth = {
  checks: [],
  passive: undefined,
  inhibitOnFailure: false,
  notifyUp: undefined,
  notifyDown: undefined,
};

export const NO_QUORUM: ServiceHealth = {
  quorum: 1,
  hysteresis: 0,
  quorumUp: undefined,
  quorumDown: undefined,
  omega: false,
  sorryServer: undefined,
  sorryServerInhibit: false,
};
