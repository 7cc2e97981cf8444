/**
 * SCTP packets (RFC 9260) for the tables: chunks in, a packet with its CRC32c out. Knows nothing of
 * the engine's code; the CRC is the appendix's, a bit at a time.
 */
import { concat, crc32c, endpoint, u16, u32 } from './bytes.js';
import { bytesOf, type IpFields, ip, pattern } from './packet.js';
import { end6, type Ip6Fields, ip6Frame } from './packet6.js';

export const SCTP = 132;

/** Chunk types, by the words that traces have for them. */
export const CHUNKS = {
  DATA: 0,
  INIT: 1,
  'INIT-ACK': 2,
  SACK: 3,
  HEARTBEAT: 4,
  'HEARTBEAT-ACK': 5,
  ABORT: 6,
  SHUTDOWN: 7,
  'SHUTDOWN-ACK': 8,
  ERROR: 9,
  'COOKIE-ECHO': 10,
  'COOKIE-ACK': 11,
  'SHUTDOWN-COMPLETE': 14,
} as const;
export type Chunk = keyof typeof CHUNKS;

/** What a chunk carries where nothing else is asked for: as long as it has to be. */
const VALUES: Partial<Record<Chunk, Uint8Array>> = {
  DATA: concat(u32(7), u16(0), u16(0), u32(0), pattern(33)),
  INIT: concat(u32(0xaabbccdd), u32(65535), u16(10), u16(10), u32(7)),
  'INIT-ACK': concat(u32(0x11223344), u32(65535), u16(10), u16(10), u32(9), pattern(44)),
  SACK: concat(u32(8), u32(65535), u16(0), u16(0)),
  HEARTBEAT: concat(u16(1), u16(12), pattern(8)),
  'HEARTBEAT-ACK': concat(u16(1), u16(12), pattern(8)),
  ERROR: concat(u16(10), u16(4)),
  SHUTDOWN: u32(8),
  'COOKIE-ECHO': pattern(40),
};

/** Padded to 4 bytes, which its length does not say. */
export function chunk(type: Chunk | number, value?: Uint8Array | string): Uint8Array {
  const known = typeof type === 'number' ? undefined : VALUES[type];
  const body = value === undefined ? (known ?? new Uint8Array()) : bytesOf(value);
  const bytes = concat(
    Uint8Array.of(typeof type === 'number' ? type : CHUNKS[type], 3),
    u16(4 + body.length),
    body,
  );
  return concat(bytes, new Uint8Array((4 - (bytes.length % 4)) % 4));
}

export interface SctpOnly {
  from: string;
  to: string;
  /** Verification tag. */
  tag?: number;
  chunks?: (Chunk | Uint8Array)[];
  /** 'good' computes it, 'bad' has one bit wrong, 'none' is 0, as a kernel leaves it to its card. */
  checksum?: 'good' | 'bad' | 'none';
}
export type SctpFields = SctpOnly & IpFields;
export type Sctp6Fields = SctpOnly & Ip6Fields;

export function sctpPacket(fields: SctpOnly, sport: number, dport: number): Uint8Array {
  const packet = concat(
    u16(sport),
    u16(dport),
    u32(fields.tag ?? 0x5a5a0001),
    u32(0),
    ...(fields.chunks ?? ['DATA']).map((one) => (typeof one === 'string' ? chunk(one) : one)),
  );
  const wish = fields.checksum ?? 'good';
  if (wish !== 'none') packet.set(sctpChecksum(packet), 8);
  if (wish === 'bad') packet[11] = (packet[11] as number) ^ 0x10;
  return packet;
}

/** The checksum field's four bytes: the CRC with its lowest byte first (RFC 9260 appendix A). */
export function sctpChecksum(packet: Uint8Array): Uint8Array {
  const blank = packet.slice();
  blank.set([0, 0, 0, 0], 8);
  return u32(crc32c(blank)).reverse();
}

/** An SCTP packet in an Ethernet frame. */
export function sctp(fields: SctpFields): Uint8Array {
  return ip(fields, SCTP, sctpPacket(fields, endpoint(fields.from)[1], endpoint(fields.to)[1]));
}

/** The same in IPv6. */
export function sctp6(fields: Sctp6Fields): Uint8Array {
  const [from, sport] = end6(fields.from);
  const [to, dport] = end6(fields.to);
  return ip6Frame({ ...fields, from, to }, SCTP, sctpPacket(fields, sport, dport));
}

/** The chunk that decides what a packet does to its association, as LVS reads it. */
export function decisiveChunk(packet: Uint8Array): Chunk | undefined {
  if (packet.length < 16) return undefined;
  const nameOf = (type: number | undefined): Chunk => {
    const found = (Object.keys(CHUNKS) as Chunk[]).find((name) => CHUNKS[name] === type);
    return found ?? 'DATA';
  };
  const first = nameOf(packet[12]);
  if (first !== 'COOKIE-ECHO' && first !== 'COOKIE-ACK') return first;
  const length = (packet[14] as number) * 256 + (packet[15] as number);
  const next = 12 + Math.ceil(length / 4) * 4;
  const abort = length >= 4 && next + 4 <= packet.length && packet[next] === CHUNKS.ABORT;
  return abort ? 'ABORT' : first;
}
