/**
 * The packet builder for IPv6: what packet.ts is for IPv4. Endpoints are `[2001:db8::1]:80`; for
 * ICMPv6 and bare headers an address alone. Knows nothing of the engine's code.
 */
import { checksum, concat, mac, onesSum, readU16, u16, u32 } from './bytes.js';
import type { TcpFields, UdpFields } from './packet.js';
import * as p from './packet.js';

export interface Ip6Fields {
  hops?: number;
  trafficClass?: number;
  flow?: number;
  /** Extension headers: what they are, and their bytes behind next header and length. */
  extensions?: { kind: number; body: Uint8Array }[];
  trailer?: Uint8Array;
  toMac?: string;
  fromMac?: string;
  /** Overrides, for malformed packets. */
  version?: number;
  payloadLength?: number;
}
export type Tcp6Fields = Ip6Fields & Omit<TcpFields, 'checksum'> & { checksum?: Wish };
export type Udp6Fields = Ip6Fields & Omit<UdpFields, 'checksum'> & { checksum?: Wish };
type Wish = 'good' | 'bad' | 'none' | 'partial';

/** '2001:db8::1' → 16 bytes. */
export function ip6(text: string): Uint8Array {
  const [head = '', tail] = text.split('::');
  const words = (part: string) => part.split(':').filter((word) => word !== '');
  const [left, right] = [words(head), words(tail ?? '')];
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  const all = [...left, ...Array<string>(zeros).fill('0'), ...right];
  if (all.length !== 8) throw new Error(`not an IPv6 address: ${text}`);
  return concat(...all.map((word) => u16(Number.parseInt(word, 16))));
}

/** '[2001:db8::1]:80' → its parts; a bare address has port 0. */
export function end6(text: string): [address: string, port: number] {
  const [, address, port] = /^\[(.+)\]:(\d+)$/.exec(text) ?? [];
  return address === undefined ? [text, 0] : [address, Number(port)];
}

export function pseudo6(from: string, to: string, protocol: number, length: number): Uint8Array {
  return concat(ip6(from), ip6(to), u32(length), u32(protocol));
}

/** An IPv6 packet around `payload`. */
export function packet6(
  from: string,
  to: string,
  protocol: number,
  payload: Uint8Array,
  fields: Ip6Fields = {},
): Uint8Array {
  const kinds = [...(fields.extensions ?? []).map(({ kind }) => kind), protocol];
  const extensions = concat(
    ...(fields.extensions ?? []).map(({ body }, at) => {
      const bytes = concat(Uint8Array.of(kinds[at + 1] as number, 0), body);
      if (bytes.length % 8 !== 0) throw new Error('an extension header is of 8-byte units');
      bytes[1] = kinds[at] === 44 ? 0 : bytes.length / 8 - 1;
      return bytes;
    }),
  );
  const length = fields.payloadLength ?? extensions.length + payload.length;
  return concat(
    u32(
      (((fields.version ?? 6) << 28) | ((fields.trafficClass ?? 0) << 20) | (fields.flow ?? 0)) >>>
        0,
    ),
    u16(length),
    Uint8Array.of(kinds[0] as number, fields.hops ?? 64),
    ip6(from),
    ip6(to),
    extensions,
    payload,
  );
}

function frame6(packet: Uint8Array, fields: Ip6Fields): Uint8Array {
  return concat(
    mac(fields.toMac ?? p.DIRECTOR_MAC),
    mac(fields.fromMac ?? p.CLIENT_MAC),
    u16(0x86dd),
    packet,
    fields.trailer ?? new Uint8Array(),
  );
}

function summed(
  segment: Uint8Array,
  at: number,
  from: string,
  to: string,
  protocol: number,
  wish: Wish = 'good',
): Uint8Array {
  segment.set(u16(0), at);
  if (wish === 'none') return segment;
  const pseudo = pseudo6(from, to, protocol, segment.length);
  const good = checksum(pseudo, segment);
  const right = good === 0 && protocol === 17 ? 0xffff : good;
  segment.set(u16(wish === 'partial' ? onesSum(pseudo) : wish === 'bad' ? right ^ 1 : right), at);
  return segment;
}

/** Any upper layer in an Ethernet frame. */
export function ip6Frame(
  fields: Ip6Fields & { from: string; to: string },
  protocol: number,
  payload: Uint8Array,
): Uint8Array {
  const [from] = end6(fields.from);
  const [to] = end6(fields.to);
  return frame6(packet6(from, to, protocol, payload, fields), fields);
}

export function tcp6(fields: Tcp6Fields): Uint8Array {
  const [from, sport] = end6(fields.from);
  const [to, dport] = end6(fields.to);
  const bare = { ...fields, from: `0.0.0.0:${sport}`, to: `0.0.0.0:${dport}`, checksum: 0 };
  return ip6Frame(fields, 6, summed(p.tcpSegment(bare), 16, from, to, 6, fields.checksum));
}

export function udp6(fields: Udp6Fields): Uint8Array {
  const [from, sport] = end6(fields.from);
  const [to, dport] = end6(fields.to);
  const bare = { ...fields, from: `0.0.0.0:${sport}`, to: `0.0.0.0:${dport}`, checksum: 0 };
  return ip6Frame(fields, 17, summed(p.udpDatagram(bare), 6, from, to, 17, fields.checksum));
}

export interface Icmp6Fields extends Ip6Fields {
  from: string;
  to: string;
  type: number;
  code?: number;
  /** Bytes 4 … 7 of the header. */
  rest?: Uint8Array;
  payload?: Uint8Array;
  checksum?: Wish;
}

export function icmp6(fields: Icmp6Fields): Uint8Array {
  const message = concat(
    Uint8Array.of(fields.type, fields.code ?? 0, 0, 0),
    fields.rest ?? new Uint8Array(4),
    fields.payload ?? new Uint8Array(),
  );
  return ip6Frame(fields, 58, summed(message, 2, fields.from, fields.to, 58, fields.checksum));
}

/** The IPv6 packet inside an Ethernet frame, without Ethernet padding. */
export function ip6Of(frame: Uint8Array): Uint8Array {
  return frame.subarray(14, 14 + 40 + readU16(frame, 18));
}

/** An ICMPv6 error that quotes the packet inside `quote`, as much of it as fits 1280 bytes. */
export function icmp6Error(
  fields: Icmp6Fields & { quote: Uint8Array; quoteBytes?: number },
): Uint8Array {
  const packet = ip6Of(fields.quote);
  return icmp6({ ...fields, payload: packet.subarray(0, fields.quoteBytes ?? 1232) });
}

/** A Neighbour Solicitation with its source's link-layer address. */
export function solicitation(
  fields: Ip6Fields & { from: string; to: string; target: string; checksum?: Wish },
): Uint8Array {
  const unspecified = fields.from === '::';
  const option = concat(Uint8Array.of(1, 1), mac(fields.fromMac ?? p.CLIENT_MAC));
  return icmp6({
    hops: 255,
    ...fields,
    type: 135,
    payload: concat(ip6(fields.target), unspecified ? new Uint8Array() : option),
  });
}

/** What answers one: `flags` are solicited 0x40, override 0x20. */
export function advertisement(
  fields: Ip6Fields & { from: string; to: string; target: string; flags: number; own: string },
): Uint8Array {
  return icmp6({
    hops: 255,
    ...fields,
    type: 136,
    rest: Uint8Array.of(fields.flags, 0, 0, 0),
    payload: concat(ip6(fields.target), Uint8Array.of(2, 1), mac(fields.own)),
  });
}

/** TOA of IPv6: kind, 20, port, address. */
export function toa6(client: string, kind = 254): Uint8Array {
  const [address, port] = end6(client);
  return concat(Uint8Array.of(kind, 20), u16(port), ip6(address));
}
