/**
 * The dissector: bytes in, every header field out, and whether each checksum verifies. Lenient, since
 * it also reads quoted packets that were cut off; `truncated` says so.
 */
import {
  crc32c,
  hex,
  ip4Text,
  macText,
  onesSum,
  pseudoHeader,
  readU16,
  readU32,
  u32,
} from './bytes.js';
import { TCP_FLAGS } from './packet.js';

export interface Dissected {
  eth: { dst: string; src: string; type: number };
  arp?: Arp;
  ip?: Ip;
  /** Hex of what no header claims (Ethernet padding). */
  trailer?: string;
  /** Frame shorter than its headers. */
  truncated?: boolean;
}

export interface Arp {
  hardwareType: number;
  protocolType: number;
  hardwareLength: number;
  protocolLength: number;
  op: number;
  senderMac: string;
  sender: string;
  targetMac: string;
  target: string;
}

export interface Ip {
  version: number;
  ihl: number;
  tos: number;
  totalLength: number;
  id: number;
  evil: boolean;
  df: boolean;
  mf: boolean;
  fragmentOffset: number;
  ttl: number;
  protocol: number;
  checksum: number;
  checksumOk: boolean;
  src: string;
  dst: string;
  /** Options as `31 08 …` hex each, padding included as 00 / 01. */
  options: string[];
  tcp?: Tcp;
  udp?: Udp;
  sctp?: Sctp;
  icmp?: Icmp;
  /** IPIP's inner packet. */
  inner?: Ip;
  /** Payload of other protocols and of later fragments. */
  payload?: string;
  truncated?: boolean;
}

export interface Tcp {
  sport: number;
  dport: number;
  seq: number;
  ack: number;
  doff: number;
  reserved: number;
  flags: string;
  window: number;
  checksum: number;
  /** undefined: not all bytes are here (a quoted or fragmented packet). */
  checksumOk?: boolean;
  urgent: number;
  options: string[];
  payload: string;
}

export interface Udp {
  sport: number;
  dport: number;
  length: number;
  checksum: number;
  /** true also for 0, which means none was computed. */
  checksumOk?: boolean;
  payload: string;
}

export interface Sctp {
  sport: number;
  dport: number;
  tag: number;
  checksum: number;
  /** undefined: not all bytes are here. */
  checksumOk?: boolean;
  /** Chunks, as they are. */
  payload: string;
}

export interface Icmp {
  type: number;
  code: number;
  checksum: number;
  checksumOk: boolean;
  /** Echo. */
  id?: number;
  sequence?: number;
  /** Fragmentation needed. */
  mtu?: number;
  rest: string;
  /** The packet an error quotes. */
  quote?: Ip;
  payload: string;
}

/** ICMP types that quote a packet: unreachable, source quench, redirect, time exceeded, parameter. */
export const ICMP_ERRORS = new Set([3, 4, 5, 11, 12]);

export function dissect(frame: Uint8Array): Dissected {
  const result: Dissected = {
    eth: { dst: macText(frame, 0), src: macText(frame, 6), type: readU16(frame, 12) },
  };
  if (frame.length < 14) return { ...result, truncated: true };
  const rest = frame.subarray(14);
  if (result.eth.type === 0x0806) {
    if (rest.length < 28) return { ...result, truncated: true };
    result.arp = dissectArp(rest);
    if (rest.length > 28) result.trailer = hex(rest.subarray(28));
  } else if (result.eth.type === 0x0800) {
    if (rest.length < 20) return { ...result, truncated: true };
    result.ip = dissectIp(rest);
    const total = result.ip.totalLength;
    if (rest.length > total) result.trailer = hex(rest.subarray(total));
  } else {
    result.trailer = hex(rest);
  }
  return result;
}

function dissectArp(bytes: Uint8Array): Arp {
  return {
    hardwareType: readU16(bytes, 0),
    protocolType: readU16(bytes, 2),
    hardwareLength: bytes[4] as number,
    protocolLength: bytes[5] as number,
    op: readU16(bytes, 6),
    senderMac: macText(bytes, 8),
    sender: ip4Text(bytes, 14),
    targetMac: macText(bytes, 18),
    target: ip4Text(bytes, 24),
  };
}

/** An IPv4 packet that may be cut off after any byte of its header or payload. */
export function dissectIp(bytes: Uint8Array): Ip {
  const ihl = (bytes[0] ?? 0) & 0x0f;
  const flags = readU16(bytes, 6);
  const header = bytes.subarray(0, Math.max(20, ihl * 4));
  const ip: Ip = {
    version: (bytes[0] ?? 0) >> 4,
    ihl,
    tos: bytes[1] ?? 0,
    totalLength: readU16(bytes, 2),
    id: readU16(bytes, 4),
    evil: (flags & 0x8000) !== 0,
    df: (flags & 0x4000) !== 0,
    mf: (flags & 0x2000) !== 0,
    fragmentOffset: flags & 0x1fff,
    ttl: bytes[8] ?? 0,
    protocol: bytes[9] ?? 0,
    checksum: readU16(bytes, 10),
    checksumOk: onesSum(header) === 0xffff,
    src: ip4Text(bytes, 12),
    dst: ip4Text(bytes, 16),
    options: splitOptions(header.subarray(20)),
  };
  if (ihl < 5 || bytes.length < ihl * 4) return { ...ip, truncated: true };
  const complete = bytes.length >= ip.totalLength;
  if (!complete) ip.truncated = true;
  const payload = bytes.subarray(
    ihl * 4,
    Math.max(ihl * 4, Math.min(bytes.length, ip.totalLength)),
  );
  const whole = complete && !ip.mf && ip.fragmentOffset === 0;
  const pseudo = pseudoHeader(
    bytes.subarray(12, 16),
    bytes.subarray(16, 20),
    ip.protocol,
    payload.length,
  );
  if (ip.fragmentOffset !== 0) ip.payload = hex(payload);
  else if (ip.protocol === 6 && payload.length >= 8) ip.tcp = dissectTcp(payload, pseudo, whole);
  else if (ip.protocol === 17 && payload.length >= 8) ip.udp = dissectUdp(payload, pseudo, whole);
  else if (ip.protocol === 132 && payload.length >= 8) ip.sctp = dissectSctp(payload, whole);
  else if (ip.protocol === 1 && payload.length >= 8) ip.icmp = dissectIcmp(payload);
  else if (ip.protocol === 4 && payload.length >= 20) ip.inner = dissectIp(payload);
  else ip.payload = hex(payload);
  return ip;
}

export function dissectTcp(bytes: Uint8Array, pseudo: Uint8Array, whole: boolean): Tcp {
  const doff = (bytes[12] ?? 0) >> 4;
  const bits = bytes[13] ?? 0;
  const header = Math.max(20, doff * 4);
  return {
    sport: readU16(bytes, 0),
    dport: readU16(bytes, 2),
    seq: readU32(bytes, 4),
    ack: readU32(bytes, 8),
    doff,
    reserved: (bytes[12] ?? 0) & 0x0f,
    flags: Object.entries(TCP_FLAGS)
      .filter(([, bit]) => bits & bit)
      .map(([letter]) => letter)
      .join(''),
    window: readU16(bytes, 14),
    checksum: readU16(bytes, 16),
    checksumOk: whole ? onesSum(pseudo, bytes) === 0xffff : undefined,
    urgent: readU16(bytes, 18),
    options: splitOptions(bytes.subarray(20, header)),
    payload: hex(bytes.subarray(header)),
  };
}

function dissectUdp(bytes: Uint8Array, pseudo: Uint8Array, whole: boolean): Udp {
  const sum = readU16(bytes, 6);
  return {
    sport: readU16(bytes, 0),
    dport: readU16(bytes, 2),
    length: readU16(bytes, 4),
    checksum: sum,
    checksumOk: whole ? sum === 0 || onesSum(pseudo, bytes) === 0xffff : undefined,
    payload: hex(bytes.subarray(8)),
  };
}

function dissectSctp(bytes: Uint8Array, whole: boolean): Sctp {
  const blank = bytes.slice();
  blank.fill(0, 8, 12);
  return {
    sport: readU16(bytes, 0),
    dport: readU16(bytes, 2),
    tag: readU32(bytes, 4),
    checksum: readU32(bytes, 8),
    checksumOk: whole
      ? hex(bytes.subarray(8, 12)) === hex(u32(crc32c(blank)).reverse())
      : undefined,
    payload: hex(bytes.subarray(12)),
  };
}

function dissectIcmp(bytes: Uint8Array): Icmp {
  const type = bytes[0] as number;
  const code = bytes[1] as number;
  const icmp: Icmp = {
    type,
    code,
    checksum: readU16(bytes, 2),
    checksumOk: onesSum(bytes) === 0xffff,
    rest: hex(bytes.subarray(4, 8)),
    payload: hex(bytes.subarray(8)),
  };
  if (type === 0 || type === 8) {
    icmp.id = readU16(bytes, 4);
    icmp.sequence = readU16(bytes, 6);
  }
  if (type === 3 && code === 4) icmp.mtu = readU16(bytes, 6);
  if (ICMP_ERRORS.has(type) && bytes.length >= 28) icmp.quote = dissectIp(bytes.subarray(8));
  return icmp;
}

/**
 * Splits IP or TCP options: both have 0 as end, 1 as no-operation, and type-length-value otherwise.
 * What follows the end, or does not parse, is given as one piece.
 */
export function splitOptions(bytes: Uint8Array): string[] {
  const options: string[] = [];
  let at = 0;
  while (at < bytes.length) {
    const kind = bytes[at] as number;
    const length = kind === 0 ? bytes.length - at : kind === 1 ? 1 : (bytes[at + 1] ?? 0);
    const end = length < 1 || (kind > 1 && length < 2) ? bytes.length : at + length;
    options.push(hex(bytes.subarray(at, Math.min(end, bytes.length))));
    at = end;
  }
  return options;
}

/** Differences of two dissected packets (or any plain objects), a line a field: `ip.ttl: 63 ≠ 64`. */
export function diff(got: unknown, wanted: unknown, path = ''): string[] {
  if (Object.is(got, wanted)) return [];
  const plain = (value: unknown): value is Record<string, unknown> =>
    typeof value === 'object' && value !== null;
  if (!plain(got) || !plain(wanted)) {
    return [`${path}: got ${show(got)}, wanted ${show(wanted)}`];
  }
  const keys = [...new Set([...Object.keys(got), ...Object.keys(wanted)])];
  return keys.flatMap((key) => diff(got[key], wanted[key], path ? `${path}.${key}` : key));
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 240 ? `${text.slice(0, 240)}…` : text;
}

/** Names of all checksums in the packet that do not verify, inner and quoted ones included. */
export function badChecksums(packet: Dissected): string[] {
  const walk = (ip: Ip | undefined, path: string): string[] => {
    if (!ip) return [];
    const bad: string[] = [];
    if (!ip.checksumOk && !(ip.truncated && ip.ihl * 4 > 20)) bad.push(`${path}.checksum`);
    if (ip.tcp?.checksumOk === false) bad.push(`${path}.tcp.checksum`);
    if (ip.udp?.checksumOk === false) bad.push(`${path}.udp.checksum`);
    if (ip.sctp?.checksumOk === false) bad.push(`${path}.sctp.checksum`);
    if (ip.icmp && !ip.truncated && !ip.icmp.checksumOk) bad.push(`${path}.icmp.checksum`);
    return [
      ...bad,
      ...walk(ip.inner, `${path}.inner`),
      ...walk(ip.icmp?.quote, `${path}.icmp.quote`),
    ];
  };
  return walk(packet.ip, 'ip');
}
