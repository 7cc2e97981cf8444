/** What mode tun puts around packets, checksums in full, and how a quoted tunnel packet is opened. */
import type { Tunnel } from '../../../src/config/tunnel.js';
import type { SnapshotService } from '../../../src/snapshot.js';
import { checksum, concat, ip4, pseudoHeader, readU16, u16 } from '../bytes.js';
import { v4Text } from './fib.js';

/** Linux' usual local ports, of which GUE's sources are. */
export const GUE_SOURCES = { first: 32768, last: 60998 };

export const overheadOf = (tunnel: Tunnel | undefined) =>
  20 + shim(tunnel, empty, '', '', 0).length;

const empty = new Uint8Array();
const nonZero = (sum: number) => u16(sum === 0 ? 0xffff : sum);

/** The protocol of the outer IP header. */
export function outerProtocol(tunnel: Tunnel | undefined): number {
  return { ipip: 4, gre: 47, gue: 17 }[tunnel?.type ?? 'ipip'];
}

/** What stands between the outer IP header and the packet. */
export function shim(
  tunnel: Tunnel | undefined,
  inner: Uint8Array,
  from: string,
  to: string,
  sourcePort: number,
): Uint8Array {
  const summed = tunnel !== undefined && tunnel.checksum !== 'nocsum';
  switch (tunnel?.type) {
    case 'gre': {
      if (!summed) return concat(u16(0), u16(0x0800));
      const header = concat(u16(0x8000), u16(0x0800), u16(0), u16(0));
      header.set(nonZero(checksum(header, inner)), 4);
      return header;
    }
    case 'gue': {
      const gue = Uint8Array.of(0, 4, 0, 0);
      const length = 8 + gue.length + inner.length;
      const header = concat(u16(sourcePort), u16(tunnel.port), u16(length), u16(0), gue);
      if (summed && from !== '') {
        const pseudo = pseudoHeader(ip4(from), ip4(to), 17, length);
        header.set(nonZero(checksum(pseudo, header, inner)), 6);
      }
      return header;
    }
    default:
      return empty;
  }
}

export type IsGue = (address: string, port: number) => boolean;

export function gueOf(services: readonly SnapshotService[]): IsGue {
  const ends = new Set(
    services.flatMap(({ servers }) =>
      servers.flatMap(({ address, mode, tunnel }) =>
        mode === 'tun' && tunnel?.type === 'gue' ? [`${v4Text(address)}:${tunnel.port}`] : [],
      ),
    ),
  );
  return (address, port) => ends.has(`${address}:${port}`);
}

/** Where the IPv4 packet inside begins, in what an outer IP header carries; undefined: no tunnel. */
export function insideOf(
  protocol: number,
  body: Uint8Array,
  to: string,
  isGue: IsGue,
): number | undefined {
  if (protocol === 4) return 0;
  if (protocol === 47 && readU16(body, 2) === 0x0800) {
    return { 0: 4, 32768: 8 }[readU16(body, 0)];
  }
  if (protocol !== 17 || body.length < 12 || !isGue(to, readU16(body, 2))) return undefined;
  const first = body[8] as number;
  return first < 0x20 && body[9] === 4 ? 12 + first * 4 : undefined;
}
