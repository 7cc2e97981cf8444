/** What the static part of a configuration reaches, and through which port. */
import ipaddr from 'ipaddr.js';
import { type Cidr, inNetwork, isSix, networkOf } from './address.js';
import type { NeighbourModel, PortModel, RouteModel } from './model.js';

/** The port whose connected network contains the address; the longest prefix wins. */
export function connectedPort(ports: readonly PortModel[], address: string): string | undefined {
  return longest(
    ports.flatMap((port) => port.addresses.map((network) => ({ network, port: port.name }))),
    address,
  )?.port;
}

/** The port a next hop is behind: said by a neighbour entry, or by the connected networks. */
export function nextHopPort(
  ports: readonly PortModel[],
  neighbours: readonly { address: string; port: string | undefined }[],
  address: string,
): string | undefined {
  const entry = neighbours.find((neighbour) => neighbour.address === address && neighbour.port);
  return entry?.port ?? connectedPort(ports, address);
}

/** The port towards an address by the connected networks and static routes of the file. */
export function portTowards(
  model: { ports: PortModel[]; routes: RouteModel[]; neighbours: NeighbourModel[] },
  address: string,
): string | undefined {
  const candidates: { network: Cidr; port: string | undefined }[] = [
    ...model.ports.flatMap((port) =>
      port.addresses.map((network) => ({ network, port: port.name })),
    ),
    ...model.routes.map((route) => ({ network: route.to, port: route.port })),
  ];
  return longest(candidates, address)?.port;
}

function longest<T extends { network: Cidr }>(candidates: T[], address: string): T | undefined {
  return candidates
    .filter(({ network }) => inNetwork(address, network))
    .reduce<T | undefined>(
      (best, one) => (best && best.network.length >= one.network.length ? best : one),
      undefined,
    );
}

/** Whether the address is its network's first (all host bits 0) or last (all 1) one. */
export function networkEdge(cidr: Cidr): 'network' | 'broadcast' | undefined {
  if (isSix(cidr.address)) {
    // RFC 4291 section 2.6.1: any router's address; RFC 6164: not so on a link of two.
    const first = cidr.length < 127 && networkOf(cidr).address === cidr.address;
    return first ? 'network' : undefined;
  }
  if (cidr.length > 30) return undefined; // RFC 3021: /31 has neither.
  const text = `${cidr.address}/${cidr.length}`;
  if (ipaddr.IPv4.networkAddressFromCIDR(text).toString() === cidr.address) return 'network';
  if (ipaddr.IPv4.broadcastAddressFromCIDR(text).toString() === cidr.address) return 'broadcast';
  return undefined;
}
