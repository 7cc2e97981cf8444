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

/** Why a text is no address we take: `ipv6` is told apart because its message differs. */
export type AddressFault = 'ipv6' | 'invalid';

/**
 * Dotted quad, and nothing else: ipaddr.js also takes inet_aton's short and octal forms, in which
 * `10.0.1` is 10.0.0.1 and `192.0.2.010` ends in 8.
 */
export function parseIPv4(text: string): { value: string } | { fault: AddressFault } {
  if (ipaddr.IPv6.isValid(text)) return { fault: 'ipv6' };
  if (!ipaddr.IPv4.isValidFourPartDecimal(text)) return { fault: 'invalid' };
  return { value: ipaddr.IPv4.parse(text).toString() };
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

function looksIPv6(text: string): boolean {
  const inner = /^\[(.*)\](?::\d+)?$/.exec(text)?.[1] ?? text.replace(/\/\d+$/, '');
  return ipaddr.IPv6.isValid(inner);
}

/** Whether a host may have this address; if not, what it is instead. */
export function unusableAs(address: string): string | undefined {
  const range = ipaddr.IPv4.parse(address).range();
  switch (range) {
    case 'unspecified':
      return 'is the unspecified network 0.0.0.0/8';
    case 'multicast':
      return 'is a multicast address';
    case 'broadcast':
      return 'is the broadcast address';
    case 'loopback':
      return 'is a loopback address';
    default:
      return Number(address.split('.')[0]) >= 240 ? 'is in the reserved 240.0.0.0/4' : undefined;
  }
}

export function inNetwork(address: string, network: Cidr): boolean {
  return ipaddr.IPv4.parse(address).match(ipaddr.IPv4.parse(network.address), network.length);
}

/** The network a host address with its length lies in: `192.0.2.1/24` → `192.0.2.0/24`. */
export function networkOf(cidr: Cidr): Cidr {
  const address = ipaddr.IPv4.networkAddressFromCIDR(formatCidr(cidr)).toString();
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
  const parsed = ipaddr.parse(address);
  const wide = parsed instanceof ipaddr.IPv4 ? parsed.toIPv4MappedAddress() : parsed;
  return Uint8Array.from(wide.toByteArray());
}

/** Back from 16 bytes; `::` is the empty string, as records use it for "none". */
export function fromBytes(bytes: Uint8Array): string {
  const parsed = ipaddr.fromByteArray([...bytes]) as ipaddr.IPv6;
  if (parsed.isIPv4MappedAddress()) return parsed.toIPv4Address().toString();
  const text = parsed.toString();
  return text === '::' ? '' : text;
}

export function parseMac(text: string): Uint8Array | undefined {
  if (!/^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/.test(text)) return undefined;
  return Uint8Array.from(text.split(':'), (part) => Number.parseInt(part, 16));
}
