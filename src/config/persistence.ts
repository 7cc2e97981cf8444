/** Persistence of a service: a client, or its network, keeps its real server for some time. */
import { z } from 'zod';
import { fromBytes, isSix, toBytes } from './address.js';
import { duration, expected, integer, oneOf, section } from './kinds.js';

export interface Persistence {
  /** For so long after the client's last new connection, and while it has one. Seconds. */
  timeoutS: number;
  /**
   * What counts of a client's address, as ipvsadm writes it: 255.255.255.0, which may have holes, or
   * of IPv6 a number of bits.
   */
  netmask: string;
  /** What tells a client's templates from one another besides. */
  engine: Engine | null;
  /** A server of weight 0 keeps the clients it has, as LVS does, or they move (expire_quiescent_template). */
  whenDrained: 'stay' | 'move';
}

/** `sip`: a call's Call-ID (RFC 3261 section 20.8), which its UDP packets carry. */
export const ENGINES = ['sip'] as const;
export type Engine = (typeof ENGINES)[number];

/** keepalived's and ipvsadm's, where only persistence itself is asked for. Seconds. */
export const DEFAULT_PERSISTENCE_S = 360;

/** The number that a dotted netmask is; undefined: it is none. */
export function netmaskValue(text: string): number | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)) {
    return undefined;
  }
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0);
}

/** Of either family, as `Persistence.netmask` has it. */
export function isNetmask(text: string): boolean {
  return netmaskValue(text) !== undefined || (/^\d{1,3}$/.test(text) && Number(text) <= 128);
}

/** How many leading bits a netmask, dotted or not, leaves; undefined: it has holes. */
export function netmaskBits(netmask: string): number | undefined {
  if (!netmask.includes('.')) return Number(netmask);
  const bits = netmaskValue(netmask)?.toString(2).padStart(32, '0');
  return bits !== undefined && /^1*0*$/.test(bits) ? bits.replaceAll('0', '').length : undefined;
}

/** As ipvsadm and keepalived write it: 24 → 255.255.255.0, of IPv6 the number itself. */
export function formatNetmask(bits: number, six: boolean): string {
  return six ? `${bits}` : dotted(bits === 0 ? 0 : (0xffff_ffff << (32 - bits)) >>> 0);
}

const dotted = (value: number) => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.');

/** Each client by itself. */
export function wholeNetmask(address: string): string {
  return isSix(address) ? '128' : '255.255.255.255';
}

const what = 'a netmask such as 255.255.255.0, or a number of bits';
const netmask = z.union(
  [
    z.string().transform((text, context) => {
      const value = netmaskValue(text);
      if (value !== undefined) return dotted(value);
      context.addIssue({ code: 'custom', message: `expected ${what}` });
      return z.NEVER;
    }),
    integer(0, 128),
  ],
  expected(what),
);

const time = () =>
  duration('a time from 1 second to 31 days: seconds, or such as 5m', 's', 1e6, 2_678_400e6);

export interface Settings {
  /** Microseconds. */
  timeout: number;
  /** Dotted, or a number of bits. */
  netmask?: string | number | undefined;
  engine?: Engine | undefined;
  whenDrained?: Persistence['whenDrained'] | undefined;
}

/** `persistence: 5m`, or a block. */
export const persistenceSchema = z.union(
  [
    time().transform((timeout): Settings => ({ timeout })),
    section({
      timeout: time(),
      netmask: netmask.optional(),
      engine: oneOf(ENGINES).optional(),
      whenDrained: oneOf(['stay', 'move']).optional(),
    }),
  ],
  expected('a time such as 5m, or a block of timeout, netmask, engine and whenDrained'),
);

/** `address`: the service's, which says the family. */
export function buildPersistence(
  parsed: Settings | undefined,
  address: string,
): Persistence | null {
  if (parsed === undefined) return null;
  const { timeout, netmask = wholeNetmask(address), engine = null, whenDrained = 'stay' } = parsed;
  return {
    timeoutS: Math.round(timeout / 1e6),
    netmask: asWritten(netmask, address),
    engine,
    whenDrained,
  };
}

/** One that is not the family's is left for the check to name. */
function asWritten(netmask: string | number, address: string): string {
  if (typeof netmask === 'string') return netmask;
  return netmask > 32 ? `${netmask}` : formatNetmask(netmask, isSix(address));
}

/** What is wrong with a netmask for a service of this address; IPVS, too, takes no IPv6 /0. */
export function netmaskFault(netmask: string, address: string): string | undefined {
  const isDotted = netmask.includes('.');
  if (!isSix(address)) {
    return isDotted ? undefined : 'expected a netmask, or 0 to 32 bits, for an IPv4 service';
  }
  if (isDotted) return 'an IPv4 netmask, expected 1 to 128 bits for an IPv6 service';
  return netmask === '0' ? 'expected 1 to 128 bits for an IPv6 service' : undefined;
}

/** The network of a client's address that counts. */
export function clientNetwork(address: string, { netmask }: Persistence): string {
  const bytes = toBytes(address);
  const value = netmaskValue(netmask);
  if (value !== undefined) {
    const mask = [24, 16, 8, 0].map((shift) => (value >>> shift) & 255);
    return fromBytes(bytes.map((byte, at) => (at < 12 ? byte : byte & (mask[at - 12] as number))));
  }
  const network = bytes.map(
    (byte, at) => byte & ~(0xff >> Math.min(8, Math.max(0, Number(netmask) - at * 8))),
  );
  return fromBytes(network) || '::';
}
