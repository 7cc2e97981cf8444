/**
 * Packets as the model handles them: an IPv4 header as named fields, its payload as bytes. Writing
 * one out computes every checksum anew; a checksum that was wrong on arrival stays wrong by the
 * same amount, as RFC 1624's arithmetic leaves it.
 */
import {
  checksum,
  concat,
  crc32c,
  ip4,
  ip4Text,
  onesSum,
  pseudoHeader,
  readU16,
  readU32,
  u16,
  u32,
} from '../bytes.js';
import { nop } from '../packet.js';
import { sctpChecksum } from '../sctp.js';

export interface Fields {
  tos: number;
  id: number;
  /** Flags and offset. */
  fragment: number;
  ttl: number;
  protocol: number;
  src: string;
  dst: string;
  options: Uint8Array;
  body: Uint8Array;
}

export function readFields(packet: Uint8Array): Fields {
  const header = ((packet[0] as number) & 15) * 4;
  return {
    tos: packet[1] as number,
    id: readU16(packet, 4),
    fragment: readU16(packet, 6),
    ttl: packet[8] as number,
    protocol: packet[9] as number,
    src: ip4Text(packet, 12),
    dst: ip4Text(packet, 16),
    options: packet.slice(20, header),
    body: packet.slice(header, readU16(packet, 2)),
  };
}

export function writeFields(fields: Fields): Uint8Array {
  const header = concat(
    Uint8Array.of(0x45 + fields.options.length / 4, fields.tos),
    u16(20 + fields.options.length + fields.body.length),
    u16(fields.id),
    u16(fields.fragment),
    Uint8Array.of(fields.ttl, fields.protocol, 0, 0),
    ip4(fields.src),
    ip4(fields.dst),
    fields.options,
  );
  header.set(u16(checksum(header)), 10);
  return concat(header, fields.body);
}

export function sizeOf(fields: Fields): number {
  return 20 + fields.options.length + fields.body.length;
}

export function dontFragment(fields: Fields): boolean {
  return (fields.fragment & 0x4000) !== 0;
}

/** Where the transport's checksum lies in its header. */
export function checksumAt(protocol: number): number {
  return protocol === 6 ? 16 : 6;
}

/** The bytes a transport checksum covers: UDP's own length counts, not IP's (RFC 768). */
export function segmentOf(fields: Fields): Uint8Array {
  return fields.protocol === 17
    ? fields.body.slice(0, readU16(fields.body, 4))
    : fields.body.slice();
}

/** The transport checksum that this packet should carry, computed in full. */
export function rightChecksum(fields: Fields): number {
  const at = checksumAt(fields.protocol);
  const blank = segmentOf(fields);
  blank.set([0, 0], at);
  const pseudo = pseudoHeader(ip4(fields.src), ip4(fields.dst), fields.protocol, blank.length);
  return checksum(pseudo, blank);
}

/** One's complement difference and sum: how far a checksum is off, and putting that back on. */
function minus(a: number, b: number): number {
  return onesSum(u16(a), u16(~b & 0xffff));
}

function xor(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((byte, at) => byte ^ (b[at] as number));
}

/**
 * The packet with `change` applied to it and the transport checksum recomputed. `fill`: a UDP
 * checksum of 0 (none) is filled in; otherwise it stays 0.
 */
export function rewritten(before: Fields, change: (fields: Fields) => void, fill: boolean): Fields {
  const after: Fields = { ...before, body: before.body.slice(), options: before.options.slice() };
  change(after);
  if (before.protocol === 132) {
    const error = xor(before.body.slice(8, 12), sctpChecksum(before.body));
    after.body.set(xor(sctpChecksum(after.body), error), 8);
    return after;
  }
  const at = checksumAt(before.protocol);
  const had = readU16(before.body, at);
  const udp = before.protocol === 17;
  if (udp && had === 0 && !fill) return after;
  const good = rightChecksum(after);
  const error = udp && had === 0 ? 0 : minus(had, rightChecksum(before));
  // minus() of equal values is 0xffff, the other zero: no error.
  let value = error === 0 || error === 0xffff ? good : onesSum(u16(good), u16(error));
  if (udp && value === 0) value = 0xffff;
  after.body.set(u16(value), at);
  return after;
}

export function ports(fields: Fields): [source: number, destination: number] {
  return [readU16(fields.body, 0), readU16(fields.body, 2)];
}

export function setPorts(fields: Fields, source: number, destination: number): void {
  fields.body.set(u16(source), 0);
  fields.body.set(u16(destination), 2);
}

export function tcpFlags(fields: Fields): string {
  const bits = fields.body[13] as number;
  return [...'FSRPAUEC'].filter((_, bit) => bits & (1 << bit)).join('');
}

export function tcpHeaderBytes(fields: Fields): number {
  return ((fields.body[12] as number) >> 4) * 4;
}

/** Puts options right after the fixed TCP header. */
export function insertTcpOptions(fields: Fields, options: Uint8Array): void {
  fields.body = concat(fields.body.slice(0, 20), options, fields.body.slice(20));
  fields.body[12] = (fields.body[12] as number) + ((options.length / 4) << 4);
}

/** Lowers the MSS option by `bytes`. */
export function lowerMss(fields: Fields, bytes: number): void {
  const end = tcpHeaderBytes(fields);
  let at = 20;
  while (at < end) {
    const kind = fields.body[at] as number;
    if (kind === 0) return;
    if (kind === nop[0]) {
      at += 1;
      continue;
    }
    const length = at + 1 < end ? (fields.body[at + 1] as number) : 0;
    if (length < 2 || at + length > end) return;
    if (kind === 2 && length === 4) {
      const value = readU16(fields.body, at + 2);
      // Linux takes 88 for the least an MSS can mean.
      if (value - bytes >= 88) fields.body.set(u16(value - bytes), at + 2);
      return;
    }
    at += length;
  }
}

/**
 * A quoted packet (ICMP error) with other addresses and ports. Its checksums follow by the
 * difference, since most of what they cover is not there (RFC 5508 section 4.2).
 */
export function requote(quote: Uint8Array, src: string, sport: number, dst: string, dport: number) {
  const bytes = quote.slice();
  const header = ((bytes[0] as number) & 15) * 4;
  bytes.set(concat(ip4(src), ip4(dst)), 12);
  bytes.set(concat(u16(sport), u16(dport)), header);
  const follow = (at: number, was: Uint8Array, is: Uint8Array) => {
    const sum = onesSum(u16(~readU16(quote, at) & 0xffff), u16(~onesSum(was) & 0xffff), is);
    bytes.set(u16(~sum & 0xffff), at);
  };
  const ends = (of: Uint8Array) => of.slice(12, 20);
  const all = (of: Uint8Array) => concat(ends(of), of.slice(header, header + 4));
  follow(10, ends(quote), ends(bytes));
  if (quote[9] === 132) {
    const length = readU16(quote, 2) - header;
    if (quote.length < header + 12 || length < 12) return bytes;
    // What the ports add to the CRC of a packet of that length, whatever else is in it.
    const zeros = new Uint8Array(length);
    const changed = zeros.slice();
    changed.set(xor(quote.slice(header, header + 4), bytes.slice(header, header + 4)));
    const difference = u32((crc32c(changed) ^ crc32c(zeros)) >>> 0).reverse();
    bytes.set(xor(quote.slice(header + 8, header + 12), difference), header + 8);
    return bytes;
  }
  const at = header + checksumAt(quote[9] as number);
  const udp = quote[9] === 17;
  if (udp ? readU16(quote, at) !== 0 : quote.length >= header + 20) {
    follow(at, all(quote), all(bytes));
    if (udp && readU16(bytes, at) === 0) bytes.set(u16(0xffff), at);
  }
  return bytes;
}

export function readSequence(fields: Fields): [seq: number, ack: number] {
  return [readU32(fields.body, 4), readU32(fields.body, 8)];
}
