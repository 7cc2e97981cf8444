/** Longest prefix by trying every route; connected ones come from the ports' addresses. */
import type { Snapshot } from '../../../src/snapshot.js';
import { ip4, ip4Text, macText, readU32 } from '../bytes.js';

export interface ModelPort {
  mac: string;
  mtu: number;
  /** Checksums may be left partial by a local kernel (PortOptions.partialChecksums). */
  partialChecksums?: boolean;
}

export interface Hop {
  port: number;
  mac: string;
  ownMac: string;
  mtu: number;
  /** The director's own address towards it. */
  own: string;
}

export const v4Text = (address: Uint8Array) => ip4Text(address, 12);

export function inPrefix(address: string, network: string, length: number): boolean {
  const shift = 2 ** (32 - length);
  const of = (text: string) => Math.floor(readU32(ip4(text), 0) / shift);
  return of(address) === of(network);
}

export function routeTo(
  snapshot: Snapshot,
  ports: ModelPort[],
  address: string,
): Hop | 'no_route' | 'no_neighbour' {
  const routes = [
    ...snapshot.portAddresses.map((own) => ({ ...own, via: '0.0.0.0' })),
    ...snapshot.routes.map((route) => ({ ...route, via: v4Text(route.via) })),
  ].filter((route) => inPrefix(address, v4Text(route.address), route.length));
  if (routes.length === 0) return 'no_route';
  const best = routes.reduce((a, b) => (b.length >= a.length ? b : a));
  const gateway = best.via === '0.0.0.0' ? address : best.via;
  const neighbour = snapshot.neighbours.find(
    (entry) => entry.port === best.port && v4Text(entry.address) === gateway,
  );
  if (!neighbour) return 'no_neighbour';
  const port = ports[best.port] as ModelPort;
  const own = snapshot.portAddresses.filter((entry) => entry.port === best.port);
  const near = own.find((entry) => inPrefix(gateway, v4Text(entry.address), entry.length));
  return {
    port: best.port,
    mac: macText(neighbour.mac),
    ownMac: port.mac,
    mtu: port.mtu,
    own: near ? v4Text(near.address) : own[0] ? v4Text(own[0].address) : '0.0.0.0',
  };
}
