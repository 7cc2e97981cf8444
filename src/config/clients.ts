/**
 * Clients of a service: who may use it (`allow`) and who may not (`deny`), by address, network or
 * range, said in the configuration or in files of one a line. The Model refers to files by their
 * paths and has what they say beside the services (`clientFiles`), so that a hundred thousand lines
 * are there once, whatever refers to them.
 */
import { z } from 'zod';
import { fromBytes, isSix, parseAddress, toBytes } from './address.js';
import { absolute, expected, list, section } from './kinds.js';

export const CLIENT_LISTS = ['allow', 'deny'] as const;
export type ClientListName = (typeof CLIENT_LISTS)[number];

/** Canonical text as parseClients() gives it, or the path of a file. */
export type ClientItem = string | { file: string };

export interface Clients {
  /** Empty: everybody. */
  allow: readonly ClientItem[];
  /** Counts before `allow`. */
  deny: readonly ClientItem[];
}

export const ANYBODY: Clients = { allow: [], deny: [] };

/** What a file of clients says, as it was when the configuration was read. */
export interface ClientFile {
  path: string;
  text: string;
}

/** Of a list, files and cut ranges included: 9 MB of a worker's memory (37 MB of IPv6). */
export const MOST_NETWORKS = 1_000_000;

const WHAT = 'an address, a network or a range such as 192.0.2.0/24 or 192.0.2.1-192.0.2.9';

/** Addresses that share their first `length` bits; `first` is IPv4's 32 or IPv6's 128 bits. */
export interface Network {
  six: boolean;
  first: bigint;
  length: number;
}

/** `first` to `last`, both of them included. */
export interface Range {
  six: boolean;
  first: bigint;
  last: bigint;
}

/**
 * `192.0.2.1`, `192.0.2.0/24`, `192.0.2.1-192.0.2.9`, `192.0.2.1-9`; IPv6 alike, where a last part
 * alone is hexadecimal. Canonical text, or what was expected.
 */
export function parseClients(text: string): { value: string } | { fault: string } {
  const range = rangeOf(text);
  return 'fault' in range ? range : { value: format(range) };
}

/** What is meant, or what was expected. */
export function rangeOf(text: string): Range | { fault: string } {
  const [, address = '', length, last] = /^([^/-]*)(?:\/(\d{1,3})|-(.+))?$/.exec(text) ?? [];
  const first = numberOf(address);
  if (first === undefined) return { fault: WHAT };
  const six = isSix(address);
  if (length !== undefined) {
    const host = (six ? 128 : 32) - Number(length);
    if (host < 0) return { fault: `at most ${six ? 128 : 32} bits after the slash` };
    const rest = (1n << BigInt(host)) - 1n;
    if ((first & rest) === 0n) return { six, first, last: first | rest };
    const network = { six, first: first & ~rest, last: first | rest };
    return { fault: `${format(network)}: it has bits set after its prefix` };
  }
  if (last === undefined) return { six, first, last: first };
  const end = endOf(last, six, first);
  return end !== undefined && end >= first ? { six, first, last: end } : { fault: WHAT };
}

function endOf(text: string, six: boolean, first: bigint): bigint | undefined {
  const end = numberOf(text);
  if (end !== undefined) return isSix(text) === six ? end : undefined;
  const [part, size] = six
    ? [/^[0-9a-f]{1,4}$/i.test(text) ? Number.parseInt(text, 16) : -1, 0x1_0000]
    : [/^\d{1,3}$/.test(text) ? Number(text) : -1, 0x100];
  return part < 0 || part >= size ? undefined : first - (first % BigInt(size)) + BigInt(part);
}

const HEXTETS = /^[0-9a-f]{1,4}(?::[0-9a-f]{1,4})*$/i;

/** An address as a number; undefined: it is none. By hand where it can be, as there are many. */
function numberOf(address: string): bigint | undefined {
  const six = sixOf(address);
  if (six !== undefined) return six;
  const parsed = parseAddress(address);
  if ('fault' in parsed) return undefined;
  const view = new DataView(toBytes(parsed.value).buffer);
  if (!isSix(address)) return BigInt(view.getUint32(12));
  return (view.getBigUint64(0) << 64n) | view.getBigUint64(8);
}

/** undefined: no IPv6, or one with something unusual to it. */
function sixOf(address: string): bigint | undefined {
  const [left = '', right, more] = address.split('::');
  if (right === undefined || more !== undefined) return undefined;
  const partsOf = (text: string) =>
    text === '' ? [] : HEXTETS.test(text) ? text.split(':') : null;
  const [head, tail] = [partsOf(left), partsOf(right)];
  if (head === null || head.length === 0 || tail === null) return undefined;
  if (head.length + tail.length > 7) return undefined;
  const hexOf = (parts: string[]) => parts.map((part) => part.padStart(4, '0')).join('');
  const end = hexOf(tail);
  const number = BigInt(`0x${hexOf(head).padEnd(32 - end.length, '0')}${end}`);
  // IPv4 in IPv6's clothes is none.
  return number >> 32n === 0xffffn ? undefined : number;
}

/** 16 network-order bytes. */
function bytesOf(number: bigint, six: boolean): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, six ? number >> 64n : 0n);
  view.setBigUint64(8, six ? number & 0xffff_ffff_ffff_ffffn : (0xffffn << 32n) | number);
  return bytes;
}

function format({ six, first, last }: Range): string {
  const text = (number: bigint) => fromBytes(bytesOf(number, six)) || '::';
  if (first === last) return text(first);
  const size = last - first + 1n;
  if ((size & (size - 1n)) === 0n && first % size === 0n) {
    return `${text(first)}/${(six ? 128 : 32) - (size.toString(2).length - 1)}`;
  }
  return `${text(first)}-${text(last)}`;
}

/** The fewest networks that are the range together. */
export function* networksIn({ six, first, last }: Range): Generator<Network> {
  const bits = six ? 128 : 32;
  for (let at = first; at <= last; ) {
    let size = at === 0n ? 1n << BigInt(bits) : at & -at;
    while (at + size - 1n > last) size >>= 1n;
    yield { six, first: at, length: bits - (size.toString(2).length - 1) };
    at += size;
  }
}

/** Of an item that the schema has let through. */
export function networksOf(item: string): Network[] {
  const range = rangeOf(item);
  return 'fault' in range ? [] : [...networksIn(range)];
}

const entry = z.string().transform((input, context) => {
  const parsed = parseClients(input);
  if ('value' in parsed) return parsed.value;
  context.addIssue({ code: 'custom', message: `expected ${parsed.fault}` });
  return z.NEVER;
});

const item = z.union([entry, section({ file: absolute() })], {
  error: ({ input }) => {
    const parsed =
      typeof input === 'string' ? parseClients(input) : { fault: `${WHAT}, or file: /path` };
    return `expected ${'fault' in parsed ? parsed.fault : WHAT}`;
  },
});

/** In director.yaml. */
export const clients = section({
  allow: list(item, 'clients')
    .min(1, expected('at least one client, or no allow: then everybody is let in'))
    .optional(),
  deny: list(item, 'clients').optional(),
});

/** On the API. */
export const clientText = z
  .string()
  .transform((input, context) => {
    const parsed = parseClients(input);
    if ('value' in parsed) return parsed.value;
    const message = `is ${JSON.stringify(input)}, expected ${parsed.fault}`;
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  })
  .describe('An address, network or range: 192.0.2.1, 192.0.2.0/24, 192.0.2.1-192.0.2.9.');

export function buildClients(given: z.output<typeof clients> | undefined): Clients {
  if (!given) return ANYBODY;
  return { allow: given.allow ?? [], deny: given.deny ?? [] };
}
