/**
 * Every coded error: the control plane's own, those that the addon throws, and those that come
 * with the dataplane's log lines. (Set-up, lab and benchmarks are programs apart with their own.)
 *
 * Exit statuses of `sluice`: 0 done; 1 what was asked for failed (a configuration with errors, an
 * unreadable file); 2 wrong usage; 3 no running director could be reached; 70 a bug of ours.
 */

import { ALERT_CODES } from './alerts/alerts.js';
import { visible, visibleLines } from './visible.js';

export const EXIT = { ok: 0, failed: 1, usage: 2, unreachable: 3, internal: 70 } as const;

/** What each code means, in one sentence: also the text of `sluice errors`. */
export const ERRORS = {
  ERR_CONFIG: 'The configuration has errors; each is listed with its place.',
  ERR_CONFIG_READ: 'The configuration file cannot be read.',
  ERR_CONFIG_SYNTAX:
    'The file is not well-formed: YAML, or the braces and quotes of keepalived.conf.',
  ERR_CONFIG_UNKNOWN_KEY: 'A key that Sluice does not know; most often a slip of the pen.',
  ERR_CONFIG_MISSING: 'A key that must be given is missing.',
  ERR_CONFIG_VALUE: 'A value of the wrong kind or out of its range.',
  ERR_CONFIG_IPV6: 'What is there for IPv4 only, or families that do not go together.',
  ERR_CONFIG_DUPLICATE: 'Two things have the same name, address or key.',
  ERR_CONFIG_REFERENCE: 'A name that nothing in the file has.',
  ERR_CONFIG_CONFLICT: 'Two settings that cannot both hold.',
  ERR_CONFIG_UNREACHABLE: 'A next hop or neighbour that no port can reach.',
  ERR_CONFIG_INCLUDE:
    'A file that a configuration includes is missing, unreadable or includes itself.',
  ERR_CONFIG_UNSUPPORTED:
    'What a configuration asks for would decide where packets go, and Sluice does not do it yet.',
  ERR_CONFIG_MEMORY: 'Less director.memory than the packet buffers take.',
  ERR_CONFIG_LIMIT: 'More services or servers than director.maxServices or maxServers allow.',
  ERR_SLOTS_EXHAUSTED:
    'No free slot: removed services or servers still have connections. Wait, or raise the limit.',
  ERR_RUNTIME_EDITS:
    'The running state was edited since its file was read; say --keep-edits or --discard-edits.',
  ERR_EDITS_FILE: 'The file of director.keepEdits cannot be written, or is torn or foreign.',
  ERR_NO_GENERATION: 'No such generation is kept to return to.',
  ERR_UNSUPPORTED: 'Understood, but the dataplane cannot do it (yet); nothing was changed.',
  ERR_SERVICE_EXISTS: 'A service with this protocol, address and port exists already.',
  ERR_NO_SUCH_SERVICE: 'No service has this protocol, address and port.',
  ERR_SERVICE_NOT_DEFINED: 'A server or local address of a service that is not there.',
  ERR_SERVER_EXISTS: 'The service has this real server already.',
  ERR_NO_SUCH_SERVER: 'The service has no such real server.',
  ERR_NOT_DRAINED: 'A server that is to take connections again has weight 0 of its own.',
  ERR_AMBIGUOUS: 'A name or address that more than one service or server has.',
  ERR_STILL_CONNECTED: 'A drained server still has connections at the end of the time to wait.',
  ERR_LOCAL_ADDRESS_EXISTS: 'The service has this local address already.',
  ERR_NO_SUCH_LOCAL_ADDRESS: 'The service has no such local address.',
  ERR_CLIENT_EXISTS: 'A client is added to a list that it is on.',
  ERR_CLIENT_FAMILY: 'A client is added to a list of a service of the other family.',
  ERR_NO_SUCH_CLIENT: 'A client is removed from a list that it is not on.',
  ERR_THRESHOLDS: "A server's lower threshold is above its upper one.",
  ERR_RESTART_NEEDED: 'A changed setting takes effect only at a restart; nothing was applied.',
  ERR_NOT_ENOUGH_CPUS: 'More workers than CPUs this process may use.',
  ERR_HUGEPAGES: 'Fewer hugepages are free than the configuration asks for.',
  ERR_FILE_LIMIT: 'This process may open fewer files than director.maxChecks needs sockets.',
  ERR_ALREADY_RUNNING: 'Another director already listens on the control socket.',
  ERR_SOCKET: 'The control socket cannot be made.',
  ERR_NOT_RUNNING: 'No director listens on the control socket.',
  ERR_NATIVE_SYNC: 'Connection sync of a replay was used before it was started.',
  ERR_SYNC_KEY: 'The key of connection sync cannot be read, or is too short.',
  ERR_SYNC_SOCKET: 'Connection sync cannot open its socket: address or port.',
  ERR_SYNC_INTERFACE: 'There is no such interface for connection sync.',
  ERR_SYNC_RUNNING: 'Connection sync is running already.',
  ERR_SYNC_NOT_RUNNING: 'No such sync daemon is running.',
  ERR_UPGRADE_RUNNING: 'Another process is taking over; changes wait until it has.',
  ERR_UPGRADE_FAILED: 'The new process could not take over; the old one goes on as before.',
  ERR_UPGRADE_PROTOCOL: 'The new process is of a version that cannot take over from this one.',
  ERR_UPGRADE_DEVICE: 'A device that two processes cannot have open at once: stop, and start.',
  ERR_UPGRADE_START: 'The new process of an upgrade cannot be started.',
  ERR_UPGRADE_ORPHANED: 'Log: the old process died during an upgrade; the new one goes on alone.',
  ERR_API: 'The running director refused or could not answer a request.',
  ERR_API_TOKEN: 'The API over TCP asks for a token, and got none that it knows.',
  ERR_API_FORBIDDEN: 'Not with this token, or not from there.',
  ERR_API_NOT_FOUND: 'The API has no such path; /openapi.json describes it.',
  ERR_API_METHOD: 'The path takes another method.',
  ERR_API_TOO_LARGE: 'A request with a larger body than the API takes.',
  ERR_API_TOO_MANY: 'Too many wrong tokens from this address: wait a minute.',
  ERR_API_FILE: 'A certificate, key or token file of the API cannot be used.',
  ERR_USAGE: 'Wrong arguments on the command line.',
  ERR_PCAP_READ: 'A capture file cannot be read.',
  ERR_PCAP_FORMAT: 'Not a pcap or pcapng file, or of a kind that Sluice does not read.',
  ERR_PCAP_TRUNCATED: 'A capture file ends in the middle of a record.',
  ERR_PCAP_CORRUPT: 'A record of a capture file contradicts itself.',
  ERR_REPLAY_PORT: 'A replay input names a port that the configuration does not have.',
  ERR_REPLAY_MAC: 'Replay needs the MAC address of every port in the configuration.',
  ERR_REPLAY_OUTPUT: 'A replay result cannot be written.',
  ERR_REALSERVER_INTERFACE: 'The real server has no interface of that name.',
  ERR_REALSERVER_PRIVILEGE: 'Loading the real server programs needs root or its capabilities.',
  ERR_REALSERVER_KERNEL: 'The kernel of the real server is too old for the agent.',
  ERR_REALSERVER_OBJECT: 'A BPF object is missing or damaged; npm run build makes it.',
  ERR_REALSERVER_LOAD: 'The kernel refuses a BPF program or map; the message has its words.',
  ERR_REALSERVER_ATTACH: 'A BPF program cannot be attached to an interface.',
  ERR_REALSERVER_CGROUP: 'There is no cgroup2 to answer getpeername in, or it is not one.',
  ERR_REALSERVER_PIN: 'The folder to pin in is in no bpf file system, or cannot be written.',
  ERR_REALSERVER_ADDRESS: 'Neither an IPv4 address nor a prefix.',
  ERR_REALSERVER_OPTIONS: 'The agent was asked for something it does not know.',
  ERR_REALSERVER_HANDLE: 'What was given is no attachment of the agent.',
  ERR_SCRIPT: 'Log: a notification script failed, or took longer than a minute.',
  ERR_SCRIPT_USER: 'A script is to run as a user or group that the system does not know.',
  ERR_CHECK_NOT_TRIED:
    'Log: a health check could not be made for want of files, memory or local ports here.',
  ERR_PASSIVE_LIMIT: 'Log: a server fails clients, but too many of its service are out already.',
  ERR_CHECKS_LATE: 'Log: more health checks are due than director.maxChecks lets run at once.',
  ERR_NATIVE_LOAD: 'The native addon is not built, or for another Node.js: npm run build.',
  ERR_NATIVE_ARGUMENT: 'A wrong argument reached the addon; the message names it. A bug of ours.',
  ERR_NATIVE_INTERNAL: 'The addon failed in a way it has no name for. A bug of ours.',
  ERR_NATIVE_SNAPSHOT: 'The addon refused a snapshot; the message has the byte. A bug of ours.',
  ERR_NATIVE_STOPPED: 'The engine has been stopped.',
  ERR_NATIVE_EAL: 'DPDK did not start; the message has its words.',
  ERR_NATIVE_EAL_STARTED: 'DPDK starts once a process, and it was started with other options.',
  ERR_NATIVE_HUGEPAGES: 'DPDK found no hugepages to use.',
  ERR_NATIVE_MEMORY: 'Not enough memory for tables or packet buffers: raise director.memory.',
  ERR_NATIVE_NETLINK: "The kernel's routes and neighbours cannot be followed.",
  ERR_NATIVE_PORT_DEVICE: 'DPDK does not know or cannot open the device of a port.',
  ERR_NATIVE_PORT_DUPLICATE: 'Two ports with one device name.',
  ERR_NATIVE_PORT_INTERFACE: 'The network interface of a port is not there.',
  ERR_NATIVE_PORT_SETUP: 'A device refuses a setting of its port; the message names it.',
  ERR_NATIVE_FILTER: 'A capture filter that libpcap does not take; the message has its words.',
  ERR_NATIVE_WATCH_BUSY: 'As many traces and captures as can be are running: wait, or end one.',
  ERR_NATIVE_WATCH_GONE: 'A trace or capture has ended, and was asked for more.',
  ERR_CAPTURE_OUTPUT: 'The file of a capture cannot be written.',
  ERR_NATIVE_TWIN: 'The TAP twin of a port cannot be made.',
  ...ALERT_CODES,
  ERR_TABLE_FULL: 'Log: the connection table is full of established ones, new ones are dropped.',
  ERR_TABLE_PRESSURE: 'Log: table or local ports are full, old half-open connections give way.',
  ERR_LOCAL_PORTS_EXHAUSTED: 'Log: no local port is free towards a server: add localAddresses.',
  ERR_MBUFS_EXHAUSTED: 'Log: no packet buffer was free: raise director.mbufs.',
  ERR_NO_NEIGHBOUR: "Log: a next hop's MAC address is not known.",
  ERR_NO_ROUTE: 'Log: no route leads to a next hop.',
  ERR_TUPLE_CONFLICT: 'Log: another connection has the same server-side addresses and ports.',
  ERR_VRRP_KEY: 'The file of an instance’s hmacKey cannot be read, or is too short.',
  ERR_VRRP_ADVERT: 'Log: a VRRP advert was dropped, or is odd; the line says why.',
  ERR_VRRP_LEASE:
    'Log: the control plane was silent for longer than vrrp.lease, so it resigned as VRRP master.',
  ERR_VRRP_LATE: 'Log: a VRRP advert left late, or what VRRP had to send or read had no room.',
  ERR_KERNEL_STATE: 'Log: the kernel has refused an address, a route or a rule; it is tried again.',
  ERR_VRRP_GROUP: 'Log: a twin is not in the multicast group of VRRP adverts; the line says why.',
  ERR_VRRP_FIFO: 'Log: vrrp.notifyFifo cannot be made or written.',
  ERR_RSS_DISAGREES: 'Log: a port spreads packets differently from what its device was told.',
  ERR_RSS_UNUSED: 'Log: ports cannot spread packets alike, workers hand them to one another.',
  ERR_PRIVILEGE: 'The process cannot become director.user, or that user does not exist.',
  ERR_CONTROL_CRASHED:
    'Log: the control plane failed; forwarding went on, and another one took over. A bug of ours.',
  ERR_CONTROL_HUNG:
    'Log: the control plane was silent for too long (--control-timeout) and was replaced.',
  ERR_CONTROL_MEMORY: 'Log: the control plane ran out of memory (--control-heap) and was replaced.',
  ERR_TWIN_GONE: 'Log: the TAP twin of a port has disappeared.',
} as const;

export type ErrorCode = keyof typeof ERRORS;

export interface Place {
  file: string;
  line: number;
  column: number;
}

export function formatPlace(place: Place): string {
  return `${place.file}:${place.line}:${place.column}`;
}

/** A mistake or a circumstance that a person can do something about: shown without a stack. */
export class SluiceError extends Error {
  override readonly name = 'SluiceError';
  readonly code: ErrorCode;
  readonly place: Place | undefined;

  constructor(code: ErrorCode, message: string, more: { place?: Place; cause?: unknown } = {}) {
    super(more.place ? `${formatPlace(more.place)}: ${message}` : message, { cause: more.cause });
    this.code = code;
    this.place = more.place;
  }
}

/** One finding in a configuration file. Warnings have WARN_ codes and never stop anything. */
export interface Problem {
  severity: 'error' | 'warning';
  code: string;
  place: Place;
  /** `services[0].servers[1].weight`; '' is the whole file. */
  path: string;
  message: string;
}

export function formatProblem(problem: Problem): string {
  const label = problem.severity === 'warning' ? 'warning: ' : '';
  const path = problem.path === '' ? '' : `${problem.path}: `;
  return visible(`${formatPlace(problem.place)}: ${label}${path}${problem.message}`);
}

/** Everything wrong with a configuration at once. */
export class ConfigError extends SluiceError {
  readonly problems: Problem[];

  constructor(
    file: string,
    problems: Problem[],
    code: 'ERR_CONFIG' | 'ERR_RESTART_NEEDED' = 'ERR_CONFIG',
  ) {
    const errors = problems.filter((problem) => problem.severity === 'error');
    super(
      code,
      `${file} has ${errors.length === 1 ? 'an error' : `${errors.length} errors`}:\n` +
        errors.map((problem) => `  ${formatProblem(problem)}`).join('\n'),
    );
    this.problems = problems;
  }
}

/** `code` of any error: ours, the addon's or Node's. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}

/** A human sentence for any error; the stack only for bugs, that is, errors without a code. */
export function describe(error: unknown): string {
  const code = codeOf(error);
  if (!(error instanceof Error)) return visibleLines(String(error));
  return visibleLines(code ? `${error.message} [${code}]` : (error.stack ?? error.message));
}

export function exitStatus(error: unknown): number {
  const code = codeOf(error);
  if (code === undefined) return EXIT.internal;
  if (code === 'ERR_USAGE') return EXIT.usage;
  if (code === 'ERR_NOT_RUNNING') return EXIT.unreachable;
  return EXIT.failed;
}
