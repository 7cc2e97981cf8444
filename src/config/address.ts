/**
 * Addresses as configurations write them. The Model holds canonical text (`192.0.2.1`), the
 * Snapshot 16 bytes (IPv4 as ::ffff:a.b.c.d, RFC 4291 section 2.5.5.2).
 */
import ipaddr from 'ipaddr.js';

export interface Cidr {
  address: string;
  length: number;
}

export interface Endpoint {
  address: string;
  port: number;
}

/** Why a text is no address we take: `ipv6` where only IPv4 is, as its message differs. */
export type AddressFault = 'ipv6' | 'invalid';

/**
 * A dotted quad as a number, or -1. Nothing else is taken, neither inet_aton's short and octal
 * forms, in which `10.0.1` is 10.0.0.1 and `192.0.2.010` ends in 8, nor leading zeros. By hand,
 * because a large configuration has a hundred thousand of them.
 */
function quadOf(text: string): number {
  let address = 0;
  let part = -1; // of which no digit has come yet
  let dots = 0;
  for (let at = 0; at < text.length; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit === -2 && part >= 0 && dots < 3) {
      address = address * 256 + part;
      part = -1;
      dots++;
      continue;
    }
    if (digit < 0 || digit > 9 || part === 0) return -1;
    part = part < 0 ? digit : part * 10 + digit;
    if (part > 255) return -1;
  }
  return dots === 3 && part >= 0 ? address * 256 + part : -1;
}

export function parseIPv4(text: string): { value: string } | { fault: AddressFault } {
  if (quadOf(text) >= 0) return { value: text };
  return { fault: ipaddr.IPv6.isValid(text) ? 'ipv6' : 'invalid' };
}

export function parseCidr(text: string): { value: Cidr } | { fault: AddressFault } {
  const match = /^(.*)\/(\d{1,3})$/.exec(text);
  if (!match) return { fault: looksIPv6(text) ? 'ipv6' : 'invalid' };
  const parsed = parseIPv4(match[1] as string);
  if ('fault' in parsed) return parsed;
  const length = Number(match[2]);
  return length <= 32 ? { value: { address: parsed.value, length } } : { fault: 'invalid' };
}

export function parseEndpoint(text: string): { value: Endpoint } | { fault: AddressFault } {
  if (looksIPv6(text)) return { fault: 'ipv6' };
  const match = /^([^:]+):(\d{1,5})$/.exec(text);
  if (!match) return { fault: 'invalid' };
  const parsed = parseIPv4(match[1] as string);
  if ('fault' in parsed) return parsed;
  const port = Number(match[2]);
  return port >= 1 && port <= 65535
    ? { value: { address: parsed.value, port } }
    : { fault: 'invalid' };
}

/**
 * An address of either family. Scopes (`fe80::1%eth0`) are none, nor is IPv4 in IPv6's clothes,
 * which would be two names for one thing.
 */
export function parseAddress(text: string): { value: string } | { fault: AddressFault } {
  if (quadOf(text) >= 0) return { value: text };
  if (!text.includes(':') || text.includes('%') || !ipaddr.IPv6.isValid(text)) {
    return { fault: 'invalid' };
  }
  const parsed = ipaddr.IPv6.parse(text);
  return parsed.isIPv4MappedAddress() ? { fault: 'invalid' } : { value: parsed.toString() };
}

/** A network, or an address with its prefix length, of either family. */
export function parseAnyCidr(text: string): { value: Cidr } | { fault: AddressFault } {
  const match = /^(.*)\/(\d{1,3})$/.exec(text);
  const parsed = parseAddress(match?.[1] ?? '');
  if ('fault' in parsed) return parsed;
  const length = Number(match?.[2]);
  return length <= bitsOf(parsed.value)
    ? { value: { address: parsed.value, length } }
    : { fault: 'invalid' };
}

/** `192.0.2.1:80` or `[2001:db8::1]:80`; port 0 is any. */
export function parseWideEndpoint(text: string): { value: Endpoint } | { fault: AddressFault } {
  const [, six, four, portText] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const parsed = parseAddress(six ?? four ?? '');
  if ('fault' in parsed || isSix(parsed.value) !== (six !== undefined)) return { fault: 'invalid' };
  const port = Number(portText);
  return port <= 65535 ? { value: { address: parsed.value, port } } : { fault: 'invalid' };
}

/** Of an address as text. */
export function isSix(address: string): boolean {
  return address.includes(':');
}

/** Bits of an address as text. */
export function bitsOf(address: string): number {
  return isSix(address) ? 128 : 32;
}

function looksIPv6(text: string): boolean {
  if (text.indexOf(':') === text.lastIndexOf(':')) return false;
  const inner = /^\[(.*)\](?::\d+)?$/.exec(text)?.[1] ?? text.replace(/\/\d+$/, '');
  return ipaddr.IPv6.isValid(inner);
}

/** Whether a host may have this address; if not, what it is instead. */
export function unusableAs(address: string): string | undefined {
  if (isSix(address)) {
    const range = ipaddr.IPv6.parse(address).range();
    if (range === 'unspecified') return 'is the unspecified address';
    if (range === 'loopback') return 'is the loopback address';
    return range === 'multicast' ? 'is a multicast address' : undefined;
  }
  const first = quadOf(address) >>> 24;
  if (first === 0) return 'is the unspecified network 0.0.0.0/8';
  if (first === 127) return 'is a loopback address';
  if (first < 224) return undefined;
  if (first < 240) return 'is a multicast address';
  if (address === '255.255.255.255') return 'is the broadcast address';
  return 'is in the reserved 240.0.0.0/4';
}

/** fe80::/10: means something on its link only. */
export function isLinkLocal(address: string): boolean {
  return isSix(address) && ipaddr.IPv6.parse(address).range() === 'linkLocal';
}

export function inNetwork(address: string, network: Cidr): boolean {
  if (isSix(address) || isSix(network.address)) {
    if (!isSix(address) || !isSix(network.address)) return false;
    return ipaddr.IPv6.parse(address).match(ipaddr.IPv6.parse(network.address), network.length);
  }
  const size = 2 ** (32 - network.length);
  return Math.floor(quadOf(address) / size) === Math.floor(quadOf(network.address) / size);
}

/** The network a host address with its length lies in: `192.0.2.1/24` → `192.0.2.0/24`. */
export function networkOf(cidr: Cidr): Cidr {
  const family = isSix(cidr.address) ? ipaddr.IPv6 : ipaddr.IPv4;
  const address = family.networkAddressFromCIDR(formatCidr(cidr)).toString();
  return { address, length: cidr.length };
}

export function formatCidr(cidr: Cidr): string {
  return `${cidr.address}/${cidr.length}`;
}

export function formatEndpoint(endpoint: Endpoint): string {
  return endpoint.address.includes(':')
    ? `[${endpoint.address}]:${endpoint.port}`
    : `${endpoint.address}:${endpoint.port}`;
}

/** 16 network-order bytes, as the addon takes every address. */
export function toBytes(address: string): Uint8Array {
  const quad = quadOf(address);
  if (quad < 0) {
    const parsed = ipaddr.parse(address);
    const wide = parsed instanceof ipaddr.IPv4 ? parsed.toIPv4MappedAddress() : parsed;
    return Uint8Array.from(wide.toByteArray());
  }
  const bytes = new Uint8Array(16);
  bytes[10] = 0xff;
  bytes[11] = 0xff;
  bytes[12] = quad >>> 24;
  bytes[13] = quad >>> 16;
  bytes[14] = quad >>> 8;
  bytes[15] = quad;
  return bytes;
}

/** True for ::ffff:a.b.c.d. */
export function isIPv4(address: Uint8Array): boolean {
  for (let at = 0; at < 10; at++) {
    if (address[at] !== 0) return false;
  }
  return address[10] === 0xff && address[11] === 0xff;
}

/** Back from 16 bytes; `::` is the empty string, as records use it for "none". */
export function fromBytes(bytes: Uint8Array): string {
  if (isIPv4(bytes)) return `${bytes[12]}.${bytes[13]}.${bytes[14]}.${bytes[15]}`;
  const text = (ipaddr.fromByteArray([...bytes]) as ipaddr.IPv6).toString();
  return text === '::' ? '' : text;
}

export function parseMac(text: string): Uint8Array | undefined {
  if (!/^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/.test(text)) return undefined;
  return Uint8Array.from(text.split(':'), (part) => Number.parseInt(part, 16));
}
