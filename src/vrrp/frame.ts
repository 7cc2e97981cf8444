/**
 * Ethernet frames of VRRP: adverts with their IP header, gratuitous ARP, unsolicited neighbour
 * advertisements. MAC addresses are 6 bytes, everything on the wire is in network byte order.
 */
import {
  addUp,
  bytesOf,
  folded,
  isV6,
  pseudoSum,
  textOf,
  VRRP_PROTOCOL,
  VRRP_TTL,
} from './packet.js';
import { AH_BYTES, AH_PROTOCOL, ahHeader } from './seal.js';

const ETHERNET = 14;
const IPV4 = 20;
const IPV6 = 40;
const TYPE_IPV4 = 0x0800;
const TYPE_ARP = 0x0806;
const TYPE_IPV6 = 0x86dd;
const BROADCAST = new Uint8Array(6).fill(0xff);
/** Internetwork control, as keepalived sends: IPv4's TOS, IPv6's traffic class. */
const CONTROL = 0xc0;
const ICMPV6 = 58;
const ALL_NODES = 'ff02::1';
/** RFC 4861 section 4.4. */
const NEIGHBOUR_ADVERTISEMENT = 136;
const ROUTER_AND_OVERRIDE = 0xa0;
const TARGET_LINK_LAYER = 2;

/** RFC 9568 section 7.3. */
export function virtualMac(vrid: number, v6: boolean): Uint8Array {
  return Uint8Array.of(0x00, 0x00, 0x5e, 0x00, v6 ? 0x02 : 0x01, vrid);
}

/** Of a multicast group: RFC 1112 section 6.4, RFC 2464 section 7. */
function groupMac(group: string): Uint8Array {
  const bytes = bytesOf(group);
  if (isV6(group)) return Uint8Array.of(0x33, 0x33, ...bytes.subarray(12));
  return Uint8Array.of(0x01, 0x00, 0x5e, (bytes[1] as number) & 0x7f, ...bytes.subarray(2));
}

/** What an interface has without being given one (RFC 4291 appendix A). */
export function linkLocal(mac: Uint8Array): string {
  const [a, b, c, d, e, f] = mac as unknown as [number, number, number, number, number, number];
  const id = [a ^ 2, b, c, 0xff, 0xfe, d, e, f];
  return textOf(Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, ...id));
}

export interface AdvertFrame {
  sourceMac: Uint8Array;
  /** undefined: the multicast group's. */
  targetMac: Uint8Array | undefined;
  source: string;
  destination: string;
  payload: Uint8Array;
  /** With room for IPsec's AH, over IPv4. */
  ah?: boolean;
}

export function advertFrame(advert: AdvertFrame): Uint8Array {
  const { sourceMac, source, destination } = advert;
  const payload = advert.ah ? Buffer.concat([ahHeader(source), advert.payload]) : advert.payload;
  const protocol = advert.ah ? AH_PROTOCOL : VRRP_PROTOCOL;
  const header = isV6(destination)
    ? ipv6Header(source, destination, protocol, payload.length)
    : ipv4Header(source, destination, protocol, payload.length);
  const target = advert.targetMac ?? groupMac(destination);
  return framed(target, sourceMac, isV6(destination) ? TYPE_IPV6 : TYPE_IPV4, header, payload);
}

function framed(
  target: Uint8Array,
  source: Uint8Array,
  type: number,
  ...parts: Uint8Array[]
): Uint8Array {
  return Uint8Array.from(Buffer.concat([target, source, Uint8Array.of(type >> 8, type), ...parts]));
}

function ipv4Header(
  source: string,
  destination: string,
  protocol: number,
  length: number,
): Uint8Array {
  const header = new Uint8Array(IPV4);
  const view = new DataView(header.buffer);
  header[0] = 0x45;
  header[1] = CONTROL;
  view.setUint16(2, IPV4 + length);
  header[8] = VRRP_TTL;
  header[9] = protocol;
  header.set(bytesOf(source), 12);
  header.set(bytesOf(destination), 16);
  view.setUint16(10, folded(addUp(header)));
  return header;
}

function ipv6Header(source: string, destination: string, next: number, length: number): Uint8Array {
  const header = new Uint8Array(IPV6);
  const view = new DataView(header.buffer);
  view.setUint32(0, (6 << 28) | (CONTROL << 20));
  view.setUint16(4, length);
  header[6] = next;
  header[7] = VRRP_TTL;
  header.set(bytesOf(source), 8);
  header.set(bytesOf(destination), 24);
  return header;
}

export interface Arrived {
  source: string;
  destination: string;
  /** Or the hop limit. */
  ttl: number;
  multicast: boolean;
  sourceMac: Uint8Array;
  payload: Uint8Array;
  /** The whole packet, where an AH header is before the payload. */
  ah?: Uint8Array;
}

function isMulticast(address: string): boolean {
  const [first = 0] = bytesOf(address);
  return isV6(address) ? first === 0xff : first >> 4 === 14;
}

/** An IP frame of protocol 112, as workers hand them on (header checked), or of AH; undefined: none. */
export function openFrame(frame: Uint8Array): Arrived | undefined {
  if (frame.length < ETHERNET + IPV4) return undefined;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const type = view.getUint16(12);
  const packet = frame.subarray(ETHERNET);
  const opened =
    type === TYPE_IPV4 ? openIpv4(packet, view) : type === TYPE_IPV6 && openIpv6(packet, view);
  if (!opened) return undefined;
  return { ...opened, multicast: isMulticast(opened.destination), sourceMac: frame.slice(6, 12) };
}

type Opened = Omit<Arrived, 'multicast' | 'sourceMac'>;

function openIpv4(packet: Uint8Array, frame: DataView): Opened | undefined {
  const header = ((packet[0] as number) & 15) * 4;
  const end = frame.getUint16(ETHERNET + 2);
  const around = {
    source: textOf(packet.subarray(12, 16)),
    destination: textOf(packet.subarray(16, 20)),
    ttl: packet[8] as number,
  };
  const ah = packet[9] === AH_PROTOCOL;
  const begin = header + (ah ? AH_BYTES : 0);
  if (header < IPV4 || end > packet.length || end < begin) return undefined;
  const opened = { ...around, payload: packet.subarray(begin, end) };
  return ah ? { ...opened, ah: packet.subarray(0, end) } : opened;
}

/** Without extension headers: nobody sends adverts with them. */
function openIpv6(packet: Uint8Array, frame: DataView): Opened | undefined {
  if (packet.length < IPV6 || packet[6] !== VRRP_PROTOCOL) return undefined;
  const end = IPV6 + frame.getUint16(ETHERNET + 4);
  if (end > packet.length) return undefined;
  return {
    source: textOf(packet.subarray(8, 24)),
    destination: textOf(packet.subarray(24, 40)),
    ttl: packet[7] as number,
    payload: packet.subarray(IPV6, end),
  };
}

/** Tells everybody who has an address now. */
export function announcement(address: string, mac: Uint8Array): Uint8Array {
  return isV6(address) ? unsolicitedAdvertisement(address, mac) : gratuitousArp(address, mac);
}

/** A neighbour advertisement that nobody asked for (RFC 9568 section 6.4.2), to all nodes. */
export function unsolicitedAdvertisement(address: string, mac: Uint8Array): Uint8Array {
  const target = bytesOf(address);
  const body = Uint8Array.of(
    ...[NEIGHBOUR_ADVERTISEMENT, 0, 0, 0, ROUTER_AND_OVERRIDE, 0, 0, 0],
    ...target,
    ...[TARGET_LINK_LAYER, 1],
    ...mac,
  );
  const around = { source: address, destination: ALL_NODES };
  const sum = folded(addUp(body) + pseudoSum(around, ICMPV6, body.length));
  new DataView(body.buffer).setUint16(2, sum);
  const header = ipv6Header(address, ALL_NODES, ICMPV6, body.length);
  return framed(groupMac(ALL_NODES), mac, TYPE_IPV6, header, body);
}

/** A request for it, as keepalived sends (RFC 5227). */
export function gratuitousArp(address: string, mac: Uint8Array): Uint8Array {
  const frame = new Uint8Array(ETHERNET + 28);
  const view = new DataView(frame.buffer);
  frame.set(BROADCAST, 0);
  frame.set(mac, 6);
  view.setUint16(12, TYPE_ARP);
  view.setUint16(14, 1);
  view.setUint16(16, TYPE_IPV4);
  frame[18] = 6;
  frame[19] = 4;
  view.setUint16(20, 1);
  frame.set(mac, 22);
  frame.set(bytesOf(address), 28);
  frame.set(BROADCAST, 32);
  frame.set(bytesOf(address), 38);
  return frame;
}
