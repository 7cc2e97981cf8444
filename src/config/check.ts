/**
 * What only several values together show: duplicates, references, addresses that collide,
 * settings that exclude one another. Ports, routes and neighbours here; services in
 * check-services.ts. Pure: Model in, findings out.
 */

import { checkKernel } from '../kernel/check.js';
import { checkSync } from '../sync/model.js';
import { checkVrrp } from '../vrrp/check.js';
import { type Cidr, formatCidr, inNetwork, isSix, networkOf, unusableAs } from './address.js';
import { checkApi } from './check-api.js';
import { checkResources } from './check-resources.js';
import { checkScripts } from './check-scripts.js';
import { checkServices } from './check-services.js';
import { type Finding, Findings } from './findings.js';
import type { Model, ServiceModel } from './model.js';
import { connectedPort, networkEdge } from './reach.js';
import type { Parsed } from './schema.js';
import type { Path } from './source.js';
import { suggest } from './suggest.js';

/**
 * `dropped`: lists that entries were left out of because of errors already reported. `judged`:
 * services that were found good before, among others of the same names and addresses and in
 * surroundings that are the same to them.
 */
export function check(
  model: Model,
  parsed: Parsed,
  dropped: ReadonlySet<string>,
  judged: ReadonlySet<ServiceModel> = new Set(),
): Finding[] {
  const findings = new Findings();
  const portsKnown = !dropped.has('ports');
  // What is around services that were found good was found good, too.
  const isNew = judged.size === 0;
  if (isNew) {
    checkWorkers(model, findings);
    checkApi(model, parsed, findings);
  }
  checkScripts(model, findings);
  if (isNew) {
    if (portsKnown || model.ports[0]?.name !== 'none') checkPorts(model, parsed, findings);
    checkNeighbours(model, parsed, portsKnown, findings);
    checkRoutes(model, parsed, portsKnown && !dropped.has('neighbours'), findings);
  }
  checkServices(model, parsed, dropped, judged, findings);
  if (isNew) {
    checkSync(parsed.sync, findings);
    checkVrrp(model, dropped, findings);
    checkKernel(model, portsKnown, findings);
  }
  if (portsKnown) checkResources(model, findings);
  return findings.all;
}

function checkWorkers(model: Model, findings: Findings): void {
  const { workers } = model.director;
  if (typeof workers === 'number') return;
  const seen = new Map<string, string>();
  workers.forEach((cpu, index) => {
    const path = ['director', 'workers', index];
    findings.unique(seen, String(cpu), `workers[${index}]`, path, `CPU ${cpu} already has`);
  });
}

function checkPorts(model: Model, parsed: Parsed, findings: Findings): void {
  const names = new Map<string, string>();
  const devices = new Map<string, string>();
  const twins = new Map<string, string>();
  const macs = new Map<string, string>();
  const addresses = new Map<string, string>();
  const networks: { network: Cidr; port: string }[] = [];
  model.ports.forEach((port, index) => {
    const path = ['ports', index];
    const here = `ports[${index}]`;
    findings.unique(names, port.name, here, [...path, 'name'], `${port.name} is also the name of`);
    if (port.device) checkDevice(port.device, port.name, path, devices, findings);
    if (port.mac) {
      findings.unique(macs, port.mac, port.name, [...path, 'mac'], 'this is also the MAC of port');
    }
    if (port.twin) {
      const at = [...path, parsed.ports[index]?.twin ? 'twin' : 'name'];
      findings.unique(twins, port.twin, port.name, at, `${port.twin} is also the twin of port`);
      if (port.twin.length > 15) {
        findings.error(
          'ERR_CONFIG_VALUE',
          at,
          `its twin would be ${port.twin}, expected at most 15 characters: give twin a name`,
        );
      }
    }
    port.addresses.forEach((cidr, at) => {
      const place = [...path, 'addresses', at];
      const fault = unusableAs(cidr.address) ?? edgeFault(cidr);
      if (fault) {
        findings.error(
          'ERR_CONFIG_VALUE',
          place,
          `${formatCidr(cidr)} ${fault}, expected a host's address`,
        );
        return;
      }
      findings.unique(addresses, cidr.address, port.name, place, 'already an address of port');
      const network = networkOf(cidr);
      const other = networks.find(
        (known) => known.port !== port.name && overlap(known.network, network),
      );
      if (other) {
        findings.warning(
          'WARN_CONFIG_OVERLAP',
          place,
          `its network overlaps ${formatCidr(other.network)} of port ${other.port}; ` +
            'the longer prefix, then the first port, is used',
        );
      }
      networks.push({ network, port: port.name });
    });
  });
}

/** DPDK tells devices apart by what is before the comma; two must not share an interface either. */
function checkDevice(
  device: string,
  port: string,
  path: Path,
  seen: Map<string, string>,
  findings: Findings,
): void {
  const at = [...path, 'device'];
  const id = device.split(',')[0] as string;
  const iface = /,iface=([^,]+)/.exec(device)?.[1];
  findings.unique(seen, id, port, at, `${id} is also the device of port`);
  if (iface) findings.unique(seen, `iface ${iface}`, port, at, `${iface} is also used by port`);
}

function edgeFault(cidr: Cidr): string | undefined {
  if (cidr.length === 0) return 'has prefix length 0';
  const edge = networkEdge(cidr);
  return edge && `is the ${edge} address of its network`;
}

function overlap(a: Cidr, b: Cidr): boolean {
  return a.length <= b.length ? inNetwork(b.address, a) : inNetwork(a.address, b);
}

/** True if the name is a port's (or ports were dropped, so nobody can tell). */
function knownPort(
  model: Model,
  name: string | undefined,
  path: Path,
  sure: boolean,
  findings: Findings,
): boolean {
  const names = model.ports.map((port) => port.name);
  if (name === undefined || names.includes(name)) return true;
  if (!sure) return false;
  const guess = suggest(name, names);
  const hint = guess ? `did you mean ${guess}?` : `expected one of ${names.join(', ')}`;
  findings.error('ERR_CONFIG_REFERENCE', path, `no port is called ${name}, ${hint}`);
  return false;
}

function checkNeighbours(model: Model, parsed: Parsed, sure: boolean, findings: Findings): void {
  const seen = new Map<string, string>();
  model.neighbours.forEach((neighbour, index) => {
    const path = ['neighbours', index];
    const { address } = neighbour;
    const fault = unusableAs(address);
    if (fault) {
      const message = `${address} ${fault}, expected a host's address`;
      findings.error('ERR_CONFIG_VALUE', [...path, 'address'], message);
      return;
    }
    if (!knownPort(model, parsed.neighbours?.[index]?.port, [...path, 'port'], sure, findings)) {
      return;
    }
    if (neighbour.port === undefined) {
      if (!sure) return;
      findings.error(
        'ERR_CONFIG_UNREACHABLE',
        [...path, 'address'],
        `${address} is in no port's network, expected port: with the port it is behind`,
      );
      return;
    }
    findings.unique(
      seen,
      `${neighbour.port} ${address}`,
      `neighbours[${index}]`,
      [...path, 'address'],
      `${address} is also the address of`,
    );
    const own = model.ports.find((port) => port.mac === neighbour.mac);
    if (own) {
      const message = `${neighbour.mac} is our own port ${own.name}'s, expected the neighbour's`;
      findings.error('ERR_CONFIG_CONFLICT', [...path, 'mac'], message);
    }
    const self = model.ports.find((port) => port.addresses.some((own) => own.address === address));
    if (self) {
      const message = `${address} is our own port ${self.name}'s address`;
      findings.error('ERR_CONFIG_CONFLICT', [...path, 'address'], message);
    }
  });
}

function checkRoutes(model: Model, parsed: Parsed, sure: boolean, findings: Findings): void {
  const seen = new Map<string, string>();
  model.routes.forEach((route, index) => {
    const path = ['routes', index];
    const network = networkOf(route.to);
    if (network.address !== route.to.address) {
      findings.error(
        'ERR_CONFIG_VALUE',
        [...path, 'to'],
        `${formatCidr(route.to)} has bits set after its prefix, expected ${formatCidr(network)}`,
      );
    }
    const to = formatCidr(network);
    findings.unique(seen, to, `routes[${index}]`, [...path, 'to'], `${to} is also the target of`);
    const said = parsed.routes?.[index]?.port;
    if (!knownPort(model, said, [...path, 'port'], sure, findings)) return;
    if (route.via === undefined) {
      if (said !== undefined) return;
      const message = 'neither via nor port is given, expected a next hop, a port, or both';
      findings.error('ERR_CONFIG_MISSING', path, message);
      return;
    }
    if (isSix(route.via) !== isSix(route.to.address)) {
      const [target, hop] = [route.to.address, route.via].map((one) => (isSix(one) ? 6 : 4));
      const message = `${route.via} is IPv${hop}, the target IPv${target}: expected IPv${target}`;
      findings.error('ERR_CONFIG_IPV6', [...path, 'via'], message);
      return;
    }
    checkNextHop(model, route.via, said, path, sure, findings);
  });
}

function checkNextHop(
  model: Model,
  via: string,
  said: string | undefined,
  path: Path,
  sure: boolean,
  findings: Findings,
): void {
  const at = [...path, 'via'];
  const fault = unusableAs(via);
  if (fault) {
    findings.error('ERR_CONFIG_VALUE', at, `${via} ${fault}, expected a router's address`);
    return;
  }
  const ours = model.ports.find((port) => port.addresses.some((own) => own.address === via));
  const service = model.services.find(
    ({ listen, localAddresses }) => listen.address === via || localAddresses.includes(via),
  );
  if (ours ?? service) {
    const owner = ours ? `port ${ours.name}` : `service ${service?.name}`;
    const message = `${via} is our own address (${owner}), expected another router's`;
    findings.error('ERR_CONFIG_CONFLICT', at, message);
    return;
  }
  if (!sure) return;
  const connected = connectedPort(model.ports, via);
  const behind = model.neighbours.filter((neighbour) => neighbour.address === via);
  const reached = said
    ? connected === said || behind.some((neighbour) => neighbour.port === said)
    : connected !== undefined || behind.length > 0;
  if (!reached) {
    findings.error(
      'ERR_CONFIG_UNREACHABLE',
      at,
      said
        ? `${via} is not in a network of port ${said}, expected one that is, or a neighbours entry`
        : `${via} is in no port's network, expected a next hop that is, or a neighbours entry`,
    );
  }
}
