/**
 * VRRP messages ↔ bytes: version 2 (RFC 3768, with RFC 2338's simple password as keepalived has it)
 * and version 3 (RFC 9568), over IPv4 and IPv6. Pure. Numbers are in network byte order; what is
 * wrong with a message has a reason that counts and logs can name.
 */
import ipaddr from 'ipaddr.js';

export const VRRP_PROTOCOL = 112;
export const VRRP_TTL = 255;
export const GROUP_V4 = '224.0.0.18';
export const GROUP_V6 = 'ff02::12';

/** Why a message is dropped, or (`addresses` in version 3) only remarked upon. */
export const FAULTS = {
  ttl: 'its TTL is not 255: it did not come from this link (RFC 9568 section 7.1)',
  short: 'shorter than its header or its count of addresses needs',
  length: 'longer than its count of addresses says',
  type: 'no advertisement (type 1)',
  version: 'of another version than ours',
  checksum: 'its checksum is wrong',
  vrid: 'no instance on this port has its virtual router ID',
  auth: 'authentication of another type, or another password or key',
  replay: 'its sequence number is not above the last one: it was sent before',
  interval: 'its interval is not ours, as version 2 demands',
  addresses: 'it lists other addresses than ours',
  source: 'it does not come from a configured unicast peer, or not to the multicast group',
  own: 'it bears our own address: an echo, a replay, or a duplicate of this director',
} as const;
export type Fault = keyof typeof FAULTS;

export interface Advertisement {
  version: 2 | 3;
  /** Virtual router ID, 1 … 255. */
  vrid: number;
  /** 0: its sender resigns; 255: it owns the addresses. */
  priority: number;
  intervalMs: number;
  addresses: string[];
  /** Version 2: type 1 is a password of 8 bytes, type 2 an AH header before the message. */
  auth?: { type: number; data: Uint8Array };
}

/** What is around it. */
export interface Envelope {
  source: string;
  destination: string;
}

const HEADER = 8;
const AUTH = 8;
const NO_AUTH = { type: 0, data: new Uint8Array(AUTH) };
const NOTHING = new Uint8Array(0);

/**
 * `pseudo`: version 3 over IPv4 sums a pseudo-header too; `v3_checksum_as_v2` is without. `trailer`:
 * what stands behind the message and counts for its checksum.
 */
export function encode(
  message: Advertisement,
  around: Envelope,
  pseudo = true,
  trailer: Uint8Array = NOTHING,
): Uint8Array {
  const addresses = message.addresses.map(bytesOf);
  const auth = message.version === 2 ? (message.auth ?? NO_AUTH) : undefined;
  const length = addresses.reduce((sum, { length: n }) => sum + n, HEADER + (auth ? AUTH : 0));
  const bytes = new Uint8Array(length + trailer.length);
  bytes.set(trailer, length);
  const view = new DataView(bytes.buffer);
  bytes[0] = (message.version << 4) | 1;
  bytes[1] = message.vrid;
  bytes[2] = message.priority;
  bytes[3] = addresses.length;
  if (auth) {
    bytes[4] = auth.type;
    bytes[5] = Math.round(message.intervalMs / 1000);
  } else {
    view.setUint16(4, Math.round(message.intervalMs / 10) & 0xfff);
  }
  let at = HEADER;
  for (const address of addresses) {
    bytes.set(address, at);
    at += address.length;
  }
  if (auth) bytes.set(auth.data.subarray(0, AUTH), at);
  view.setUint16(6, checksum(bytes, message.version, around, pseudo));
  return bytes;
}

export type Decoded = { message: Advertisement } | { fault: Fault; detail?: string };

/** The payload of an IP packet, without padding. `ttl`: or the hop limit. `trailer`: bytes of it. */
export function decode(
  bytes: Uint8Array,
  around: Envelope & { ttl: number },
  pseudo = true,
  trailer = 0,
): Decoded {
  if (around.ttl !== VRRP_TTL) return { fault: 'ttl', detail: String(around.ttl) };
  if (bytes.length < HEADER) return { fault: 'short' };
  const [first, vrid, priority, count] = bytes as unknown as [number, number, number, number];
  const version = first >> 4;
  if (version !== 2 && version !== 3) return { fault: 'version', detail: String(version) };
  if ((first & 15) !== 1) return { fault: 'type', detail: String(first & 15) };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const size = isV6(around.source) ? 16 : 4;
  const auth =
    version === 2
      ? {
          type: bytes[4] as number,
          data: bytes.slice(HEADER + count * size, HEADER + count * size + AUTH),
        }
      : undefined;
  const length = HEADER + count * size + (auth ? AUTH : 0) + trailer;
  if (bytes.length < length)
    return { fault: 'short', detail: `${bytes.length} of ${length} bytes` };
  if (bytes.length > length)
    return { fault: 'length', detail: `${bytes.length} of ${length} bytes` };
  if (checksum(bytes, version, around, pseudo) !== 0) {
    return { fault: 'checksum' };
  }
  const addresses = Array.from({ length: count }, (_, index) =>
    textOf(bytes.subarray(HEADER + index * size, HEADER + (index + 1) * size)),
  );
  const intervalMs = auth ? (bytes[5] as number) * 1000 : (view.getUint16(4) & 0xfff) * 10;
  return { message: { version, vrid, priority, intervalMs, addresses, ...(auth ? { auth } : {}) } };
}

/** RFC 1071; 0 over a message with its right checksum in place. */
function checksum(bytes: Uint8Array, version: number, around: Envelope, pseudo: boolean): number {
  // RFC 9568 section 5.2.8; over IPv6 in any version (RFC 8200 section 8.1).
  const more = isV6(around.source) || (version === 3 && pseudo);
  return folded(addUp(bytes) + (more ? pseudoSum(around, VRRP_PROTOCOL, bytes.length) : 0));
}

/** Of the pseudo-header of an upper layer. */
export function pseudoSum(
  { source, destination }: Envelope,
  protocol: number,
  length: number,
): number {
  return addUp(bytesOf(source)) + addUp(bytesOf(destination)) + protocol + length;
}

/** The one's complement of a sum of 16-bit words. */
export function folded(sum: number): number {
  let rest = sum;
  while (rest > 0xffff) rest = (rest & 0xffff) + Math.floor(rest / 0x1_0000);
  return ~rest & 0xffff;
}

export function addUp(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += ((bytes[at] as number) << 8) | (bytes[at + 1] ?? 0);
  }
  return sum;
}

export function isV6(address: string): boolean {
  return address.includes(':');
}

export function bytesOf(address: string): Uint8Array {
  return Uint8Array.from(ipaddr.parse(address).toByteArray());
}

export function textOf(bytes: Uint8Array): string {
  return ipaddr.fromByteArray([...bytes]).toString();
}

/** A password as both versions of keepalived send it: its first 8 bytes, filled up with zeros. */
export function passwordBytes(password: string): Uint8Array {
  const data = new Uint8Array(AUTH);
  data.set(Buffer.from(password).subarray(0, AUTH));
  return data;
}
