/**
 * What a traced packet met, in the words of `sluice explain`: its service and connection, what the
 * scheduler had to choose from, the rewrite, the next hop, or the reason why it ended, with the
 * line of the configuration that has caused it where one has.
 */
import { formatEnd } from '../config/marks.js';
import type { Persistence } from '../config/persistence.js';
import { formatPlace, type Place } from '../errors.js';
import { type Candidate, rewrite } from '../explain.js';
import type { ConnectionState, Mode, VerdictKind } from '../native.js';
import type { Names } from './context.js';
import { type Headers, readHeaders, splitEnd } from './headers.js';
import { type CandidateRecord, HANDED_OFF, NO_END, type TraceRecord } from './records.js';

export interface TracedPacket {
  /** Nanoseconds since the epoch. */
  time: string;
  worker: number;
  port: string;
  packet: (Headers & { bytes: number }) | null;
  service: { name: string; scheduler: string; place: string | undefined } | null;
  connection: TracedConnection | null;
  /** What the scheduler had to choose from; empty where it was not asked. */
  candidates: Candidate[];
  /** `address:port` of the server that the packet's connection has. */
  choice: string | null;
  mode: Mode | null;
  /** In explain's words. */
  rewrite: string | null;
  sent: SentFrame | null;
  verdict: VerdictKind | 'handed off' | 'unknown';
  /** The end's name, as in `sluice show drops`. */
  reason: string;
  help: string;
  /** Line of the configuration that the end comes from. */
  place: string | undefined;
  /** Sentences, in the order of the packet's way. */
  steps: string[];
}

export interface TracedConnection {
  direction: 'request' | 'reply';
  isNew: boolean;
  state: ConnectionState;
  client: string;
  virtual: string;
  /** '' unless a local port was taken. */
  local: string;
  server: string;
  idleMs: number;
  timeoutMs: number;
}

export interface SentFrame {
  /** Name of the port, or of the port whose TAP twin gets it. */
  port: string;
  twin: boolean;
  headers: Headers | null;
  bytes: number;
  /** More than one: fragments. */
  frames: number;
  nextHop: string | null;
  mtu: number | null;
}

const CHOOSES_NOTHING = new Set([
  'table_full',
  'local_ports_exhausted',
  'tuple_conflict',
  'answered_port_unreachable',
]);

export function tell(record: TraceRecord, names: Names): TracedPacket {
  const headers = readHeaders(record.before, names.isGue);
  const service = names.service(record.serviceSlot);
  const end = endOf(record, names);
  const scheduled = wasScheduled(record, end.reason);
  const candidates = scheduled ? record.candidates.map((one) => candidate(one, names)) : [];
  const choice = names.server(record.serverSlot)?.server ?? null;
  const packet: TracedPacket = {
    time: `${record.time}`,
    worker: record.worker,
    port: names.port(record.port),
    packet: headers ? { ...headers, bytes: record.beforeWire } : null,
    service: service
      ? {
          name: service.model.name,
          scheduler: service.model.scheduler,
          place: text(service.locate()),
        }
      : null,
    connection: connectionOf(record, scheduled),
    candidates,
    choice: record.hasConnection || scheduled ? choice : null,
    mode: record.hasConnection ? record.mode : null,
    rewrite: null,
    sent: sentOf(record, names),
    ...end,
    place: text(causeOf(record, end.reason, headers, names)),
    steps: [],
  };
  packet.rewrite = rewriteOf(packet, record, names);
  packet.steps = stepsOf(packet, record, names);
  return packet;
}

function endOf(record: TraceRecord, names: Names) {
  if (record.end === HANDED_OFF) {
    return {
      verdict: 'handed off' as const,
      reason: 'handed_off',
      help: `worker ${record.owner} owns its flow and gets it by ring`,
    };
  }
  const info = names.layout.endInfo[record.end];
  if (record.end === NO_END || !info) {
    const help = 'the worker has told nothing of it';
    return { verdict: 'unknown' as const, reason: 'unknown', help };
  }
  return {
    verdict: info.kind,
    reason: names.layout.ends.names[record.end] as string,
    help: info.help,
  };
}

/** Nobody asks the scheduler about packets of connections, nor about those that make none. */
function wasScheduled(record: TraceRecord, reason: string): boolean {
  if (record.hadConnection || record.icmpError || record.serviceSlot === undefined) return false;
  return record.hasConnection || CHOOSES_NOTHING.has(reason);
}

function candidate(record: CandidateRecord, names: Names): Candidate {
  const server = names.server(record.slot);
  const { weight, active, inactive } = record;
  return {
    server: server?.server ?? `slot ${record.slot}`,
    mode: server?.mode ?? 'nat',
    weight,
    active,
    inactive,
    against: against(record),
    place: text(server?.place),
  };
}

function against({ up, weight, usable }: CandidateRecord): string | undefined {
  if (!up) return 'down';
  if (weight === 0) return 'weight 0: it drains';
  return usable ? undefined : 'at its threshold';
}

function connectionOf(record: TraceRecord, scheduled: boolean): TracedConnection | null {
  // One-packet scheduling keeps none.
  if (!record.hasConnection || record.timeoutMs === 0) return null;
  return {
    direction: record.isReply ? 'reply' : 'request',
    isNew: scheduled,
    state: record.stateAfter,
    client: record.client,
    virtual: record.virtual,
    local: record.local,
    server: record.server,
    idleMs: record.idleMs,
    timeoutMs: record.timeoutMs,
  };
}

function sentOf(record: TraceRecord, names: Names): SentFrame | null {
  if (record.frames === 0 || record.end === HANDED_OFF) return null;
  const port = record.wentToTwin ? record.port : record.outPort;
  return {
    port: names.port(port ?? record.port),
    twin: record.wentToTwin,
    headers: readHeaders(record.after, names.isGue) ?? null,
    bytes: record.afterWire,
    frames: record.frames,
    nextHop: record.nextHop ?? null,
    mtu: record.mtu === 0 ? null : record.mtu,
  };
}

function rewriteOf(packet: TracedPacket, record: TraceRecord, names: Names): string | null {
  const { connection, verdict, mode, choice } = packet;
  if (verdict !== 'forwarded' || !mode || record.icmpError) return null;
  if (connection?.direction === 'reply') {
    return mode === 'nat'
      ? `Masq: the source becomes ${connection.virtual}; the destination stays ${connection.client}`
      : `FullNat: the source becomes ${connection.virtual}, the destination ${connection.client}`;
  }
  const client = splitEnd(packet.packet?.from ?? '');
  const service = names.service(record.serviceSlot)?.model;
  // What really went along is told by the counters; explain's sentence tells what is configured.
  const told = service && { ...service, clientAddress: 'none' as const };
  return rewrite(mode, choice ?? record.server, client, told, connection?.local || undefined);
}

const GAVE_WAY: Record<string, string> = {
  evicted_half_open: 'a half-open connection gave way to it',
  evicted_closed: 'a closed or closing connection gave way to it',
  evicted_udp: 'a UDP connection of one direction gave way to it',
  client_option_added: 'the client’s address goes along as an option',
  client_option_no_room: 'the client’s address is left out: the header is full',
  client_option_mtu: 'the client’s address is left out: the packet would exceed the MTU',
  partial_checksum_completed: 'its checksum had been left partial and was completed',
  datagrams_reassembled: 'its fragments are one datagram again',
  neighbour_requests: 'the kernel is asked for the next hop’s MAC address',
};

/** By which Call-ID, where the bytes that were kept of the frame have it. */
function callOf({ engine }: Persistence, frame: Uint8Array): string {
  if (!engine) return '';
  const text = Buffer.from(frame).toString('latin1');
  const [, id] = /[\r\n](?:call-id|i)[ \t]*:[ \t]*(\S{1,255})[ \t]*[\r\n]/i.exec(text) ?? [];
  return ` for ${id === undefined ? 'its Call-ID' : `Call-ID ${id}`}`;
}

function stepsOf(packet: TracedPacket, record: TraceRecord, names: Names): string[] {
  const { service, connection, choice } = packet;
  const steps = [
    record.fromOtherWorker
      ? `came in by ${packet.port}, and to worker ${record.worker} by ring`
      : `came in by ${packet.port}, to worker ${record.worker}`,
  ];
  if (record.icmpError) steps.push(`an ICMP error about ${packet.packet?.quoted ?? 'the flow'}`);
  if (service && !record.hadConnection) {
    steps.push(`${packet.packet?.protocol} ${packet.packet?.to} is service ${service.name}`);
  }
  if (!service && !record.hadConnection) steps.push(...withoutService(packet, names));
  if (connection && !connection.isNew) {
    const changed = record.stateBefore === connection.state ? '' : ` → ${connection.state}`;
    const idle = (connection.idleMs / 1_000).toFixed(1);
    steps.push(
      `a connection is there: ${record.stateBefore}${changed}, last packet ${idle} s ago; ` +
        `a ${connection.direction}`,
    );
  }
  if (packet.candidates.length > 0) {
    const usable = packet.candidates.filter(({ against }) => against === undefined).length;
    const persistence = names.service(record.serviceSlot)?.model.persistence;
    const who = persistence
      ? `persistence of ${persistence.timeoutS} s${callOf(persistence, record.before)}, or ` +
        `${service?.scheduler} for a ${persistence.engine ? 'call' : 'client'} that it does not know,`
      : service?.scheduler;
    const chosen = choice ? `${who} chooses ${choice}` : 'nothing to choose';
    const more = record.servers - record.candidates.length;
    steps.push(
      `no connection yet: ${chosen}, of ${usable} that take new ones` +
        (more > 0 ? ` among the first ${record.candidates.length} of ${record.servers}` : '') +
        (names.layout.workers > 1 ? ', as this worker counts their connections' : ''),
    );
  }
  if (connection?.isNew) steps.push(made(connection));
  names.layout.extra.names.forEach((name, index) => {
    const sentence = GAVE_WAY[name];
    if (sentence && (record.extras[index] ?? 0) > 0) steps.push(sentence);
  });
  if (packet.reason === 'denied') {
    const by = admissionOf(record, packet.packet ?? undefined, names)?.by;
    steps.push(by ? `the client is denied by ${by}` : 'no entry that allows clients has this one');
  }
  if (packet.rewrite) steps.push(packet.rewrite);
  if (packet.sent) steps.push(leaves(packet.sent));
  steps.push(`${packet.verdict}: ${packet.reason}, ${packet.help}`);
  return steps;
}

/** Of a first packet to an address that has services, but not this one. */
function withoutService({ packet, verdict, reason }: TracedPacket, names: Names): string[] {
  // Other TCP packets are refused for want of a connection, whatever services there are.
  const refused =
    reason === 'answered_port_unreachable' ||
    (reason === 'answered_reset' && packet?.what === 'SYN');
  if (!packet || verdict !== 'answered' || !refused) return [];
  const other = names.serviceAt(splitEnd(packet.to).address)?.model;
  if (!other) return [];
  const { name, protocol, listen } = other;
  const has = `${name} (${protocol.toUpperCase()} ${formatEnd(protocol, listen)})`;
  return [`no service is ${packet.protocol} ${packet.to}; the address has ${has}`];
}

function made({ state, local, timeoutMs }: TracedConnection): string {
  const from = local === '' ? '' : `, speaking from ${local}`;
  return `a connection is made: ${state}, forgotten after ${timeoutMs / 1_000} s${from}`;
}

function leaves({ port, twin, headers, bytes, frames, nextHop, mtu }: SentFrame): string {
  const how = frames > 1 ? `in ${frames} frames, the first of ${bytes} bytes` : `${bytes} bytes`;
  if (twin) return `to the kernel by the TAP twin of ${port}, ${how}`;
  const to = nextHop ? `to next hop ${nextHop}` : 'back to where it came from';
  const limit = mtu ? `, MTU ${mtu}` : '';
  return `leaves by ${port} ${to} (${headers?.destinationMac}), ${how}${limit}`;
}

/** The setting that a person would look at. */
function causeOf(
  record: TraceRecord,
  reason: string,
  headers: Headers | undefined,
  names: Names,
): Place | undefined {
  const service = names.service(record.serviceSlot);
  const address = (endpoint: string | undefined) => splitEnd(endpoint ?? '').address;
  switch (reason) {
    case 'local_ports_exhausted':
      return service?.locate('localAddresses');
    case 'table_full':
      return names.locate('director', 'maxConnections');
    case 'mbufs_exhausted':
      return names.locate('director', 'mbufs');
    case 'no_route':
      return names.locate('routes');
    case 'server_removed':
    case 'tuple_conflict':
      return service?.locate('servers');
    case 'denied':
      return admissionOf(record, headers, names)?.place ?? service?.locate('clients');
    case 'no_neighbour':
      return names.server(record.serverSlot)?.place;
    case 'answered_too_big':
    case 'icmp_too_big':
      return names.locate('ports');
    case 'transmit_full':
    case 'punt_full':
      return names.locate('ports', record.outPort ?? record.port);
    case 'martian':
      return names.serviceAt(address(headers?.from))?.locate();
    case 'answered_port_unreachable':
      return service ? service.locate('servers') : names.serviceAt(address(headers?.to))?.locate();
    default:
      return reason.startsWith('answered_') || reason.includes('_without_connection')
        ? names.serviceAt(address(headers?.to))?.locate()
        : undefined;
  }
}

/** What the lists of the packet's service say of its client. */
function admissionOf(record: TraceRecord, headers: Headers | undefined, names: Names) {
  const client = record.hadConnection ? record.client : (headers?.from ?? '');
  return names.service(record.serviceSlot)?.admission(splitEnd(client).address);
}

function text(place: Place | undefined): string | undefined {
  return place && formatPlace(place);
}
