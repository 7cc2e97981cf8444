/**
 * Seals as native/engine/live/seal.h describes them, by a second hand and byte for byte from the
 * RFCs: what the herald of the tests' network puts into frames as they leave.
 */
import { createHmac } from 'node:crypto';
import type { Seal } from '../../src/native.js';

const ETHERNET = 14;
const hmac = (hash: string, key: Uint8Array, ...parts: Uint8Array[]) =>
  createHmac(hash, key).update(Buffer.concat(parts)).digest();

/** A copy of the frame with its number and code. */
export function sealed(unsealed: Uint8Array, { kind, key }: Seal, sequence: number): Uint8Array {
  const frame = Buffer.from(unsealed);
  const packet = frame.subarray(ETHERNET);
  const six = (packet[0] as number) >> 4 === 6;
  if (kind === 'ah') {
    packet.writeUInt32BE(sequence, 20 + 8);
    // RFC 4302 section 3.3.3.1.1.1: TOS, flags and offset, checksum, and in unicast the TTL.
    const immutable = Buffer.from(packet);
    const multicast = packet.subarray(16, 20).equals(Buffer.from([224, 0, 0, 18]));
    for (const at of [1, 6, 7, 10, 11, ...(multicast ? [] : [8])]) immutable[at] = 0;
    hmac('md5', key, immutable).copy(packet, 20 + 12, 0, 12);
    return Uint8Array.from(frame);
  }
  const message = packet.subarray(six ? 40 : 20);
  const [from, to] = six ? [8, 40] : [12, 20];
  const trailer = message.length - 28;
  const before = message.readUInt16BE(6);
  message.writeBigUInt64BE(BigInt(sequence), trailer + 4);
  message.writeUInt16BE(0, 6);
  const signed = message.subarray(0, trailer + 12);
  hmac('sha256', key, packet.subarray(from, to), signed).copy(message, trailer + 12, 0, 16);
  let sum = ~before & 0xffff;
  for (let at = trailer + 4; at < message.length; at += 2) sum += message.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  message.writeUInt16BE(~sum & 0xffff, 6);
  return Uint8Array.from(frame);
}
