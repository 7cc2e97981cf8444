/**
 * A table-friendly packet builder: fields in, an Ethernet frame with correct checksums out, and an
 * override for each thing a malformed packet can have wrong. Knows nothing of the engine's code.
 */
import {
  checksum,
  concat,
  endpoint,
  ip4,
  mac,
  onesSum,
  pseudoHeader,
  readU16,
  u16,
  u32,
} from './bytes.js';

export { checksum, concat };

export interface EthernetFields {
  /** MAC addresses; `toMac` is usually the director's port. */
  fromMac?: string;
  toMac?: string;
  etherType?: number;
  /** Bytes after the IP packet (Ethernet padding). */
  trailer?: Uint8Array;
}

/** 'good' computes it, 'bad' is one off, 'partial' is the pseudo-header's sum alone. */
export type ChecksumWish = 'good' | 'bad' | 'partial' | number;

export interface IpFields extends EthernetFields {
  ttl?: number;
  tos?: number;
  id?: number;
  df?: boolean;
  mf?: boolean;
  /** The reserved bit. */
  evil?: boolean;
  /** In units of 8 bytes. */
  fragmentOffset?: number;
  /** Raw IP options; padded with End of Option List to a multiple of 4. */
  ipOptions?: Uint8Array[];
  ipChecksum?: 'good' | 'bad' | number;
  /** Overrides, for malformed packets. */
  version?: number;
  ihl?: number;
  totalLength?: number;
}

export interface TcpFields extends IpFields {
  /** 'address:port' */
  from: string;
  to: string;
  /** Letters of F S R P A U E C. */
  flags?: string;
  seq?: number;
  ack?: number;
  window?: number;
  urgent?: number;
  /** TCP options; padded with End of Option List to a multiple of 4. */
  options?: Uint8Array[];
  payload?: Uint8Array | string;
  checksum?: ChecksumWish;
  /** Data offset in words: an override for malformed segments. */
  doff?: number;
  /** Reserved bits of the 13th byte. */
  reserved?: number;
}

export interface UdpFields extends IpFields {
  from: string;
  to: string;
  payload?: Uint8Array | string;
  checksum?: ChecksumWish | 'none';
  /** UDP length: an override for malformed datagrams. */
  length?: number;
}

export interface IcmpFields extends IpFields {
  from: string;
  to: string;
  type: number;
  code?: number;
  /** Bytes 4 … 7 of the header. */
  rest?: Uint8Array;
  payload?: Uint8Array | string;
  checksum?: 'good' | 'bad' | number;
}

export const CLIENT_MAC = '02:00:00:00:00:0c';
export const DIRECTOR_MAC = '02:00:00:00:01:01';

export const TCP_FLAGS = { F: 1, S: 2, R: 4, P: 8, A: 16, U: 32, E: 64, C: 128 } as const;

export function flagBits(letters: string): number {
  return [...letters].reduce((bits, letter) => {
    const bit = TCP_FLAGS[letter as keyof typeof TCP_FLAGS];
    if (bit === undefined) throw new Error(`no TCP flag ${letter}`);
    return bits | bit;
  }, 0);
}

export function bytesOf(payload: Uint8Array | string | undefined): Uint8Array {
  return typeof payload === 'string'
    ? new TextEncoder().encode(payload)
    : (payload ?? new Uint8Array());
}

/** `length` bytes that differ from one another, so that a shifted payload shows. */
export function pattern(length: number, start = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (start + index * 7 + (index >> 8)) & 0xff);
}

// TCP options (RFC 9293, 7323, 2018) and the ones a director adds (WIRE.md).
export const nop = Uint8Array.of(1);
export const endOfOptions = Uint8Array.of(0);
export const sackOk = Uint8Array.of(4, 2);
export const mss = (bytes: number) => concat(Uint8Array.of(2, 4), u16(bytes));
export const wscale = (shift: number) => Uint8Array.of(3, 3, shift);
export const timestamps = (value: number, echo: number) =>
  concat(Uint8Array.of(8, 10), u32(value), u32(echo));
export const sack = (...edges: number[]) =>
  concat(Uint8Array.of(5, 2 + edges.length * 4), ...edges.map(u32));
/** The client's address as a TCP option: kind, 8, port, address. */
export function toa(client: string, kind = 254): Uint8Array {
  const [address, port] = endpoint(client);
  return concat(Uint8Array.of(kind, 8), u16(port), ip4(address));
}
/** ENAT's VIP:vport: RFC 6994 shared experimental option with our ExID. */
export function enatOption(virtual: string): Uint8Array {
  const [address, port] = endpoint(virtual);
  return concat(Uint8Array.of(253, 10, 0x53, 0x4c), u16(port), ip4(address));
}
/** The client's address as an IP option (UOA). */
export function uoa(client: string): Uint8Array {
  const [address, port] = endpoint(client);
  return concat(Uint8Array.of(31, 8), u16(port), ip4(address));
}
/** ENAT's VIP:vport as an IP option (RFC 4727 experimental). */
export function enatUoa(virtual: string): Uint8Array {
  const [address, port] = endpoint(virtual);
  return concat(Uint8Array.of(94, 8), u16(port), ip4(address));
}

function padded(options: Uint8Array[] | undefined): Uint8Array {
  const joined = concat(...(options ?? []));
  return concat(joined, new Uint8Array((4 - (joined.length % 4)) % 4));
}

/** An IPv4 packet around `payload`. */
export function ipPacket(
  from: string,
  to: string,
  protocol: number,
  payload: Uint8Array,
  fields: IpFields = {},
): Uint8Array {
  const options = padded(fields.ipOptions);
  const ihl = fields.ihl ?? 5 + options.length / 4;
  const total = fields.totalLength ?? 20 + options.length + payload.length;
  const flags = (fields.evil ? 0x8000 : 0) | (fields.df ? 0x4000 : 0) | (fields.mf ? 0x2000 : 0);
  const header = concat(
    Uint8Array.of(((fields.version ?? 4) << 4) | ihl, fields.tos ?? 0),
    u16(total),
    u16(fields.id ?? 0x1234),
    u16(flags | (fields.fragmentOffset ?? 0)),
    Uint8Array.of(fields.ttl ?? 64, protocol, 0, 0),
    ip4(from),
    ip4(to),
    options,
  );
  const wish = fields.ipChecksum ?? 'good';
  const good = checksum(header);
  header.set(u16(wish === 'good' ? good : wish === 'bad' ? good ^ 1 : wish), 10);
  return concat(header, payload);
}

/** An Ethernet frame around `payload`. */
export function ethernet(payload: Uint8Array, fields: EthernetFields = {}): Uint8Array {
  return concat(
    mac(fields.toMac ?? DIRECTOR_MAC),
    mac(fields.fromMac ?? CLIENT_MAC),
    u16(fields.etherType ?? 0x0800),
    payload,
    fields.trailer ?? new Uint8Array(),
  );
}

/** Fills in a transport checksum at `at` as wished. */
function finish(
  segment: Uint8Array,
  at: number,
  from: string,
  to: string,
  protocol: number,
  wish: ChecksumWish,
): Uint8Array {
  const pseudo = pseudoHeader(ip4(from), ip4(to), protocol, segment.length);
  const good = checksum(pseudo, segment);
  const value =
    wish === 'good'
      ? good
      : wish === 'bad'
        ? good ^ 1
        : wish === 'partial'
          ? onesSum(pseudo)
          : wish;
  segment.set(u16(value), at);
  return segment;
}

export function tcpSegment(fields: TcpFields): Uint8Array {
  const [from, sport] = endpoint(fields.from);
  const [to, dport] = endpoint(fields.to);
  const options = padded(fields.options);
  const segment = concat(
    u16(sport),
    u16(dport),
    u32(fields.seq ?? 1000),
    u32(fields.ack ?? 0),
    Uint8Array.of(
      ((fields.doff ?? 5 + options.length / 4) << 4) | (fields.reserved ?? 0),
      flagBits(fields.flags ?? 'A'),
    ),
    u16(fields.window ?? 64240),
    u16(0),
    u16(fields.urgent ?? 0),
    options,
    bytesOf(fields.payload),
  );
  return finish(segment, 16, from, to, 6, fields.checksum ?? 'good');
}

export function udpDatagram(fields: UdpFields): Uint8Array {
  const [from, sport] = endpoint(fields.from);
  const [to, dport] = endpoint(fields.to);
  const payload = bytesOf(fields.payload);
  const datagram = concat(
    u16(sport),
    u16(dport),
    u16(fields.length ?? 8 + payload.length),
    u16(0),
    payload,
  );
  if (fields.checksum === 'none') return datagram;
  finish(datagram, 6, from, to, 17, fields.checksum ?? 'good');
  // RFC 768: a computed 0 is sent as all ones.
  if ((fields.checksum ?? 'good') === 'good' && readU16(datagram, 6) === 0) {
    datagram.set(u16(0xffff), 6);
  }
  return datagram;
}

export function icmpMessage(fields: IcmpFields): Uint8Array {
  const message = concat(
    Uint8Array.of(fields.type, fields.code ?? 0, 0, 0),
    fields.rest ?? new Uint8Array(4),
    bytesOf(fields.payload),
  );
  const good = checksum(message);
  const wish = fields.checksum ?? 'good';
  message.set(u16(wish === 'good' ? good : wish === 'bad' ? good ^ 1 : wish), 2);
  return message;
}

/** A TCP segment in an Ethernet frame. */
export function tcp(fields: TcpFields): Uint8Array {
  return ip(fields, 6, tcpSegment(fields));
}

/** A UDP datagram in an Ethernet frame. */
export function udp(fields: UdpFields): Uint8Array {
  return ip(fields, 17, udpDatagram(fields));
}

/** An ICMP message in an Ethernet frame. */
export function icmp(fields: IcmpFields): Uint8Array {
  return ip(fields, 1, icmpMessage(fields));
}

/** Any IP protocol in an Ethernet frame. */
export function ip(
  fields: IpFields & { from: string; to: string },
  protocol: number,
  payload: Uint8Array,
): Uint8Array {
  const [from] = endpoint(fields.from);
  const [to] = endpoint(fields.to);
  return ethernet(ipPacket(from, to, protocol, payload, fields), fields);
}

export interface EchoFields extends IpFields {
  from: string;
  to: string;
  /** Echo identifier (`id` is the IP header's). */
  identifier?: number;
  sequence?: number;
  payload?: Uint8Array | string;
}

export function echo(fields: EchoFields & { reply?: boolean }): Uint8Array {
  return icmp({
    ...fields,
    type: fields.reply ? 0 : 8,
    rest: concat(u16(fields.identifier ?? 0x4242), u16(fields.sequence ?? 1)),
    payload: fields.payload ?? pattern(56),
  });
}

export interface IcmpErrorFields extends IpFields {
  from: string;
  to: string;
  type: number;
  code: number;
  /** Next-hop MTU of fragmentation needed (RFC 1191). */
  mtu?: number;
  /** The frame whose packet is quoted. */
  quote: Uint8Array;
  /** Bytes of the quoted packet that fit; all of it unless told (RFC 1812 4.3.2.3: up to 576). */
  quoteBytes?: number;
  checksum?: 'good' | 'bad' | number;
}

/** An ICMP error that quotes the IP packet inside `quote`. */
export function icmpError(fields: IcmpErrorFields): Uint8Array {
  const packet = ipOf(fields.quote);
  return icmp({
    ...fields,
    rest: concat(u16(0), u16(fields.mtu ?? 0)),
    payload: packet.subarray(0, fields.quoteBytes ?? packet.length),
  });
}

/** The IP packet inside an Ethernet frame, without Ethernet padding. */
export function ipOf(frame: Uint8Array): Uint8Array {
  const packet = frame.subarray(14);
  const total = readU16(packet, 2);
  return total >= 20 && total <= packet.length ? packet.subarray(0, total) : packet;
}

export interface ArpFields {
  op: 1 | 2;
  senderMac: string;
  sender: string;
  targetMac?: string;
  target: string;
  fromMac?: string;
  toMac?: string;
  /** Overrides, for malformed packets. */
  hardwareType?: number;
  protocolType?: number;
  hardwareLength?: number;
  protocolLength?: number;
}

export function arp(fields: ArpFields): Uint8Array {
  return ethernet(
    concat(
      u16(fields.hardwareType ?? 1),
      u16(fields.protocolType ?? 0x0800),
      Uint8Array.of(fields.hardwareLength ?? 6, fields.protocolLength ?? 4),
      u16(fields.op),
      mac(fields.senderMac),
      ip4(fields.sender),
      mac(fields.targetMac ?? '00:00:00:00:00:00'),
      ip4(fields.target),
    ),
    {
      etherType: 0x0806,
      fromMac: fields.fromMac ?? fields.senderMac,
      toMac: fields.toMac ?? (fields.op === 1 ? 'ff:ff:ff:ff:ff:ff' : fields.targetMac),
    },
  );
}
