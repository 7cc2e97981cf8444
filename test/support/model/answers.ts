/** Packets that the director makes itself, with the fields as Linux fills them. */
import { checksum, concat, u16 } from '../bytes.js';
import { dissect } from '../dissect.js';
import { arp, ipPacket, tcpSegment } from '../packet.js';
import { type Fields, ports, readSequence, tcpFlags, tcpHeaderBytes } from './fields.js';

/** RFC 792; quotes as much as fits in 576 bytes (RFC 1812 section 4.3.2.3). */
export function icmpError(
  from: string,
  offender: { src: string; tos: number },
  about: Uint8Array,
  [type, code, mtu]: [type: number, code: number, mtu: number],
  id: number,
): Uint8Array {
  const body = concat(Uint8Array.of(type, code, 0, 0), u16(0), u16(mtu), about.subarray(0, 548));
  body.set(u16(checksum(body)), 2);
  return ipPacket(from, offender.src, 1, body, { tos: 0xc0 | (offender.tos & 0x1e), id });
}

/** RFC 9293 section 3.10.7.1. */
export function resetTo(fields: Fields): Uint8Array {
  const flags = tcpFlags(fields);
  const [sport, dport] = ports(fields);
  const [seq, ack] = readSequence(fields);
  const length =
    fields.body.length -
    tcpHeaderBytes(fields) +
    (flags.includes('S') ? 1 : 0) +
    (flags.includes('F') ? 1 : 0);
  const segment = tcpSegment({
    from: `${fields.dst}:${dport}`,
    to: `${fields.src}:${sport}`,
    window: 0,
    ...(flags.includes('A')
      ? { flags: 'R', seq: ack, ack: 0 }
      : { flags: 'RA', seq: 0, ack: (seq + length) % 2 ** 32 }),
  });
  const header = { tos: fields.tos & 0xfc, id: 0, df: true };
  return ipPacket(fields.dst, fields.src, 6, segment, header);
}

export function echoReply(fields: Fields, id: number): Uint8Array {
  const body = fields.body.slice();
  body[0] = 0;
  body.set([0, 0], 2);
  body.set(u16(checksum(body)), 2);
  return ipPacket(fields.dst, fields.src, 1, body, { tos: fields.tos, id });
}

/** RFC 826, for owned addresses; an announcement (sender and target the same) asks nothing. */
export function arpReply(
  frame: Uint8Array,
  mac: string,
  owned: (address: string) => boolean,
): Uint8Array | undefined {
  const request = dissect(frame).arp;
  if (request?.op !== 1 || request.sender === request.target || !owned(request.target)) {
    return undefined;
  }
  const { hardwareType, protocolType, hardwareLength, protocolLength } = request;
  if (hardwareType !== 1 || protocolType !== 0x0800) return undefined;
  if (hardwareLength !== 6 || protocolLength !== 4) return undefined;
  return arp({
    op: 2,
    senderMac: mac,
    sender: request.target,
    targetMac: request.senderMac,
    target: request.sender,
    fromMac: mac,
    toMac: request.senderMac,
  });
}
