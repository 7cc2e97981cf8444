/** ICMP errors about a connection's packets: whose, and what goes out instead. */
import { checksum, concat, readU16, u16 } from '../bytes.js';
import type { Connection, Connections } from './connections.js';
import type { Hop } from './fib.js';
import { type Fields, requote } from './fields.js';
import { encapsulated } from './forward.js';
import { type IsGue, insideOf } from './tunnel.js';

export interface IcmpPlan {
  connection: Connection;
  /** Address it is routed to. */
  towards: string;
  /** Counted as a packet of the connection: from its client, or from its server. */
  counts?: 'in' | 'out';
  build(fields: Fields, hop: Hop, freshId: number): Fields;
}

/** Destination unreachable, source quench, time exceeded: what IPVS takes for related. */
const TRANSLATED = new Set([3, 4, 11]);

export function planIcmpError(
  fields: Fields,
  connections: Connections,
  isGue: IsGue,
): IcmpPlan | 'not an error' | 'cut off' | 'unknown' {
  if (!TRANSLATED.has(fields.body[0] as number)) return 'not an error';
  const outer = fields.body.subarray(8);
  const found = quotedEnds(outer);
  if (!found) return 'cut off';
  const inside = insideOf(found.protocol, outer.subarray(found.header), found.to.ip, isGue);
  if (inside !== undefined) {
    const inner = outer.subarray(found.header + inside);
    const request = quotedEnds(inner);
    if (!request) return 'cut off';
    if (!hasPorts(request.protocol)) return 'unknown';
    const connection = connections.request(request.protocol, request.from, request.to);
    return connection?.mode === 'tun'
      ? relayed(connection, inner, found.header + inside)
      : 'unknown';
  }
  const { protocol, from, to } = found;
  if (!hasPorts(protocol)) return 'unknown';
  // The quoted packet travelled the other way: a request's error comes from the server's side.
  const aboutRequest = connections.reply(protocol, to, from);
  if (aboutRequest) return towardsClient(aboutRequest);
  const aboutReply = connections.request(protocol, to, from);
  return aboutReply ? towardsServer(aboutReply) : 'unknown';
}

const hasPorts = (protocol: number) => [6, 17, 132].includes(protocol);

/** Protocol and ends of a quoted packet; undefined if not as much as that is there (RFC 792). */
function quotedEnds(quote: Uint8Array) {
  const header = ((quote[0] ?? 0) & 15) * 4;
  if (quote.length < 20 || (quote[0] as number) >> 4 !== 4 || header < 20) return undefined;
  if (quote.length < header + 8 || (readU16(quote, 6) & 0x1fff) !== 0) return undefined;
  return {
    header,
    protocol: quote[9] as number,
    from: { ip: addressAt(quote, 12), port: readU16(quote, header) },
    to: { ip: addressAt(quote, 16), port: readU16(quote, header + 2) },
  };
}

function addressAt(bytes: Uint8Array, at: number): string {
  return bytes.subarray(at, at + 4).join('.');
}

function withQuote(fields: Fields, quote: Uint8Array): Uint8Array {
  const body = concat(fields.body.subarray(0, 8), quote);
  body.set([0, 0], 2);
  body.set(u16(checksum(body)), 2);
  return body;
}

/** The server, or a router on the way to it, complains about a request: the VIP tells the client. */
function towardsClient(connection: Connection): IcmpPlan {
  const { client, virtual } = connection;
  return {
    connection,
    towards: client.ip,
    counts: 'out',
    build: (fields) => ({
      ...fields,
      ttl: fields.ttl - 1,
      src: virtual.ip,
      dst: client.ip,
      body: withQuote(
        fields,
        requote(fields.body.subarray(8), client.ip, client.port, virtual.ip, virtual.port),
      ),
    }),
  };
}

/** The client, or a router on the way to it, complains about a reply: the server is told. */
function towardsServer(connection: Connection): IcmpPlan {
  const { mode, server, local, client } = connection;
  const plan = { connection, towards: server.ip, counts: 'in' as const };
  if (mode === 'dr') return { ...plan, build: (fields) => ({ ...fields, ttl: fields.ttl - 1 }) };
  if (mode === 'tun') {
    return {
      ...plan,
      build: (fields, hop, id) =>
        encapsulated({ ...fields, ttl: fields.ttl - 1 }, hop.own, connection, id),
    };
  }
  const towards = local ?? client;
  return {
    ...plan,
    build: (fields) => ({
      ...fields,
      ttl: fields.ttl - 1,
      // NAT servers answer to the world; FullNAT's and ENAT's know the director's addresses only.
      src: local ? local.ip : fields.src,
      dst: server.ip,
      body: withQuote(
        fields,
        requote(fields.body.subarray(8), server.ip, server.port, towards.ip, towards.port),
      ),
    }),
  };
}

/**
 * An error about an outer packet of the director's own: the client gets one of the same kind about
 * the packet it sent, with room for the outer headers left (RFC 2003 section 4).
 */
function relayed(connection: Connection, inner: Uint8Array, overhead: number): IcmpPlan {
  return {
    connection,
    towards: connection.client.ip,
    build: (fields, _hop, freshId) => {
      const [type, code] = [fields.body[0] as number, fields.body[1] as number];
      const mtu = type === 3 && code === 4 ? Math.max(68, readU16(fields.body, 6) - overhead) : 0;
      const quote = inner.subarray(0, Math.min(readU16(inner, 2), 548));
      const body = concat(Uint8Array.of(type, code, 0, 0), u16(0), u16(mtu), quote);
      body.set(u16(checksum(body)), 2);
      return {
        tos: 0xc0 | ((inner[1] as number) & 0x1e),
        id: freshId,
        fragment: 0,
        ttl: 64,
        protocol: 1,
        src: connection.virtual.ip,
        dst: connection.client.ip,
        options: new Uint8Array(),
        body,
      };
    },
  };
}
