/** The headers of a frame, as far as a line about it needs them. */

export interface Headers {
  sourceMac: string;
  destinationMac: string;
  /** ARP, TCP, UDP, ICMP, or a number: of the innermost packet. */
  protocol: string;
  /** `a.b.c.d:port`, or without a port where there is none. */
  from: string;
  to: string;
  /** Around it: `IPIP a.b.c.d → e.f.g.h`. */
  outer?: string;
  /** What it quotes: an ICMP error's packet. */
  quoted?: string;
  /** SYN, ACK … or an ICMP type; '' for others. */
  what: string;
  ttl?: number;
}

const ETHERNET = 14;
const IPIP = 4;
const NAMES: Record<number, string> = { 1: 'ICMP', 6: 'TCP', 17: 'UDP' };
const FLAGS = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG'];
const ICMP_TYPES: Record<number, string> = {
  0: 'echo reply',
  3: 'unreachable',
  4: 'source quench',
  5: 'redirect',
  8: 'echo',
  11: 'time exceeded',
  12: 'parameter problem',
};

/** undefined where not even the Ethernet header is whole. */
export function readHeaders(frame: Uint8Array): Headers | undefined {
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
  return { ...macs, ...readIp(view, frame, ETHERNET) };
}

type IpHeaders = Omit<Headers, 'sourceMac' | 'destinationMac'>;

function readIp(view: DataView, frame: Uint8Array, at: number, outer?: string): IpHeaders {
  const address = (offset: number) => frame.subarray(at + offset, at + offset + 4).join('.');
  const from = address(12);
  const to = address(16);
  const number = view.getUint8(at + 9);
  const l4 = at + (view.getUint8(at) & 0x0f) * 4;
  const isLater = (view.getUint16(at + 6) & 0x1fff) !== 0;
  const isFragment = (view.getUint16(at + 6) & 0x3fff) !== 0;
  if (number === IPIP && !isLater && outer === undefined && frame.length >= l4 + 20) {
    return readIp(view, frame, l4, `IPIP ${from} → ${to}`);
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
  if (number === 6 || number === 17) {
    headers.from = `${from}:${view.getUint16(l4)}`;
    headers.to = `${to}:${view.getUint16(l4 + 2)}`;
    if (number === 6 && frame.length > l4 + 13) {
      const bits = view.getUint8(l4 + 13);
      words.push(...FLAGS.filter((_, bit) => (bits & (1 << bit)) !== 0));
    }
  } else if (number === 1) {
    const type = view.getUint8(l4);
    const code = view.getUint8(l4 + 1);
    words.push(`${ICMP_TYPES[type] ?? 'type'} ${type}/${code}`);
    const quotes = type === 3 || type === 4 || type === 11;
    if (quotes && frame.length >= l4 + 8 + 20) {
      const quoted = readIp(view, frame, l4 + 8);
      headers.quoted = `${quoted.outer ? `${quoted.outer}, ` : ''}${quoted.protocol} ${quoted.from} → ${quoted.to}`;
    }
  }
  headers.what = words.join(' ');
  return headers;
}

function formatMac(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}
