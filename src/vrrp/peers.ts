/**
 * MAC addresses of unicast peers. A peer that speaks shows its own; a backup is silent, so the
 * kernel is made to ask for it, by a datagram that nobody answers, and its table is read.
 */
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { parseMac } from '../config/address.js';
import type { NeighbourModel } from '../config/model.js';
import { isV6 } from './packet.js';

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
    for (const peer of peers) {
      const mac = table.get(peer);
      if (mac) news = this.learn(peer, mac) || news;
      // IPv6's table is in no file: a peer that is not known is sent to as everybody.
      else if (!this.#macs.has(peer) && !isV6(peer)) ask(peer);
    }
    return news;
  }
}

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
