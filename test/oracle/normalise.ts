// Makes the free fields equal: the identification of IP packets that a director makes itself, and
// the source port of its GUE packets, which Linux has of a hash with a key of its own.

import { checksum, concat, ip4Text, onesSum, readU16, u16, u32 } from '../support/bytes.js';
import { ICMP_ERRORS } from '../support/dissect.js';
import { GUE_SOURCES } from '../support/model/tunnel.js';
import type { Reaction, Sent } from './outcome.js';
import { fragmentId } from './scene6.js';
import { BACK } from './topology.js';

/**
 * The same frame with a fresh identification (and the header checksum with it) replaced by the
 * number of its first use in this reaction: fragments of one packet must still share one.
 * A wrong header checksum is left as it is, so it shows.
 */
export function normalise({ input, sent }: Reaction): Sent[] {
  const seen = new Map<number, number>();
  return sent.map(({ port, bytes: original }) => {
    if (port === 'kernel') return { port, bytes: original };
    const bytes = withoutGueSource(original);
    const six = fragmentId(bytes);
    if (six !== undefined) return { port, bytes: withFragmentId(bytes, six, seen) };
    if (!isFresh(bytes, input.bytes)) return { port, bytes };
    const ihl = ((bytes[14] ?? 0) & 15) * 4;
    const header = Uint8Array.from(bytes.subarray(14, 14 + ihl));
    if (checksum(header) !== 0) return { port, bytes };
    const id = readU16(header, 4);
    const number = seen.get(id) ?? seen.size;
    seen.set(id, number);
    header.set(u16(number), 4);
    header.set(u16(0), 10);
    return { port, bytes: concat(bytes.subarray(0, 14), header, bytes.subarray(14 + ihl)) };
  });
}

/** Of IPv6 whoever makes fragments is free to choose their identification. */
function withFragmentId(bytes: Uint8Array, at: number, seen: Map<number, number>): Uint8Array {
  const id = new DataView(bytes.buffer, bytes.byteOffset).getUint32(at);
  const number = seen.get(id) ?? seen.size;
  seen.set(id, number);
  const copy = Uint8Array.from(bytes);
  copy.set(u32(number), at);
  return copy;
}

/** Outer packets without DF, and ICMP messages that aren't a client's or server's passed on. */
function isFresh(bytes: Uint8Array, cause: Uint8Array): boolean {
  if (readU16(bytes, 12) !== 0x0800) return false;
  const protocol = bytes[23];
  if (protocol === 47 || isGue(bytes)) return (readU16(bytes, 20) & 0x4000) === 0;
  if (protocol === 4) return cause[23] !== 4 && (readU16(bytes, 20) & 0x4000) === 0;
  if (protocol !== 1) return false;
  return !isIcmpError(cause) || ip4Text(cause, 30) === BACK;
}

/** From the director's own address, which no client's UDP is. */
const isGue = (bytes: Uint8Array) =>
  readU16(bytes, 12) === 0x0800 && bytes[23] === 17 && ip4Text(bytes, 26) === BACK;

/**
 * A source port of Linux' usual ones is 0, and a checksum that is right without the port then. Of
 * fragments the checksum stays what it is: there is none in those compared.
 */
function withoutGueSource(bytes: Uint8Array): Uint8Array {
  if (!isGue(bytes) || (readU16(bytes, 20) & 0x1fff) !== 0) return bytes;
  const source = readU16(bytes, 34);
  if (source < GUE_SOURCES.first || source > GUE_SOURCES.last) return bytes;
  const copy = Uint8Array.from(bytes);
  copy.set(u16(0), 34);
  const sum = readU16(bytes, 40);
  if (sum !== 0) copy.set(u16(~onesSum(u16(~sum & 0xffff), u16(~source & 0xffff)) & 0xffff), 40);
  return copy;
}

const isIcmpError = (bytes: Uint8Array) =>
  bytes[23] === 1 && ICMP_ERRORS.has(bytes[14 + ((bytes[14] ?? 0) & 15) * 4] ?? -1);
