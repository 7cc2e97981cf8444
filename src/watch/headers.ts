/** The headers of a frame, as far as a line about it needs them. */

export interface Headers {
  sourceMac: string;
  destinationMac: string;
  /** ARP, TCP, UDP, SCTP, ICMP, or a number: of the innermost packet. */
  protocol: string;
  /** `a.b.c.d:port`, or without a port where there is none. */
  from: string;
  to: string;
  /** Around it: `IPIP a.b.c.d → e.f.g.h`; or GRE, or GUE. */
  outer?: string;
  /** What it quotes: an ICMP error's packet. */
  quoted?: string;
  /** SYN, ACK …, an SCTP packet's chunks or an ICMP type; '' for others. */
  what: string;
  ttl?: number;
}

const ETHERNET = 14;
const IPIP = 4;
const GRE = 47;
const GRE_CHECKSUM = 0x8000;
const NAMES: Record<number, string> = { 1: 'ICMP', 6: 'TCP', 17: 'UDP', 132: 'SCTP' };
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
  if (type !== 0x0800 || frame.length < ETHERNET + 20) {
    const protocol = type === 0x86dd ? 'IPv6' : `0x${type.toString(16).padStart(4, '0')}`;
    return { ...macs, protocol, from: macs.sourceMac, to: macs.destinationMac, what: '' };
  }
  return { ...macs, ...readIp(view, frame, ETHERNET, isGue) };
}

type IpHeaders = Omit<Headers, 'sourceMac' | 'destinationMac'>;

function readIp(
  view: DataView,
  frame: Uint8Array,
  at: number,
  isGue: IsGue,
  outer?: string,
): IpHeaders {
  const address = (offset: number) => frame.subarray(at + offset, at + offset + 4).join('.');
  const from = address(12);
  const to = address(16);
  const number = view.getUint8(at + 9);
  const l4 = at + (view.getUint8(at) & 0x0f) * 4;
  const isLater = (view.getUint16(at + 6) & 0x1fff) !== 0;
  const isFragment = (view.getUint16(at + 6) & 0x3fff) !== 0;
  if (!isLater && outer === undefined) {
    const found = insideOf(view, frame, l4, number, (port) => isGue(to, port));
    if (found && frame.length >= found.at + 20) {
      return readIp(view, frame, found.at, isGue, `${found.name} ${from} → ${to}`);
    }
  }
  const headers: IpHeaders = {
    protocol: NAMES[number] ?? `protocol ${number}`,
    from,
    to,
    what: isFragment ? 'fragment' : '',
    ttl: view.getUint8(at + 8),
    ...(outer === undefined ? {} : { outer }),
  };
  if (isLater || frame.length < l4 + 8) return headers;
  const words = isFragment ? ['fragment'] : [];
  if (number === 6 || number === 17 || number === SCTP) {
    headers.from = `${from}:${view.getUint16(l4)}`;
    headers.to = `${to}:${view.getUint16(l4 + 2)}`;
    if (number === 6 && frame.length > l4 + 13) {
      const bits = view.getUint8(l4 + 13);
      words.push(...FLAGS.filter((_, bit) => (bits & (1 << bit)) !== 0));
    }
    if (number === SCTP && !isFragment) words.push(...chunksOf(view, l4 + SCTP_HEADER));
  } else if (number === 1) {
    const type = view.getUint8(l4);
    const code = view.getUint8(l4 + 1);
    words.push(`${ICMP_TYPES[type] ?? 'type'} ${type}/${code}`);
    const quotes = type === 3 || type === 4 || type === 11;
    if (quotes && frame.length >= l4 + 8 + 20) {
      const quoted = readIp(view, frame, l4 + 8, isGue);
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

/** Where the IPv4 packet in a tunnel's packet begins; undefined: it is none. */
function insideOf(
  view: DataView,
  frame: Uint8Array,
  l4: number,
  number: number,
  isGue: (port: number) => boolean,
): { name: string; at: number } | undefined {
  if (number === IPIP) return { name: 'IPIP', at: l4 };
  if (number === GRE && frame.length >= l4 + 4 && view.getUint16(l4 + 2) === 0x0800) {
    const flags = view.getUint16(l4);
    if (flags !== 0 && flags !== GRE_CHECKSUM) return undefined;
    return { name: 'GRE', at: l4 + (flags === 0 ? 4 : 8) };
  }
  if (number === 17 && frame.length >= l4 + 12 && isGue(view.getUint16(l4 + 2))) {
    const first = view.getUint8(l4 + 8);
    if (first >> 5 === 0 && view.getUint8(l4 + 9) === IPIP) {
      return { name: 'GUE', at: l4 + 12 + (first & 0x1f) * 4 };
    }
  }
  return undefined;
}

function formatMac(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}
