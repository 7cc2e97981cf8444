/**
 * Writes pcapng (draft-ietf-opsawg-pcapng): a section with an interface a port, enhanced packet
 * blocks with direction and the packet's end as a comment, and what was counted as interface
 * statistics. Times are nanoseconds. Little-endian.
 */
import type { WatchCounts } from './records.js';

const SECTION_HEADER = 0x0a0d0d0a;
const BYTE_ORDER = 0x1a2b3c4d;
const INTERFACE = 1;
const STATISTICS = 5;
const ENHANCED_PACKET = 6;
const ETHERNET = 1;

const COMMENT = 1;
const APPLICATION = 4;
const IF_NAME = 2;
const IF_TSRESOL = 9;
const IF_FILTER = 11;
const NANOSECONDS = 9;
const EPB_FLAGS = 2;
const INBOUND = 1;
const OUTBOUND = 2;
const ISB_ENDTIME = 3;
const ISB_IFRECV = 4;
const ISB_FILTERACCEPT = 6;
const ISB_OSDROP = 7;
const ISB_USRDELIV = 8;

export interface Packet {
  /** Index of the interface. */
  port: number;
  /** Nanoseconds since the epoch. */
  time: bigint;
  direction: 'in' | 'out';
  /** Bytes of the frame on the wire. */
  wireBytes: number;
  bytes: Uint8Array;
  /** '' for none. */
  comment: string;
}

export function sectionHeader(application: string): Buffer {
  const fixed = Buffer.alloc(16);
  fixed.writeUInt32LE(BYTE_ORDER, 0);
  fixed.writeUInt16LE(1, 4);
  fixed.writeBigInt64LE(-1n, 8); // the section's length, unknown
  return block(SECTION_HEADER, fixed, [text(APPLICATION, application)]);
}

export function interfaceBlock(name: string, snaplen: number, filter: string): Buffer {
  const fixed = Buffer.alloc(8);
  fixed.writeUInt16LE(ETHERNET, 0);
  fixed.writeUInt32LE(snaplen, 4);
  const options = [text(IF_NAME, name), option(IF_TSRESOL, Buffer.of(NANOSECONDS))];
  // Its first byte says that a tcpdump expression follows.
  if (filter !== '') options.push(text(IF_FILTER, `\0${filter}`));
  return block(INTERFACE, fixed, options);
}

export function packetBlock({ port, time, direction, wireBytes, bytes, comment }: Packet): Buffer {
  const fixed = Buffer.alloc(20 + padded(bytes.length));
  fixed.writeUInt32LE(port, 0);
  writeTime(fixed, 4, time);
  fixed.writeUInt32LE(bytes.length, 12);
  fixed.writeUInt32LE(wireBytes, 16);
  fixed.set(bytes, 20);
  const flags = Buffer.alloc(4);
  flags.writeUInt32LE(direction === 'in' ? INBOUND : OUTBOUND);
  const options = [option(EPB_FLAGS, flags)];
  if (comment !== '') options.push(text(COMMENT, comment));
  return block(ENHANCED_PACKET, fixed, options);
}

/** `time`: when the capture ended. */
export function statisticsBlock(port: number, time: bigint, counts: WatchCounts): Buffer {
  const fixed = Buffer.alloc(12);
  fixed.writeUInt32LE(port, 0);
  writeTime(fixed, 4, time);
  const end = Buffer.alloc(8);
  writeTime(end, 0, time);
  const figure = (code: number, value: number) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(value));
    return option(code, bytes);
  };
  return block(STATISTICS, fixed, [
    option(ISB_ENDTIME, end),
    figure(ISB_IFRECV, counts.seen),
    figure(ISB_FILTERACCEPT, counts.matched),
    figure(ISB_OSDROP, counts.overRate + counts.noRoom),
    figure(ISB_USRDELIV, counts.taken),
  ]);
}

/** The upper half first, whatever the byte order. */
function writeTime(to: Buffer, at: number, time: bigint): void {
  to.writeUInt32LE(Number(time >> 32n), at);
  to.writeUInt32LE(Number(time & 0xffff_ffffn), at + 4);
}

function block(type: number, fixed: Buffer, options: Buffer[]): Buffer {
  const body = Buffer.concat([fixed, ...options, Buffer.alloc(4)]);
  const length = body.length + 12;
  const head = Buffer.alloc(8);
  head.writeUInt32LE(type, 0);
  head.writeUInt32LE(length, 4);
  const tail = Buffer.alloc(4);
  tail.writeUInt32LE(length);
  return Buffer.concat([head, body, tail]);
}

function option(code: number, value: Buffer): Buffer {
  const bytes = Buffer.alloc(4 + padded(value.length));
  bytes.writeUInt16LE(code, 0);
  bytes.writeUInt16LE(value.length, 2);
  value.copy(bytes, 4);
  return bytes;
}

const text = (code: number, value: string) => option(code, Buffer.from(value, 'utf8'));
const padded = (bytes: number) => (bytes + 3) & ~3;
