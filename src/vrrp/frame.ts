/**
 * Ethernet frames of VRRP: adverts with their IPv4 header, gratuitous ARP. MAC addresses are 6
 * bytes, everything on the wire is in network byte order.
 */
import { bytesOf, GROUP_V4, VRRP_PROTOCOL, VRRP_TTL } from './packet.js';

const ETHERNET = 14;
const IPV4 = 20;
const TYPE_IPV4 = 0x0800;
const TYPE_ARP = 0x0806;
const BROADCAST = new Uint8Array(6).fill(0xff);
/** RFC 1112 section 6.4: of 224.0.0.18. */
const GROUP_MAC = Uint8Array.of(0x01, 0x00, 0x5e, 0x00, 0x00, 0x12);
/** Internetwork control, as keepalived sends. */
const TOS = 0xc0;

/** RFC 9568 section 7.3. */
export function virtualMac(vrid: number): Uint8Array {
  return Uint8Array.of(0x00, 0x00, 0x5e, 0x00, 0x01, vrid);
}

export interface AdvertFrame {
  sourceMac: Uint8Array;
  /** undefined: the multicast group's. */
  targetMac: Uint8Array | undefined;
  source: string;
  destination: string;
  payload: Uint8Array;
}

export function advertFrame(advert: AdvertFrame): Uint8Array {
  const { payload } = advert;
  const frame = new Uint8Array(ETHERNET + IPV4 + payload.length);
  const view = new DataView(frame.buffer);
  frame.set(advert.targetMac ?? GROUP_MAC, 0);
  frame.set(advert.sourceMac, 6);
  view.setUint16(12, TYPE_IPV4);
  const ip = ETHERNET;
  frame[ip] = 0x45;
  frame[ip + 1] = TOS;
  view.setUint16(ip + 2, IPV4 + payload.length);
  frame[ip + 8] = VRRP_TTL;
  frame[ip + 9] = VRRP_PROTOCOL;
  frame.set(bytesOf(advert.source), ip + 12);
  frame.set(bytesOf(advert.destination), ip + 16);
  view.setUint16(ip + 10, ipChecksum(view, ip, IPV4));
  frame.set(payload, ip + IPV4);
  return frame;
}

function ipChecksum(view: DataView, start: number, length: number): number {
  let sum = 0;
  for (let at = start; at < start + length; at += 2) sum += view.getUint16(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

export interface Arrived {
  source: string;
  destination: string;
  ttl: number;
  multicast: boolean;
  sourceMac: Uint8Array;
  payload: Uint8Array;
}

/** An IPv4 frame of protocol 112, as workers hand them on (header checked); undefined: none. */
export function openFrame(frame: Uint8Array): Arrived | undefined {
  if (frame.length < ETHERNET + IPV4) return undefined;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  if (view.getUint16(12) !== TYPE_IPV4) return undefined;
  const header = ((frame[ETHERNET] as number) & 15) * 4;
  const end = ETHERNET + view.getUint16(ETHERNET + 2);
  const text = (at: number) => frame.subarray(at, at + 4).join('.');
  const destination = text(ETHERNET + 16);
  if (header < IPV4 || end > frame.length || end < ETHERNET + header) return undefined;
  return {
    source: text(ETHERNET + 12),
    destination,
    ttl: frame[ETHERNET + 8] as number,
    multicast: destination === GROUP_V4,
    sourceMac: frame.slice(6, 12),
    payload: frame.subarray(ETHERNET + header, end),
  };
}

/** Tells everybody who has an address now: a request for it, as keepalived sends (RFC 5227). */
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
