/**
 * What of a service has to be of one family with its address, and what IPv6 services cannot have.
 * Whatever is refused here would work by halves, or not at all.
 */
import type { Check } from '../health/model.js';
import { isLinkLocal, isSix } from './address.js';
import type { Findings } from './findings.js';
import type { Model, ServerModel, ServiceModel } from './model.js';
import { portTowards } from './reach.js';
import type { Path } from './source.js';
import { shimBytes } from './tunnel.js';

/** RFC 8200 section 5. */
const LEAST_MTU = 1_280;
const OUTER_HEADER = { 4: 20, 6: 40 };

const family = (address: string) => (isSix(address) ? 6 : 4);

export function checkFamily(
  model: Model,
  service: ServiceModel,
  path: Path,
  routesKnown: boolean,
  findings: Findings,
): void {
  const refuse = (at: Path, message: string) => findings.error('ERR_CONFIG_IPV6', at, message);
  const six = isSix(service.listen.address);
  const own = family(service.listen.address);
  if (isLinkLocal(service.listen.address)) {
    const message = `${service.listen.address} is link-local, expected an address clients can reach`;
    findings.error('ERR_CONFIG_VALUE', [...path, 'listen'], message);
  }
  service.localAddresses.forEach((lip, index) => {
    if (family(lip) === own) return;
    const message = `${lip} is IPv${family(lip)}, expected IPv${own} as the service's own address`;
    refuse([...path, 'localAddresses', index], message);
  });
  service.servers.forEach((server, index) => {
    const at = [...path, 'servers', index];
    const { address } = server.address;
    if (six && server.mode === 'enat') {
      const message = 'mode enat is for IPv4: both its addresses do not fit a TCP header';
      refuse([...at, server.mode === service.mode ? 'address' : 'mode'], message);
    }
    if (family(address) !== own && server.mode !== 'tun') {
      const message = `${address} is IPv${family(address)}, the service IPv${own}: expected IPv${own}`;
      refuse([...at, 'address'], message);
    }
    if (six && routesKnown) checkMtu(model, server, [...at, 'address'], findings);
    if (isSix(address)) checkChecks(server.health.checks, at, refuse);
  });
  const sorry = service.health.sorryServer;
  if (six && sorry?.mode === 'enat') {
    refuse([...path, 'health', 'sorryServer'], 'mode enat is for IPv4, expected another mode');
  }
  if (sorry && family(sorry.address.address) !== own && sorry.mode !== 'tun') {
    const message = `${sorry.address.address} is not IPv${own} as the service's own address`;
    refuse([...path, 'health', 'sorryServer', 'address'], message);
  }
}

/** A packet of 1280 bytes has to pass, whatever a tunnel puts around it. */
function checkMtu(
  model: Model,
  { mode, address: { address }, tunnel }: ServerModel,
  path: Path,
  findings: Findings,
): void {
  const name = portTowards(model, address);
  const port = model.ports.find((one) => one.name === name);
  const least =
    LEAST_MTU + (mode === 'tun' ? OUTER_HEADER[family(address)] + shimBytes(tunnel) : 0);
  if (!port || port.mtu >= least) return;
  const message = `port ${port.name} takes ${port.mtu} bytes, expected an mtu of at least ${least}`;
  findings.error('ERR_CONFIG_CONFLICT', path, `${message} towards ${address}`);
}

/** Echo requests, and sockets that Node does not open, are IPv4's. */
function checkChecks(
  checks: readonly Check[],
  server: Path,
  refuse: (at: Path, message: string) => void,
): void {
  for (const check of checks) {
    if ('toVip' in check && check.toVip) {
      refuse([...server, 'address'], 'checks to the VIP are for IPv4 servers so far');
    }
    if (check.type === 'ping') {
      refuse([...server, 'address'], 'ping checks are for IPv4 servers so far');
    } else if ('bindTo' in check) {
      const byNode = check.type !== 'tcp' && check.type !== 'http';
      if (byNode && (check.fwmark !== 0 || check.bindInterface !== undefined)) {
        const message = `${check.type} checks with fwmark or bindInterface are for IPv4 servers so far`;
        refuse([...server, 'address'], message);
      }
      if (check.bindTo !== undefined && check.connectIp === undefined) {
        refuse(
          [...server, 'address'],
          `${check.bindTo} cannot be where a check of IPv6 comes from`,
        );
      }
    }
  }
}
