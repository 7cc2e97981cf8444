/** `host[:port]`, `[IPv6]:port` and numbers, as ipvsadm reads them. */
import ipaddr from 'ipaddr.js';
import type { Names, Protocol } from './names.js';

export interface HostPort {
  address: string;
  family: 4 | 6;
  /** undefined: not given. */
  port: number | undefined;
}

/** A decimal number from low to high (as strtol reads it, so `+5` is one), or undefined. */
export function wholeNumber(text: string, low: number, high: number): number | undefined {
  if (!/^\s*\+?\d+$/.test(text)) return undefined;
  const value = Number(text);
  return value >= low && value <= high ? value : undefined;
}

/** inet_aton: one to four parts, decimal, octal (`010`) or hexadecimal (`0x10`). */
export function parseInet(text: string): string | undefined {
  return ipaddr.IPv4.isValid(text) ? ipaddr.IPv4.parse(text).toString() : undefined;
}

/** In its short form (RFC 5952), without brackets. */
export function parseInet6(text: string): string | undefined {
  return text.includes(':') && ipaddr.IPv6.isValid(text)
    ? ipaddr.IPv6.parse(text).toString()
    : undefined;
}

export async function parseHostPort(
  text: string,
  protocol: Protocol,
  names: Names,
): Promise<HostPort | undefined> {
  const bare = ipaddr.IPv6.isValid(text) ? ipaddr.IPv6.parse(text).toString() : undefined;
  if (bare !== undefined) return { address: bare, family: 6, port: undefined };
  const bracketed = /^\[([^\]]*)\]:(.+)$/.exec(text);
  const plain = bracketed ?? /^([^:]+)(?::([^:]+))?$/.exec(text);
  if (!plain) return undefined;
  const [, host = '', portText] = plain;
  let port: number | undefined;
  if (portText !== undefined) {
    port = wholeNumber(portText, 0, 65535) ?? names.portOf(portText, protocol);
    if (port === undefined) return undefined;
  }
  if (bracketed) {
    if (!ipaddr.IPv6.isValid(host)) return undefined;
    return { address: ipaddr.IPv6.parse(host).toString(), family: 6, port };
  }
  const numeric = parseInet(host);
  // All digits and dots, but no address: no host has such a name, so nobody need ask for it.
  const address = numeric ?? (/^[\d.]+$/.test(host) ? undefined : await names.addressOf(host));
  return address === undefined ? undefined : { address, family: 4, port };
}
