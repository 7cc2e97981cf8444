/** The headers of a frame, as far as a line about it needs them. */
import { formatEndpoint, fromBytes } from '../config/address.js';

export interface Headers {
  sourceMac: string;
  destinationMac: string;
  /** ARP, TCP, UDP, SCTP, ICMP, ICMPv6, or a number: of the innermost packet. */
  protocol: string;
  /** `a.b.c.d:port` or `[address]:port`, or an address alone where there is no port. */
  from: string;
  to: string;
  /** Around it: `IPIP a.b.c.d → e.f.g.h`; or 6in6, 6in4, 4in6, GRE, GUE. */
  outer?: string;
  /** What it quotes: an ICMP error's packet. */
  quoted?: string;
  /** SYN, ACK …, an SCTP packet's chunks or an ICMP type; '' for others. */
  what: string;
  ttl?: number;
}

const ETHERNET = 14;
const IPV4_HEADER = 20;
const IPV6_HEADER = 40;
const IPIP = 4;
const IPV6 = 41;
const GRE = 47;
const GRE_CHECKSUM = 0x8000;
const FRAGMENT = 44;
const ICMPV6 = 58;
/** Hop-by-hop options, routing, destination options: RFC 8200 section 4. */
const EXTENSIONS = new Set([0, 43, 60]);
const NAMES: Record<number, string> = {
  1: 'ICMP',
  6: 'TCP',
  17: 'UDP',
  58: 'ICMPv6',
  132: 'SCTP',
};
const SCTP = 132;
const SCTP_HEADER = 12;
const FLAGS = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG'];
/** RFC 9260 section 3.2, and what newer ones have added. */
const CHUNKS: Record<number, string> = {
  0: 'DATA',
  1: 'INIT',
  2: 'INIT-ACK',
  3: 'SACK',
  4: 'HEARTBEAT',
  5: 'HEARTBEAT-ACK',
  6: 'ABORT',
  7: 'SHUTDOWN',
  8: 'SHUTDOWN-ACK',
  9: 'ERROR',
  10: 'COOKIE-ECHO',
  11: 'COOKIE-ACK',
  12: 'ECNE',
  13: 'CWR',
  14: 'SHUTDOWN-COMPLETE',
  64: 'I-DATA',
  130: 'RE-CONFIG',
  132: 'PAD',
  192: 'FORWARD-TSN',
};
const ICMP_TYPES: Record<number, string> = {
  0: 'echo reply',
  3: 'unreachable',
  4: 'source quench',
  5: 'redirect',
  8: 'echo',
  11: 'time exceeded',
  12: 'parameter problem',
};
const ICMPV6_TYPES: Record<number, string> = {
  1: 'unreachable',
  2: 'packet too big',
  3: 'time exceeded',
  4: 'parameter problem',
  128: 'echo',
  129: 'echo reply',
  133: 'router solicitation',
  134: 'router advertisement',
  135: 'neighbour solicitation',
  136: 'neighbour advertisement',
  137: 'redirect',
};

/** Whether UDP to a port is GUE, which nothing in the packet tells. */
type IsGue = (address: string, port: number) => boolean;

/** undefined where not even the Ethernet header is whole. */
export function readHeaders(frame: Uint8Array, isGue: IsGue = () => false): Headers | undefined {
  if (frame.length < ETHERNET) return undefined;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const macs = {
    destinationMac: formatMac(frame.subarray(0, 6)),
    sourceMac: formatMac(frame.subarray(6, 12)),
  };
  const type = view.getUint16(12);
  const address = (at: number) => frame.subarray(at, at + 4).join('.');
  if (type === 0x0806 && frame.length >= ETHERNET + 28) {
    const isRequest = view.getUint16(ETHERNET + 6) === 1;
    return {
      ...macs,
      protocol: 'ARP',
      from: address(ETHERNET + 14),
      to: address(ETHERNET + 24),
      what: isRequest ? 'request' : 'reply',
    };
  }
  const needed = ETHERNET + (type === 0x0800 ? IPV4_HEADER : IPV6_HEADER);
  if ((type !== 0x0800 && type !== 0x86dd) || frame.length < needed) {
    const protocol = type === 0x86dd ? 'IPv6' : `0x${type.toString(16).padStart(4, '0')}`;
    return { ...macs, protocol, from: macs.sourceMac, to: macs.destinationMac, what: '' };
  }
  return { ...macs, ...readIp({ frame, view, isGue }, ETHERNET, type === 0x86dd) };
}

/** `a.b.c.d:port`, `[address]:port` or an address alone, taken apart; port 0: there is none. */
export function splitEnd(text: string): { address: string; port: number } {
  const [, six, four, port] = /^(?:\[(.+)\]|([^:]+)):(\d+)$/.exec(text) ?? [];
  return { address: six ?? four ?? text, port: Number(port ?? 0) };
}

type IpHeaders = Omit<Headers, 'sourceMac' | 'destinationMac'>;

interface Frame {
  frame: Uint8Array;
  view: DataView;
  isGue: IsGue;
}

/** What an IP header says, extension headers with it. */
interface Ip {
  from: string;
  to: string;
  ttl: number;
  number: number;
  /** Where the upper layer begins. */
  l4: number;
  isFragment: boolean;
  /** A fragment, and not the first. */
  isLater: boolean;
}

function readIp(source: Frame, at: number, six: boolean, outer?: string): IpHeaders {
  const { frame, view } = source;
  const ip = six ? readIpv6(source, at) : readIpv4(source, at);
  const { from, to, number, l4, isFragment, isLater } = ip;
  if (!isLater && outer === undefined) {
    const found = insideOf(source, l4, number, six, (port) => source.isGue(to, port));
    if (found && frame.length >= found.at + (found.six ? IPV6_HEADER : IPV4_HEADER)) {
      return readIp(source, found.at, found.six, `${found.name} ${from} → ${to}`);
    }
  }
  const headers: IpHeaders = {
    protocol: NAMES[number] ?? `protocol ${number}`,
    from,
    to,
    what: isFragment ? 'fragment' : '',
    ttl: ip.ttl,
    ...(outer === undefined ? {} : { outer }),
  };
  if (isLater || frame.length < l4 + 8) return headers;
  const words = isFragment ? ['fragment'] : [];
  if (number === 6 || number === 17 || number === SCTP) {
    headers.from = formatEndpoint({ address: from, port: view.getUint16(l4) });
    headers.to = formatEndpoint({ address: to, port: view.getUint16(l4 + 2) });
    if (number === 6 && frame.length > l4 + 13) {
      const bits = view.getUint8(l4 + 13);
      words.push(...FLAGS.filter((_, bit) => (bits & (1 << bit)) !== 0));
    }
    if (number === SCTP && !isFragment) words.push(...chunksOf(view, l4 + SCTP_HEADER));
  } else if (number === 1 || number === ICMPV6) {
    const type = view.getUint8(l4);
    const code = view.getUint8(l4 + 1);
    const types = number === 1 ? ICMP_TYPES : ICMPV6_TYPES;
    words.push(`${types[type] ?? 'type'} ${type}/${code}`);
    const quotes = number === 1 ? type === 3 || type === 4 || type === 11 : type >= 1 && type <= 4;
    if (quotes && frame.length >= l4 + 8 + (six ? IPV6_HEADER : IPV4_HEADER)) {
      const quoted = readIp(source, l4 + 8, six);
      headers.quoted = `${quoted.outer ? `${quoted.outer}, ` : ''}${quoted.protocol} ${quoted.from} → ${quoted.to}`;
    }
  }
  headers.what = words.join(' ');
  return headers;
}

/** Of an SCTP packet whose chunks begin at `at`, as far as they are there. */
function chunksOf(view: DataView, at: number): string[] {
  const words: string[] = [];
  let next = at;
  while (next + 4 <= view.byteLength && words.length < 8) {
    const type = view.getUint8(next);
    const length = view.getUint16(next + 2);
    words.push(CHUNKS[type] ?? `chunk ${type}`);
    if (length < 4) break;
    next += (length + 3) & ~3;
  }
  return words;
}

function readIpv4({ frame, view }: Frame, at: number): Ip {
  const address = (offset: number) => frame.subarray(at + offset, at + offset + 4).join('.');
  const fragment = view.getUint16(at + 6);
  return {
    from: address(12),
    to: address(16),
    ttl: view.getUint8(at + 8),
    number: view.getUint8(at + 9),
    l4: at + (view.getUint8(at) & 0x0f) * 4,
    isFragment: (fragment & 0x3fff) !== 0,
    isLater: (fragment & 0x1fff) !== 0,
  };
}

function readIpv6({ frame, view }: Frame, at: number): Ip {
  const address = (offset: number) =>
    fromBytes(frame.subarray(at + offset, at + offset + 16)) || '::';
  let number = view.getUint8(at + 6);
  let l4 = at + IPV6_HEADER;
  let isFragment = false;
  let isLater = false;
  while (frame.length >= l4 + 8) {
    if (EXTENSIONS.has(number)) {
      number = view.getUint8(l4);
      l4 += (view.getUint8(l4 + 1) + 1) * 8;
    } else if (number === FRAGMENT && !isFragment) {
      isFragment = true;
      isLater = (view.getUint16(l4 + 2) & 0xfff8) !== 0;
      number = view.getUint8(l4);
      l4 += 8;
      if (isLater) break;
    } else break;
  }
  const ends = { from: address(8), to: address(24), ttl: view.getUint8(at + 7) };
  return { ...ends, number, l4, isFragment, isLater };
}

/** Where the packet in a tunnel's packet begins; undefined: it is none. `six`: the outer one is. */
function insideOf(
  { frame, view }: Frame,
  l4: number,
  number: number,
  six: boolean,
  isGue: (port: number) => boolean,
): { name: string; at: number; six: boolean } | undefined {
  if (number === IPIP) return { name: six ? '4in6' : 'IPIP', at: l4, six: false };
  if (number === IPV6) return { name: six ? '6in6' : '6in4', at: l4, six: true };
  if (number === GRE && frame.length >= l4 + 4) {
    const flags = view.getUint16(l4);
    const type = view.getUint16(l4 + 2);
    const known = (flags === 0 || flags === GRE_CHECKSUM) && (type === 0x0800 || type === 0x86dd);
    if (!known) return undefined;
    return { name: 'GRE', at: l4 + (flags === 0 ? 4 : 8), six: type === 0x86dd };
  }
  if (number === 17 && frame.length >= l4 + 12 && isGue(view.getUint16(l4 + 2))) {
    const first = view.getUint8(l4 + 8);
    const protocol = view.getUint8(l4 + 9);
    if (first >> 5 === 0 && (protocol === IPIP || protocol === IPV6)) {
      return { name: 'GUE', at: l4 + 12 + (first & 0x1f) * 4, six: protocol === IPV6 };
    }
  }
  return undefined;
}

function formatMac(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}
