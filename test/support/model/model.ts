/**
 * The dumb model of a director: one packet at a time, Maps and arrays, every checksum in full. It
 * is the second opinion on native/engine, written from the specification (WIRE.md) and from what a
 * real Linux IPVS was seen to do.
 *
 * Choices that are the engine's own (local address and port, IP IDs of made packets, mh's pick) are
 * read off its output, checked for legality and followed from then on.
 */
import type { Mode } from '../../../src/native.js';
import type { Snapshot, SnapshotServer, SnapshotService } from '../../../src/snapshot.js';
import { checksum, concat, ip4, macText, readU16 } from '../bytes.js';
import { dissect } from '../dissect.js';
import { ethernet } from '../packet.js';
import { decisiveChunk } from '../sctp.js';
import { arpReply, echoReply, icmpError, resetTo } from './answers.js';
import { checksumHolds, completePartial, hasSourceRoute, headerFits, isMartian } from './checks.js';
import {
  type Connection,
  Connections,
  type Endpoint,
  findServer,
  findService,
  seesReplies,
  serviceOf,
  text,
} from './connections.js';
import { type Hop, type ModelPort, routeTo, v4Text } from './fib.js';
import {
  dontFragment,
  type Fields,
  ports as portsOf,
  readFields,
  sizeOf,
  tcpFlags,
  writeFields,
} from './fields.js';
import { toClient, toServer } from './forward.js';
import { fragments, Reassembly } from './fragments.js';
import { planIcmpError } from './icmp.js';
import { Ledger } from './ledger.js';
import { beginsAnew, progress } from './progress.js';
import { predict, type SchedulingState, usable } from './schedulers.js';
import { type Sight, timeoutOf } from './states.js';
import { GUE_SOURCES, gueOf, overheadOf } from './tunnel.js';
import { answer, drop, type Expected, forward, punt, type Seen } from './verdicts.js';

/** What the engine's table says of a connection. */
export interface Peeked {
  local?: Endpoint;
  serverSlot: number;
}

interface Arrival {
  frame: Uint8Array;
  port: number;
  packet: Uint8Array;
  fields: Fields;
  seen: Seen;
  /** Largest of the fragments it came in; 65535: came whole. */
  pieceBytes: number;
}

export class Model {
  readonly connections = new Connections();
  readonly ledger = new Ledger();
  now = 0;
  private readonly reassembly = new Reassembly();
  private readonly scheduling = new Map<number, SchedulingState>();
  /** Asks the engine's table about a connection whose first packet left nothing to read. */
  peek: (protocol: number, client: Endpoint, virtual: Endpoint) => Peeked | undefined = () =>
    undefined;

  constructor(
    public snapshot: Snapshot,
    readonly ports: ModelPort[],
  ) {
    this.ledger.thresholdsChanged(snapshot);
  }

  publish(snapshot: Snapshot): void {
    this.ledger.thresholdsChanged(snapshot);
    this.snapshot = snapshot;
  }

  advance(nowMs: number): void {
    this.now = nowMs;
    for (const { serverSlot } of this.connections.expire(nowMs)) this.weigh(serverSlot, false);
  }

  receive(frame: Uint8Array, port: number, seen: Seen): Expected {
    if (frame.length < 14) return drop('short_frame');
    const own = this.ports[port] as ModelPort;
    const toMac = macText(frame, 0);
    const group = ((frame[0] as number) & 1) === 1;
    if (!group && toMac !== own.mac) return drop('not_for_us_unicast');
    const etherType = readU16(frame, 12);
    const rest = frame.subarray(14);
    if (etherType === 0x0806) {
      return rest.length < 28 ? drop('short_frame') : this.arp(frame, port);
    }
    if (etherType !== 0x0800) return punt('punted_not_ipv4', frame, port);
    if (rest.length < 20) return drop('short_frame');
    const header = ((rest[0] as number) & 15) * 4;
    if ((rest[0] as number) >> 4 !== 4 || header < 20) return drop('bad_ip_header');
    if (header > rest.length) return drop('bad_ip_header', 'bad_ip_length', 'short_frame');
    const total = readU16(rest, 2);
    if (total < header || total > rest.length) return drop('bad_ip_length');
    if (checksum(rest.subarray(0, header)) !== 0) return drop('bad_ip_checksum');
    const packet = rest.subarray(0, total);
    const fields = readFields(packet);
    // Multicast and broadcast are the kernel's, unicast in a group frame as well.
    if (group) return punt('punted_not_ours', frame, port);
    if (isMartian(fields.src)) return drop('martian');
    if (hasSourceRoute(fields) && this.isOwned(fields.dst)) return drop('source_route');
    const arrival: Arrival = { frame, port, packet, fields, seen, pieceBytes: 65535 };
    if ((fields.fragment & 0x3fff) === 0) return this.datagram(arrival);
    if (!this.isOwned(fields.dst) && !this.isNatServer(fields.src)) {
      return punt('punted_not_ours', trimmed(arrival), port);
    }
    const whole = this.reassembly.add(fields, this.now);
    if (!whole) return { kind: 'forwarded', ends: ['reassembled'], outputs: [] };
    return this.datagram({
      ...arrival,
      fields: whole.fields,
      packet: writeFields(whole.fields),
      pieceBytes: whole.pieceBytes,
    });
  }

  /** A whole IP packet to this station. */
  private datagram(arrival: Arrival): Expected {
    const { fields } = arrival;
    if ([1, 6, 17, 132].includes(fields.protocol) && !headerFits(fields))
      return drop('bad_l4_header');
    if (fields.protocol === 1) return this.icmp(arrival);
    if ([6, 17, 132].includes(fields.protocol)) return this.transport(arrival);
    if (!this.isOwned(fields.dst)) return this.leave(arrival);
    if (this.isOurs(fields.src)) return drop('martian');
    return this.answerIcmp(arrival, 'answered_protocol_unreachable', 3, 2);
  }

  // ARP and what the director answers itself.

  private arp(frame: Uint8Array, port: number): Expected {
    const own = this.ports[port] as ModelPort;
    const reply = arpReply(frame, own.mac, (address) => this.isOwned(address));
    return reply ? answer('answered_arp', port, [reply]) : punt('punted_arp', frame, port);
  }

  /** To the kernel; a datagram that came in fragments goes there as one packet. */
  private leave(a: Arrival): Expected {
    if (this.isOwned(a.fields.src)) return drop('martian');
    return punt('punted_not_ours', trimmed(a), a.port);
  }

  private answerIcmp(a: Arrival, end: string, type: number, code: number): Expected {
    return this.icmpTo(a, end, a.fields.dst, a.packet, [type, code, 0]);
  }

  /** An ICMP error to the packet's source; `from` is the address that speaks. */
  private icmpTo(
    a: Arrival,
    end: string,
    from: string,
    about: Uint8Array,
    what: [type: number, code: number, mtu: number],
  ): Expected {
    return this.answerFrom(a, end, icmpError(from, a.fields, about, what, freeId(a)));
  }

  /** Answers go back to the station that the packet came from. */
  private answerFrom(a: Arrival, end: string, ...packets: Uint8Array[]): Expected {
    const macs = { fromMac: (this.ports[a.port] as ModelPort).mac, toMac: macText(a.frame, 6) };
    return answer(
      end,
      a.port,
      packets.map((packet) => ethernet(packet, macs)),
    );
  }

  private reset(a: Arrival): Expected {
    if (tcpFlags(a.fields).includes('R')) return drop('reset_without_connection');
    if (!checksumHolds(a.fields)) return drop('bad_l4_checksum');
    return this.answerFrom(a, 'answered_reset', resetTo(a.fields));
  }

  private echo(a: Arrival): Expected {
    if (checksum(a.fields.body) !== 0) return drop('bad_icmp_checksum');
    const { mtu } = this.ports[a.port] as ModelPort;
    const reply = readFields(echoReply(a.fields, freeId(a)));
    const room = sizeOf(reply) <= mtu ? mtu : Math.min(mtu, a.pieceBytes);
    return this.answerFrom(a, 'answered_echo', ...fragments(reply, room).map(writeFields));
  }

  // TCP, UDP and SCTP.

  private transport(a: Arrival): Expected {
    const { fields } = a;
    if (this.ports[a.port]?.partialChecksums && completePartial(fields)) {
      a.packet = writeFields(fields);
    }
    const [sport, dport] = portsOf(fields);
    const from: Endpoint = { ip: fields.src, port: sport };
    const to: Endpoint = { ip: fields.dst, port: dport };
    const known = this.connections.request(fields.protocol, from, to);
    if (known) return this.known(a, known);
    const replied = this.connections.reply(fields.protocol, from, to);
    if (replied) return this.reply(a, replied);
    const service = findService(this.snapshot.services, fields.protocol, to.ip, to.port);
    if (service) return this.first(a, service, from, to);
    if (!this.isOwned(fields.dst)) return this.leave(a);
    return this.noService(a);
  }

  private noService(a: Arrival): Expected {
    if (this.isOurs(a.fields.src)) return drop('martian');
    if (a.fields.protocol === 6) return this.reset(a);
    if (a.fields.protocol === 132) {
      return this.answerIcmp(a, 'answered_protocol_unreachable', 3, 2);
    }
    if (!checksumHolds(a.fields)) return drop('bad_l4_checksum');
    return this.answerIcmp(a, 'answered_port_unreachable', 3, 3);
  }

  /** A packet of a known connection from its client. */
  private known(a: Arrival, connection: Connection): Expected {
    const server = findServer(this.snapshot.services, connection);
    const { protocol, virtual } = connection;
    const resets = serviceOf(this.snapshot.services, connection)?.resetOnServerRemoved === true;
    if (!beginsAnew(a.fields, connection)) {
      if (server && (server.up || !resets)) return this.request(a, connection);
      if (!resets) return drop('server_removed');
    }
    this.connections.remove(connection);
    this.weigh(connection.serverSlot, false);
    const service = findService(this.snapshot.services, protocol, virtual.ip, virtual.port);
    if (service) return this.first(a, service, connection.client, virtual);
    return this.isOwned(virtual.ip) ? this.noService(a) : this.leave(a);
  }

  /** The first packet of a client: scheduled if it may open a connection. */
  private first(a: Arrival, service: SnapshotService, client: Endpoint, to: Endpoint): Expected {
    const { fields } = a;
    if (this.isOurs(fields.src)) return drop('martian');
    if (fields.protocol === 6) {
      const flags = tcpFlags(fields);
      if (flags.includes('R') || !flags.includes('S')) return this.reset(a);
    }
    if (fields.protocol === 132 && decisiveChunk(fields.body) !== 'INIT') {
      return this.isOwned(fields.dst) ? this.noService(a) : this.leave(a);
    }
    const chosen = this.schedule(a, service, client);
    if (chosen === undefined) return this.answerIcmp(a, 'answered_port_unreachable', 3, 3);
    if (typeof chosen === 'string') return { ...drop(), illegal: chosen };
    const connection: Connection = {
      protocol: fields.protocol as 6 | 17 | 132,
      mode: chosen.mode,
      client,
      virtual: to,
      // DR and TUN leave the packet's port alone, whatever the server's says.
      server: {
        ip: v4Text(chosen.address),
        port: keepsPort(chosen.mode) || chosen.port === 0 ? to.port : chosen.port,
      },
      serviceSlot: service.slot,
      serverSlot: chosen.slot,
      state: 'NONE',
      expires: Number.POSITIVE_INFINITY,
      timeout: 0,
      forwarded: 0,
    };
    const bothEnds = chosen.mode === 'fullnat' || chosen.mode === 'enat';
    if (service.onePacket && fields.protocol === 17 && !bothEnds) {
      // ipvsadm -o: forwarded like a connection's packet, but none is kept.
      this.ledger.made(connection);
      return this.request(a, connection);
    }
    if (bothEnds) {
      const local = this.chooseLocal(a, service, connection);
      if (typeof local === 'string') return { ...drop(), illegal: local };
      connection.local = local;
    }
    if (!this.connections.add(connection)) return drop('tuple_conflict');
    this.weigh(connection.serverSlot, true);
    this.ledger.made(connection);
    return this.request(a, connection);
  }

  private schedule(
    a: Arrival,
    service: SnapshotService,
    client: Endpoint,
  ): SnapshotServer | string | undefined {
    const state = this.scheduling.get(service.slot) ?? {};
    this.scheduling.set(service.slot, state);
    const loadOf = (server: SnapshotServer) => this.ledger.load(this.connections, server.slot);
    const [source, destination] = [ip4(client.ip), ip4(a.fields.dst)];
    const choice = predict(service, state, loadOf, source, client.port, destination, this.now);
    if (choice.kind === 'none') return undefined;
    if (choice.kind === 'server') return service.servers.find(({ slot }) => slot === choice.slot);
    const virtual = { ip: v4Text(service.address), port: service.port };
    const picked = a.seen.server ?? this.peek(a.fields.protocol, client, virtual)?.serverSlot;
    const target = service.servers.find(({ slot }) => slot === picked);
    if (!target || !usable(target, loadOf(target))) return `scheduled to ${picked}`;
    if (service.scheduler === 'rr') state.last = target.slot;
    return target;
  }

  /** A connection of this server has come or gone. */
  private weigh(slot: number, came: boolean): void {
    this.ledger.weigh(this.snapshot, this.connections, slot, came);
  }

  private chooseLocal(
    a: Arrival,
    service: SnapshotService,
    connection: Connection,
  ): Endpoint | string {
    const ip = a.seen.kind === 'forwarded' ? ipOf(a) : undefined;
    const port = ip?.tcp?.sport ?? ip?.udp?.sport ?? ip?.sctp?.sport;
    const local =
      ip && port !== undefined
        ? { ip: ip.src, port }
        : this.peek(connection.protocol, connection.client, connection.virtual)?.local;
    if (!local) return 'nothing left and no connection was made: no local port';
    const allowed = service.localAddresses.map(v4Text);
    if (allowed.length === 0 && connection.mode === 'enat') allowed.push(connection.virtual.ip);
    if (!allowed.includes(local.ip)) return `${local.ip} is not a local address of the service`;
    if (local.port < 1024) return `local port ${local.port}`;
    if (this.connections.localTaken(connection.protocol, local, connection.server)) {
      return `${text(local)} is already used towards ${text(connection.server)}`;
    }
    return local;
  }

  /** Forwards a request: state, counters, then TTL, rewriting and size. */
  private request(a: Arrival, connection: Connection): Expected {
    const about = {
      mode: connection.mode,
      service: connection.serviceSlot,
      server: connection.serverSlot,
    };
    this.touch(a, connection, seesReplies(connection.mode) ? 'request' : 'requestOnly');
    // As LVS: counted before anything can go wrong.
    this.ledger.count(connection, 'in', a.packet.length);
    if (a.fields.ttl <= 1) return this.answerIcmp(a, 'answered_time_exceeded', 11, 0);
    const hop = routeTo(this.snapshot, this.ports, connection.server.ip);
    if (typeof hop === 'string') return { ...drop(hop), ...about };
    const service = serviceOf(this.snapshot.services, connection);
    const illegal = this.wrap(a, connection);
    const out = toServer(connection, a.fields, hop, service, freeId(a));
    if (isTooBig(a, out, hop)) {
      const overhead = connection.mode === 'tun' ? overheadOf(connection.tunnel) : 0;
      return this.tooBig(a, a.fields.dst, hop.mtu - overhead);
    }
    connection.forwarded += 1;
    const sent = cut(a, out, hop);
    return { ...forward(`forwarded_${connection.mode}`, hop.port, sent), ...about, ...illegal };
  }

  /** TUN: as its server is configured now. GUE's source port is the engine's own, and stays. */
  private wrap(a: Arrival, connection: Connection): { illegal?: string } {
    if (connection.mode !== 'tun') return {};
    const server = findServer(this.snapshot.services, connection);
    if (server) connection.tunnel = server.tunnel;
    const port = ipOf(a)?.udp?.sport;
    const forwarded = a.seen.kind === 'forwarded' && connection.tunnel?.type === 'gue';
    if (!forwarded || port === undefined) return {};
    connection.guePort ??= port;
    const { first, last } = GUE_SOURCES;
    return port >= first && port <= last ? {} : { illegal: `GUE from port ${port}` };
  }

  /** IPVS quotes with the TTL already lowered, RFC 1812 section 4.3.2.3 as it came: both will do. */
  private tooBig(a: Arrival, from: string, mtu: number): Expected {
    const lowered = { ...a.fields, ttl: a.fields.ttl - 1 };
    const quotedTtl = ipOf(a)?.icmp?.quote?.ttl;
    const about = quotedTtl === lowered.ttl ? writeFields(lowered) : a.packet;
    return this.icmpTo(a, 'answered_too_big', from, about, [3, 4, mtu]);
  }

  private reply(a: Arrival, connection: Connection): Expected {
    const about = {
      mode: connection.mode,
      service: connection.serviceSlot,
      server: connection.serverSlot,
    };
    // A router speaks from its own address; a FullNAT server knows the director by the LIP.
    const speaker = connection.mode === 'nat' ? this.ownAddress(a.port) : a.fields.dst;
    this.touch(a, connection, 'reply');
    if (a.fields.ttl <= 1) {
      return this.icmpTo(a, 'answered_time_exceeded', speaker, a.packet, [11, 0, 0]);
    }
    const hop = routeTo(this.snapshot, this.ports, connection.client.ip);
    if (typeof hop === 'string') return { ...drop(hop), ...about };
    const service = serviceOf(this.snapshot.services, connection);
    const out = toClient(connection, a.fields, service);
    if (isTooBig(a, out, hop)) {
      return this.icmpTo(a, 'answered_too_big', speaker, a.packet, [3, 4, hop.mtu]);
    }
    this.ledger.count(connection, 'out', a.packet.length);
    const sent = cut(a, out, hop);
    // An ENAT server without its agent answers as a FullNAT one would, and is served.
    const end = connection.mode === 'nat' ? 'forwarded_nat_reply' : 'forwarded_fullnat_reply';
    return { ...forward(end, hop.port, sent), ...about };
  }

  private touch(a: Arrival, connection: Connection, sight: Sight): void {
    progress(connection, a.fields, sight);
    connection.timeout = timeoutOf(connection.state, this.snapshot.timeouts, connection.protocol);
    connection.expires = this.now + connection.timeout;
  }

  // ICMP.

  private icmp(a: Arrival): Expected {
    const { fields } = a;
    const owned = this.isOwned(fields.dst);
    const elsewhere = this.leave(a);
    const plan = planIcmpError(fields, this.connections, gueOf(this.snapshot.services));
    if (typeof plan === 'string') {
      if (!owned) return elsewhere;
      if (this.isOurs(fields.src)) return drop('martian');
      if (fields.body[0] === 8 && fields.body[1] === 0) return this.echo(a);
      return drop(plan === 'not an error' ? 'icmp_not_echo' : 'icmp_without_connection');
    }
    if (checksum(fields.body) !== 0) return drop('bad_icmp_checksum');
    // No ICMP error about an ICMP error (RFC 1122 section 3.2.2).
    if (fields.ttl <= 1) return drop('icmp_ttl_expired');
    const hop = routeTo(this.snapshot, this.ports, plan.towards);
    if (typeof hop === 'string') return drop(hop);
    const about = {
      mode: plan.connection.mode,
      service: plan.connection.serviceSlot,
      server: plan.connection.serverSlot,
    };
    if (plan.counts) this.ledger.count(plan.connection, plan.counts, a.packet.length);
    const towardsServer = plan.towards === plan.connection.server.ip;
    const illegal = towardsServer ? this.wrap(a, plan.connection) : {};
    const out = plan.build(fields, hop, freeId(a));
    if (isTooBig(a, out, hop)) return { ...drop('icmp_too_big'), ...about };
    const sent = cut(a, out, hop);
    return { ...forward('forwarded_icmp_error', hop.port, sent), ...about, ...illegal };
  }

  private isNatServer(address: string): boolean {
    return this.snapshot.services.some((service) =>
      service.servers.some((server) => server.mode === 'nat' && v4Text(server.address) === address),
    );
  }

  private isOwned(address: string): boolean {
    return this.snapshot.owned.some((owned) => v4Text(owned) === address);
  }

  /** The director's own addresses, the kernel's among them: nobody else may speak from them. */
  private isOurs(address: string): boolean {
    const own = this.snapshot.portAddresses.some((entry) => v4Text(entry.address) === address);
    return own || this.isOwned(address);
  }

  private ownAddress(port: number): string {
    const own = this.snapshot.portAddresses.find((entry) => entry.port === port);
    return own ? v4Text(own.address) : '0.0.0.0';
  }
}

/** Without Ethernet padding. */
function trimmed(a: Arrival): Uint8Array {
  return concat(a.frame.subarray(0, 14), a.packet);
}

function keepsPort(mode: Mode): boolean {
  return mode === 'dr' || mode === 'tun';
}

/** Too big to send: what came in fragments leaves in fragments, DF or not. */
function isTooBig(a: Arrival, out: Fields, hop: Hop): boolean {
  return a.pieceBytes === 65535 && sizeOf(out) > hop.mtu && dontFragment(out);
}

function cut(a: Arrival, out: Fields, hop: Hop): Uint8Array[] {
  const pieces = fragments(out, Math.min(hop.mtu, a.pieceBytes));
  return pieces.map((piece) => framed(hop, writeFields(piece)));
}

function framed(hop: Hop, packet: Uint8Array): Uint8Array {
  return ethernet(packet, { fromMac: hop.ownMac, toMac: hop.mac });
}

function ipOf(a: Arrival) {
  const first = a.seen.outputs[0];
  return first ? dissect(first.bytes).ip : undefined;
}

/** ID of a packet the engine made: its own choice. */
function freeId(a: Arrival): number {
  return ipOf(a)?.id ?? 0;
}
