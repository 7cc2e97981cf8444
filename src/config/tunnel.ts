/** How mode tun wraps packets up: IP alone, GRE, or UDP and GUE, as `ipvsadm --tun-type` has them. */
import { z } from 'zod';
import { type Mode, WRAPS, type Wrap } from '../native.js';
import { integer, oneOf, section } from './kinds.js';

export const TUNNEL_TYPES = ['ipip', 'gre', 'gue'] as const;
/**
 * ipvsadm's words. With remcsum Linux sends, instead of a checksum that is still to be computed, a
 * note where it belongs; of packets that come from a network it is csum.
 */
export const TUNNEL_CHECKSUMS = ['nocsum', 'csum', 'remcsum'] as const;

export interface Tunnel {
  type: (typeof TUNNEL_TYPES)[number];
  /** UDP port that GUE goes to; 0 with the other types. */
  port: number;
  checksum: (typeof TUNNEL_CHECKSUMS)[number];
}

export const IPIP: Tunnel = { type: 'ipip', port: 0, checksum: 'nocsum' };

/** In director.yaml. */
export const tunnel = section({
  type: oneOf(TUNNEL_TYPES),
  port: integer(1, 65_535).optional(),
  checksum: oneOf(TUNNEL_CHECKSUMS).optional(),
});
export type ParsedTunnel = z.output<typeof tunnel>;

/** On the API. */
export const tunnelReport = z
  .strictObject({
    type: z.enum(TUNNEL_TYPES),
    port: z.int().min(0).max(65_535).describe('UDP port of GUE; 0 with the other types.'),
    checksum: z.enum(TUNNEL_CHECKSUMS),
  })
  .describe('How mode tun wraps packets up.');

/** Where a server keeps it: nothing for IPIP, nor in a mode without tunnels. */
export function tunnelOf(
  mode: Mode,
  given: Tunnel | ParsedTunnel | undefined,
): { tunnel?: Tunnel } {
  if (mode !== 'tun' || !given) return {};
  const { type, port = 0, checksum = 'nocsum' } = given;
  const isPlain = type === 'ipip' && port === 0 && checksum === 'nocsum';
  return isPlain ? {} : { tunnel: { type, port, checksum } };
}

/** What is wrong with it, and what is expected; undefined: nothing. */
export function tunnelFault({ type, port = 0, checksum = 'nocsum' }: ParsedTunnel | Tunnel) {
  if (type === 'gue' && port === 0)
    return 'a gue tunnel needs the UDP port it goes to, expected port';
  if (type !== 'gue' && port !== 0) return `a tunnel of type ${type} has no port, expected none`;
  const sums =
    type === 'ipip' ? ['nocsum'] : type === 'gre' ? ['nocsum', 'csum'] : TUNNEL_CHECKSUMS;
  if ((sums as readonly string[]).includes(checksum)) return undefined;
  return `a tunnel of type ${type} has no ${checksum}, expected ${sums.join(' or ')}`;
}

/** As the workers know it. */
export function wrapOf({ type, checksum }: Tunnel): Wrap {
  if (type === 'ipip') return 'ipip';
  return checksum === 'nocsum' ? type : `${type}_checked`;
}

/** Between the outer IP header and the packet. */
const SHIM_BYTES: Record<Wrap, number> = {
  ipip: 0,
  gre: 4,
  gre_checked: 8,
  gue: 12,
  gue_checked: 12,
};

export function shimBytes(given: Tunnel | undefined): number {
  return SHIM_BYTES[wrapOf(given ?? IPIP)];
}

/** PassageTunnel's number (native/engine/live/passages.h). */
export function tunnelNumber(given: Tunnel | undefined): number {
  const { port } = given ?? IPIP;
  return (WRAPS.indexOf(wrapOf(given ?? IPIP)) + 1 + port * 0x10000) >>> 0;
}

const SUMS: Record<Tunnel['checksum'], string> = { nocsum: '-c', csum: '+c', remcsum: 'r+c' };

/** As `ipvsadm -L --tun-info` has it: `ipip`, `gre:+c`, `gue:6080:-c`. */
export function tunnelText({ type, port, checksum }: Tunnel): string {
  const parts = [...(type === 'gue' ? [port] : []), ...(type === 'ipip' ? [] : [SUMS[checksum]])];
  return [type, ...parts].join(':');
}
