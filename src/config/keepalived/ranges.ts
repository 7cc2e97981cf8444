/** Ranges of addresses as groups have them, of either family. */
import { bitsOf, fromBytes, isSix, toBytes } from '../address.js';
import { isAddress } from './keywords/kinds.js';

export interface Range {
  first: string;
  /** Addresses in it; rounded where there are more than anybody wants. */
  count: number;
}

const RANGE = /^(.+?)(?:-(.*)|\/(\d{1,3}))?$/;

/** `192.0.2.1`, `192.0.2.1-10`, `192.0.2.1-192.0.3.10`, `192.0.2.8/29`; IPv6 alike, `-10` in hexadecimal. */
export function parseRange(text: string): Range | undefined {
  const [, first = '', last, length] = RANGE.exec(text) ?? [];
  if (!isAddress(first)) return undefined;
  const start = toNumber(first);
  if (length !== undefined) {
    const host = bitsOf(first) - Number(length);
    const size = host >= 0 ? 1n << BigInt(host) : 0n;
    const isNetwork = length !== '0' && size > 0n && start % size === 0n;
    return isNetwork ? { first, count: Number(size) } : undefined;
  }
  if (last === undefined) return { first, count: 1 };
  const end = endOf(first, start, last);
  return end === undefined ? undefined : { first, count: Number(end - start) + 1 };
}

/** The last part of an address alone has to be beyond the first one's, a whole address may be it. */
function endOf(first: string, start: bigint, last: string): bigint | undefined {
  if (isAddress(last)) {
    const end = toNumber(last);
    return isSix(last) === isSix(first) && end >= start ? end : undefined;
  }
  const [part, size] = isSix(first)
    ? [/^(?:0x)?[0-9a-f]+$/i.test(last) ? Number.parseInt(last, 16) : -1, 0x1_0000]
    : [/^\d+$/.test(last) ? Number(last) : -1, 0x100];
  const end = start - (start % BigInt(size)) + BigInt(part);
  return part >= 0 && part < size && end > start ? end : undefined;
}

/** All of them; the caller has looked how many there are. */
export function addressesIn({ first, count }: Range): string[] {
  if (count === 1) return [first];
  const start = toNumber(first);
  return Array.from({ length: count }, (_, index) => fromNumber(start + BigInt(index)));
}

/** IPv4 counts as ::ffff:a.b.c.d. */
function toNumber(address: string): bigint {
  return BigInt(`0x${Buffer.from(toBytes(address)).toString('hex')}`);
}

function fromNumber(number: bigint): string {
  return fromBytes(Buffer.from(number.toString(16).padStart(32, '0'), 'hex')) || '::';
}
