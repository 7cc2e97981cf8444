/** Checks of a packet's transport header before anything is done with it. */
import { ip4, onesSum, readU16, u16 } from '../bytes.js';
import { sctpChecksum } from '../sctp.js';
import { checksumAt, type Fields, rightChecksum, segmentOf, tcpHeaderBytes } from './fields.js';

/** Source addresses no packet may come from (RFC 1812 section 5.3.7). */
export function isMartian(source: string): boolean {
  const first = Number(source.split('.')[0]);
  return first === 0 || first === 127 || first >= 224;
}

/** Strict or loose source route among the IP options (RFC 791 section 3.1). */
export function hasSourceRoute(fields: Fields): boolean {
  let at = 0;
  while (at < fields.options.length) {
    const kind = fields.options[at] as number;
    if (kind === 131 || kind === 137) return true;
    const length = kind === 1 ? 1 : (fields.options[at + 1] ?? 0);
    if (kind === 0 || length < (kind === 1 ? 1 : 2)) return false;
    at += length;
  }
  return false;
}

export function headerFits(fields: Fields): boolean {
  const bytes = fields.body.length;
  if (fields.protocol === 1) return bytes >= 8;
  if (fields.protocol === 132) return bytes >= 12;
  if (fields.protocol === 17) {
    const length = bytes >= 8 ? readU16(fields.body, 4) : 0;
    return length >= 8 && length <= bytes;
  }
  return bytes >= 20 && tcpHeaderBytes(fields) >= 20 && tcpHeaderBytes(fields) <= bytes;
}

export function checksumHolds(fields: Fields): boolean {
  const had = readU16(fields.body, checksumAt(fields.protocol));
  if (fields.protocol === 17) return had === 0 || (rightChecksum(fields) || 0xffff) === had;
  return rightChecksum(fields) % 0xffff === had % 0xffff;
}

/** A checksum that is only the pseudo-header's sum, as a local kernel leaves it for the NIC. */
export function completePartial(fields: Fields): boolean {
  if (fields.protocol === 132) {
    // Of SCTP it leaves 0.
    if (fields.body.subarray(8, 12).some((byte) => byte !== 0)) return false;
    fields.body.set(sctpChecksum(fields.body), 8);
    return true;
  }
  const at = checksumAt(fields.protocol);
  const pseudo = onesSum(
    ip4(fields.src),
    ip4(fields.dst),
    u16(fields.protocol),
    u16(segmentOf(fields).length),
  );
  if (readU16(fields.body, at) !== pseudo) return false;
  const good = rightChecksum(fields);
  fields.body.set(u16(fields.protocol === 17 && good === 0 ? 0xffff : good), at);
  return true;
}
