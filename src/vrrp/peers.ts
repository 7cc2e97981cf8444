/**
 * MAC addresses of unicast peers. A peer that speaks shows its own; a backup is silent, so the
 * kernel is made to ask for it, by a datagram that nobody answers, and its tables are read. Frames to
 * a peer behind a router go to the router.
 */
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { parseMac } from '../config/address.js';
import type { NeighbourModel } from '../config/model.js';
import { bytesOf, isV6 } from './packet.js';

/** RFC 863: to be thrown away. */
const DISCARD_PORT = 9;

export class PeerMacs {
  readonly #macs = new Map<string, Uint8Array>();

  /** Told by the configuration. */
  configure(neighbours: readonly NeighbourModel[]): void {
    for (const { address, mac } of neighbours) {
      this.#macs.set(address, parseMac(mac) as Uint8Array);
    }
  }

  of(peer: string): Uint8Array | undefined {
    return this.#macs.get(peer);
  }

  /** True when that is news. */
  learn(peer: string, mac: Uint8Array): boolean {
    const known = this.#macs.get(peer);
    if (known && Buffer.compare(known, mac) === 0) return false;
    this.#macs.set(peer, mac);
    return true;
  }

  /** Reads what the kernel has found out and asks for the rest; true when there is news. */
  refresh(peers: readonly string[]): boolean {
    let news = false;
    const table = kernelTable();
    const routes = readFileSync('/proc/net/route', 'utf8');
    for (const peer of peers) {
      const mac = table.get(isV6(peer) ? peer : nextHopOf(peer, routes));
      if (mac) news = this.learn(peer, mac) || news;
      // IPv6's table is in no file: a peer that is not known is sent to as everybody.
      else if (!this.#macs.has(peer) && !isV6(peer)) ask(peer);
    }
    return news;
  }
}

const RTF_UP = 1;
const RTF_GATEWAY = 2;

/**
 * Whose MAC a frame to a peer needs: its own where it is on a link of ours, else that of the router
 * which the longest prefix names. `routes` is /proc/net/route; without a route: its own.
 */
export function nextHopOf(peer: string, routes: string): string {
  const to = hexOf(peer);
  let best = { mask: -1, via: peer };
  for (const line of routes.split('\n').slice(1)) {
    const [, network = '', gateway = '', flags = '0', , , , bits = ''] = line.split('\t');
    const mask = Number.parseInt(bits, 16);
    const [inNetwork, kind] = [Number.parseInt(network, 16), Number.parseInt(flags, 16)];
    // Numbers are of the machine's byte order, and of 32 bits without a sign.
    if ((kind & RTF_UP) === 0 || (to & mask) >>> 0 !== inNetwork) continue;
    const length = bitsOf(mask);
    if (length <= best.mask) continue;
    best = { mask: length, via: (kind & RTF_GATEWAY) === 0 ? peer : dotted(gateway) };
  }
  return best.via;
}

const hexOf = (address: string) => Buffer.from(bytesOf(address)).readUInt32LE();
const dotted = (hex: string) => Buffer.from(hex, 'hex').reverse().join('.');
const bitsOf = (mask: number) => mask.toString(2).replaceAll('0', '').length;

/** Of /proc/net/arp: address, type, flags, MAC, mask, device; resolved entries have flag 2. */
function kernelTable(): Map<string, Uint8Array> {
  const table = new Map<string, Uint8Array>();
  for (const line of readFileSync('/proc/net/arp', 'utf8').split('\n').slice(1)) {
    const [address = '', , flags = '0', mac = ''] = line.split(/\s+/);
    const bytes = parseMac(mac);
    if ((Number(flags) & 2) !== 0 && bytes) table.set(address, bytes);
  }
  return table;
}

function ask(peer: string): void {
  const socket = createSocket('udp4');
  // No route yet, or the peer refuses: it is asked for again later.
  socket.on('error', () => socket.close());
  socket.send(new Uint8Array(1), DISCARD_PORT, peer, (error) => {
    if (!error) socket.close();
  });
}
