/** What each mode does to a packet, in both directions, on the model's fields. */
import type { SnapshotService } from '../../../src/snapshot.js';
import { concat, readU16 } from '../bytes.js';
import { enatOption, enatUoa, nop, toa, uoa } from '../packet.js';
import { type Connection, text } from './connections.js';
import type { Hop } from './fib.js';
import {
  dontFragment,
  type Fields,
  insertTcpOptions,
  lowerMss,
  readSequence,
  rewritten,
  setPorts,
  sizeOf,
  tcpFlags,
  tcpHeaderBytes,
  writeFields,
} from './fields.js';
import { outerProtocol, shim } from './tunnel.js';

/** TOA is 8 bytes; ENAT adds 10 for the virtual address and 2 of padding. */
export function tcpOptionBytes(connection: Connection): number {
  return connection.mode === 'enat' ? 20 : 8;
}

/** UDP packets of a flow that carry the client's address: the first three, then for ENAT every 32nd. */
export const UDP_FIRST = 3;
export const UDP_EVERY = 32;

export function toServer(
  connection: Connection,
  fields: Fields,
  hop: Hop,
  service: SnapshotService | undefined,
  freshId: number,
): Fields {
  const routed = { ...fields, ttl: fields.ttl - 1 };
  switch (connection.mode) {
    case 'dr':
      return routed;
    case 'tun':
      return encapsulated(routed, hop.own, connection, freshId);
    case 'nat':
      return rewritten(
        routed,
        (packet) => {
          packet.dst = connection.server.ip;
          setPorts(packet, connection.client.port, connection.server.port);
        },
        true,
      );
    case 'fullnat':
    case 'enat': {
      const told = service?.clientAddress ?? false;
      return rewritten(routed, (packet) => fullNat(packet, connection, hop, service, told), true);
    }
  }
}

function fullNat(
  packet: Fields,
  connection: Connection,
  hop: Hop,
  service: SnapshotService | undefined,
  told: boolean,
): void {
  const local = connection.local as { ip: string; port: number };
  packet.src = local.ip;
  packet.dst = connection.server.ip;
  setPorts(packet, local.port, connection.server.port);
  // SCTP has no option to tell the client's address by.
  if (packet.protocol === 132) return;
  blotOut(packet, service?.toaKind ?? 254);
  if (!told) return;
  const enat = connection.mode === 'enat';
  const client = text(connection.client);
  const virtual = text(connection.virtual);
  if (packet.protocol === 6) {
    const flags = tcpFlags(packet);
    const bytes = tcpOptionBytes(connection);
    if (flags.includes('S')) lowerMss(packet, bytes);
    if (!tcpOptionDue(packet, connection)) return;
    if (tcpHeaderBytes(packet) + bytes > 60 || sizeOf(packet) + bytes > hop.mtu) return;
    const first = toa(client, service?.toaKind ?? 254);
    insertTcpOptions(packet, enat ? concat(first, enatOption(virtual), nop, nop) : first);
  } else {
    const option = enat ? concat(uoa(client), enatUoa(virtual)) : uoa(client);
    const before = connection.forwarded;
    const due = before < UDP_FIRST || (enat && before % UDP_EVERY === 0);
    const room = packet.options.length + option.length <= 40;
    if (!due || !room || sizeOf(packet) + option.length > hop.mtu) return;
    packet.options = concat(option, packet.options);
  }
}

/** Nobody but the director tells a server who its client is: what a client says of it becomes NOPs. */
function blotOut(packet: Fields, toaKind: number): void {
  const tcp = packet.protocol === 6;
  const options = tcp ? packet.body.slice(20, tcpHeaderBytes(packet)) : packet.options.slice();
  let at = 0;
  while (at < options.length && options[at] !== 0) {
    if (options[at] === nop[0]) {
      at += 1;
      continue;
    }
    const length = options[at + 1] ?? 0;
    if (length < 2 || at + length > options.length) break;
    const kind = options[at] as number;
    const ours = tcp
      ? kind === toaKind || (kind === 253 && length >= 4 && readU16(options, at + 2) === 0x534c)
      : kind === 31 || kind === 94;
    if (ours) options.fill(1, at, at + length);
    at += length;
  }
  if (tcp) packet.body.set(options, 20);
  else packet.options = options;
}

/** On the SYN, and until the client acknowledges more than the server's SYN; never on a reset. */
function tcpOptionDue(packet: Fields, connection: Connection): boolean {
  const flags = tcpFlags(packet);
  if (flags.includes('R')) return false;
  if (flags.includes('S')) return true;
  return connection.firstAck !== undefined && readSequence(packet)[1] === connection.firstAck;
}

export function encapsulated(
  inner: Fields,
  source: string,
  { server, tunnel, guePort = 0 }: Connection,
  freshId: number,
): Fields {
  const packet = writeFields(inner);
  const df = dontFragment(inner);
  // CE in the outer header would be lost on a server that does not copy it back: ECT(0) instead.
  const tos = (inner.tos & 3) === 3 ? inner.tos - 1 : inner.tos;
  return {
    tos,
    id: df ? 0 : freshId,
    fragment: df ? 0x4000 : 0,
    ttl: inner.ttl,
    protocol: outerProtocol(tunnel),
    src: source,
    dst: server.ip,
    options: new Uint8Array(),
    body: concat(shim(tunnel, packet, source, server.ip, guePort), packet),
  };
}

export function toClient(
  connection: Connection,
  fields: Fields,
  service: SnapshotService | undefined,
): Fields {
  return rewritten(
    { ...fields, ttl: fields.ttl - 1 },
    (packet) => {
      packet.src = connection.virtual.ip;
      packet.dst = connection.client.ip;
      setPorts(packet, connection.virtual.port, connection.client.port);
      const told = connection.mode !== 'nat' && (service?.clientAddress ?? false);
      if (told && packet.protocol === 6 && tcpFlags(packet).includes('S')) {
        lowerMss(packet, tcpOptionBytes(connection));
      }
    },
    true,
  );
}
