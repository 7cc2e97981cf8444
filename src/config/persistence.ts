/** Persistence of a service: a client, or its network, keeps its real server for some time. */
import { z } from 'zod';
import { bitsOf, fromBytes, isSix, toBytes } from './address.js';
import { duration, expected, integer, oneOf, section } from './kinds.js';

export interface Persistence {
  /** For so long after the client's last new connection, and while it has one. Seconds. */
  timeoutS: number;
  /** Of a client's address, how many leading bits count: 32, of IPv6 128, is each client by itself. */
  clientBits: number;
  /** A server of weight 0 keeps the clients it has, as LVS does, or they move (expire_quiescent_template). */
  whenDrained: 'stay' | 'move';
}

/** keepalived's and ipvsadm's, where only persistence itself is asked for. Seconds. */
export const DEFAULT_PERSISTENCE_S = 360;

/** 255.255.255.0 → 24; undefined: no netmask, or one with holes. */
export function netmaskBits(text: string): number | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)) {
    return undefined;
  }
  const bits = parts.map((part) => Number(part).toString(2).padStart(8, '0')).join('');
  return /^1*0*$/.test(bits) ? bits.replaceAll('0', '').length : undefined;
}

/** As ipvsadm and keepalived write it: 24 → 255.255.255.0, of IPv6 the number itself. */
export function formatNetmask(bits: number, six: boolean): string {
  if (six) return `${bits}`;
  const value = bits === 0 ? 0 : (0xffff_ffff << (32 - bits)) >>> 0;
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.');
}

const what = 'a netmask such as 255.255.255.0, or a number of bits';
const netmask = z.union(
  [
    z.string().transform((text, context) => {
      const bits = netmaskBits(text);
      if (bits !== undefined) return { bits, dotted: true };
      context.addIssue({ code: 'custom', message: `expected ${what}` });
      return z.NEVER;
    }),
    integer(0, 128).transform((bits) => ({ bits, dotted: false })),
  ],
  expected(what),
);

const time = () =>
  duration('a time from 1 second to 31 days: seconds, or such as 5m', 's', 1e6, 2_678_400e6);

export interface Settings {
  /** Microseconds. */
  timeout: number;
  netmask?: { bits: number; dotted: boolean } | undefined;
  whenDrained?: Persistence['whenDrained'] | undefined;
}

/** `persistence: 5m`, or a block. */
export const persistenceSchema = z.union(
  [
    time().transform((timeout): Settings => ({ timeout })),
    section({
      timeout: time(),
      netmask: netmask.optional(),
      whenDrained: oneOf(['stay', 'move']).optional(),
    }),
  ],
  expected('a time such as 5m, or a block of timeout, netmask and whenDrained'),
);

/** `address`: the service's, which says the family. */
export function buildPersistence(
  parsed: Settings | undefined,
  address: string,
): Persistence | null {
  if (parsed === undefined) return null;
  const { timeout, netmask, whenDrained = 'stay' } = parsed;
  const clientBits = netmask?.bits ?? bitsOf(address);
  return { timeoutS: Math.round(timeout / 1e6), clientBits, whenDrained };
}

/** What is wrong with a netmask for a service of this address; IPVS, too, takes no IPv6 /0. */
export function netmaskFault(clientBits: number, address: string): string | undefined {
  if (isSix(address)) {
    return clientBits === 0 ? 'expected 1 to 128 bits for an IPv6 service' : undefined;
  }
  return clientBits > 32 ? 'expected a netmask, or 0 to 32 bits, for an IPv4 service' : undefined;
}

/** The network of a client's address that counts. */
export function clientNetwork(address: string, { clientBits }: Persistence): string {
  const bytes = toBytes(address);
  const left = clientBits + bytes.length * 8 - bitsOf(address);
  const network = bytes.map(
    (byte, at) => byte & ~(0xff >> Math.min(8, Math.max(0, left - at * 8))),
  );
  return fromBytes(network) || '::';
}
