/** The `vrrp` block against itself and the rest of the file. */
import ipaddr from 'ipaddr.js';
import { unusableAs } from '../config/address.js';
import type { Findings } from '../config/findings.js';
import { addressesOf } from '../config/marks.js';
import type { Model } from '../config/model.js';
import type { Path } from '../config/source.js';
import { OWNER } from './machine.js';
import { type InstanceModel, isSix } from './model.js';

/** `dropped`: lists that entries were left out of because of errors already reported. */
export function checkVrrp(model: Model, dropped: ReadonlySet<string>, findings: Findings): void {
  const portsKnown = !dropped.has('ports');
  const { vrrp } = model;
  const seen = {
    names: new Map<string, string>(),
    routers: new Map<string, string>(),
    addresses: new Map<string, string>(),
  };
  vrrp.instances.forEach((instance, index) => {
    const path = ['vrrp', 'instances', index];
    const { name, vrid, port, addresses } = instance;
    if (addresses.length === 0) {
      const message = 'it has no address to move: its state is told, and that is all';
      findings.warning('WARN_CONFIG_IGNORED', path, message);
    }
    findings.unique(
      seen.names,
      name,
      `instances[${index}]`,
      [...path, 'name'],
      `${name} is also the name of`,
    );
    findings.unique(
      seen.routers,
      `${port} ${vrid}${isSix(instance) ? ' 6' : ''}`,
      name,
      [...path, 'routerId'],
      `${vrid} on port ${port} is also the router ID of`,
    );
    checkTiming(instance, path, findings);
    checkFamily(instance, path, findings);
    checkMulticast(instance, path, findings);
    checkAddresses(model, instance, path, seen.addresses, findings);
    if (portsKnown) checkPort(model, instance, path, findings);
    checkTracks(model, instance, path, dropped, findings);
  });
  if (!dropped.has('instances')) checkGroups(model, seen.names, findings);
  checkTrackers(model, findings);
  checkLocals(model, findings);
}

function checkTiming(instance: InstanceModel, path: Path, findings: Findings): void {
  const { version, intervalMs, priority, preempt, preemptDelayMs } = instance;
  const at = [...path, 'advertInterval'];
  if (version === 2 && intervalMs % 1000 !== 0) {
    findings.error(
      'ERR_CONFIG_CONFLICT',
      at,
      'version 2 counts whole seconds, expected such as 1s, or version: 3',
    );
  }
  if (version === 3 && (intervalMs > 40_950 || intervalMs % 10 !== 0)) {
    findings.error(
      'ERR_CONFIG_CONFLICT',
      at,
      'version 3 counts hundredths of a second up to 40.95s',
    );
  }
  if (version === 2 && instance.plainChecksum) {
    const message = 'version 2 has no other checksum, expected false, or version: 3';
    findings.error('ERR_CONFIG_CONFLICT', [...path, 'plainChecksum'], message);
  }
  checkAuthentication(instance, path, findings);
  if (!preempt && preemptDelayMs > 0) {
    const message = 'there is no preemption to delay';
    findings.warning('WARN_CONFIG_IGNORED', [...path, 'preemptDelay'], message);
  }
  if (priority === OWNER && instance.track.some(({ weight }) => (weight ?? 0) !== 0)) {
    const message =
      'the owner of the addresses (priority 255) keeps its priority: weights do nothing';
    findings.warning('WARN_CONFIG_IGNORED', [...path, 'track'], message);
  }
}

function checkAuthentication(instance: InstanceModel, path: Path, findings: Findings): void {
  const { version, password, ah, hmacKey } = instance;
  const conflict = (key: string, message: string) =>
    findings.error('ERR_CONFIG_CONFLICT', [...path, key], message);
  if (version === 3 && password !== undefined) {
    conflict('password', 'version 3 has no password, expected hmacKey, or version: 2');
  }
  if (ah && version === 2 && password === undefined) {
    findings.error('ERR_CONFIG_MISSING', [...path, 'password'], 'AH needs a password as its key');
  }
  if (ah && version === 3) conflict('ah', 'version 3 has no AH, expected hmacKey, or version: 2');
  if (ah && hmacKey !== undefined) {
    conflict('hmacKey', 'AH authenticates adverts already, expected one of them');
  }
}

/** Of an Ethernet frame of 1500 bytes without the headers (RFC 9568 section 5). */
const MOST_V6 = 90;
/** The same with a trailer. */
const MOST_V6_SEALED = 89;

/** One family a virtual router; what is not in adverts may be of the other. */
function checkFamily(instance: InstanceModel, path: Path, findings: Findings): void {
  const six = isSix(instance);
  const { version, addresses, sourceAddress, unicastPeers } = instance;
  const singles = { sourceAddress, multicastGroup: instance.multicastGroup };
  for (const [key, said] of Object.entries({ addresses, unicastPeers, ...singles })) {
    const list = Array.isArray(said) ? said : said === undefined ? [] : [said];
    list.forEach((address, index) => {
      if (address.includes(':') === six) return;
      const at = Array.isArray(said) ? [...path, key, index] : [...path, key];
      const more =
        key === 'addresses' ? ', in excludedAddresses, or in an instance of its own' : '';
      const message = `${address} is not of the family of ${addresses[0]}, expected one that is${more}`;
      findings.error('ERR_CONFIG_CONFLICT', at, message);
    });
  }
  if (!six) return;
  if (version === 2) {
    const message = 'version 2 has no IPv6, expected 3';
    findings.error('ERR_CONFIG_CONFLICT', [...path, 'version'], message);
  }
  const most = instance.hmacKey === undefined ? MOST_V6 : MOST_V6_SEALED;
  if (addresses.length > most) {
    const message = `an advert has room for ${most} of IPv6, expected the others in excludedAddresses`;
    findings.error('ERR_CONFIG_LIMIT', [...path, 'addresses'], message);
  }
}

function checkMulticast(
  { multicastGroup: group, unicastPeers }: InstanceModel,
  path: Path,
  findings: Findings,
): void {
  if (group === undefined) return;
  const at = [...path, 'multicastGroup'];
  // An advert may not leave its link (RFC 9568 section 5.1.2.3).
  const good = group.includes(':')
    ? /^ff.2:/.test(group)
    : unusableAs(group)?.includes('multicast');
  if (!good) {
    const expected = 'expected a multicast group such as 224.0.0.18, or ff02::12 on the link';
    findings.error('ERR_CONFIG_VALUE', at, `is ${group}, ${expected}`);
  } else if (unicastPeers.length > 0) {
    findings.warning('WARN_CONFIG_IGNORED', at, 'adverts go to unicastPeers alone');
  }
}

function checkAddresses(
  model: Model,
  instance: InstanceModel,
  path: Path,
  seen: Map<string, string>,
  findings: Findings,
): void {
  const own = new Map(
    model.ports.flatMap(({ name, addresses }) => addresses.map(({ address }) => [address, name])),
  );
  for (const key of ['addresses', 'excludedAddresses'] as const) {
    instance[key].forEach((address, index) => {
      const at = [...path, key, index];
      const fault = address.includes(':') ? unusableV6(address) : unusableAs(address);
      if (fault)
        findings.error('ERR_CONFIG_VALUE', at, `${address} ${fault}, expected a virtual address`);
      findings.unique(seen, address, instance.name, at, `${address} is also an address of`);
      const port = own.get(address);
      if (port !== undefined) {
        const message = `${address} is port ${port}'s own, which the kernel answers for: expected a virtual address`;
        findings.error('ERR_CONFIG_CONFLICT', at, message);
      }
    });
  }
}

function unusableV6(address: string): string | undefined {
  const range = ipaddr.IPv6.parse(address).range();
  const bad = ['unspecified', 'loopback', 'multicast', 'ipv4Mapped'].includes(range);
  return bad ? `is in the range ${range}` : undefined;
}

function checkPort(model: Model, instance: InstanceModel, path: Path, findings: Findings): void {
  const port = model.ports.find(({ name }) => name === instance.port);
  if (!port) {
    const known = model.ports.map(({ name }) => name).join(', ');
    const message = `no port is called ${instance.port}, expected one of ${known}`;
    findings.error('ERR_CONFIG_REFERENCE', [...path, 'port'], message);
    return;
  }
  if (instance.accept && port.twin === undefined) {
    const message = `port ${port.name} has no twin, which programs of this machine are reached by`;
    findings.error('ERR_CONFIG_CONFLICT', [...path, 'accept'], message);
  }
  // IPv6 has link-local addresses.
  const lacks = !isSix(instance) && port.addresses.length === 0;
  if (instance.sourceAddress === undefined && lacks) {
    const message = `port ${port.name} has no address to send adverts from, expected one, or sourceAddress`;
    findings.error('ERR_CONFIG_MISSING', [...path, 'sourceAddress'], message);
  }
  const own = new Set(port.addresses.map(({ address }) => address));
  instance.unicastPeers.forEach((peer, index) => {
    const at = [...path, 'unicastPeers', index];
    if (own.has(peer) || peer === instance.sourceAddress) {
      findings.error(
        'ERR_CONFIG_CONFLICT',
        at,
        `${peer} is our own address, expected the other director's`,
      );
    }
  });
}

function checkTracks(
  model: Model,
  instance: InstanceModel,
  path: Path,
  dropped: ReadonlySet<string>,
  findings: Findings,
): void {
  const sure = { port: !dropped.has('ports'), tracker: !dropped.has('trackers') };
  const known = {
    port: new Set(model.ports.map(({ name }) => name)),
    tracker: new Set(model.vrrp.trackers.map(({ name }) => name)),
  };
  instance.track.forEach(({ kind, name }, index) => {
    const at = [...path, 'track', index];
    if (name === undefined) {
      const message = 'neither port nor interface nor tracker is given, expected one';
      findings.error('ERR_CONFIG_MISSING', at, message);
    } else if (kind !== 'interface' && !known[kind].has(name) && sure[kind]) {
      findings.error('ERR_CONFIG_REFERENCE', [...at, kind], `no ${kind} is called ${name}`);
    }
  });
}

function checkGroups(model: Model, instances: Map<string, string>, findings: Findings): void {
  const names = new Map<string, string>();
  const members = new Map<string, string>();
  model.vrrp.groups.forEach((group, index) => {
    const path = ['vrrp', 'groups', index];
    findings.unique(
      names,
      group.name,
      `groups[${index}]`,
      [...path, 'name'],
      `${group.name} is also the name of`,
    );
    group.instances.forEach((name, at) => {
      const here = [...path, 'instances', at];
      if (!instances.has(name)) {
        findings.error('ERR_CONFIG_REFERENCE', here, `no instance is called ${name}`);
      }
      findings.unique(members, name, `group ${group.name}`, here, `${name} is already in`);
    });
  });
}

function checkTrackers(model: Model, findings: Findings): void {
  const names = new Map<string, string>();
  model.vrrp.trackers.forEach(({ name }, index) => {
    const path = ['vrrp', 'trackers', index, 'name'];
    findings.unique(names, name, `trackers[${index}]`, path, `${name} is also the name of`);
  });
}

/** A local address moves with the VIPs of its services: it cannot be in two places. */
function checkLocals(model: Model, findings: Findings): void {
  const instanceOf = new Map(
    model.vrrp.instances.flatMap(({ name, addresses, excludedAddresses }) =>
      [...addresses, ...excludedAddresses].map((address): [string, string] => [address, name]),
    ),
  );
  const owners = new Map<string, { instance: string | undefined; service: string }>();
  model.services.forEach((service, index) => {
    const { name, localAddresses } = service;
    const vips = addressesOf(service, model.marks);
    const instance = vips.map((vip) => instanceOf.get(vip)).find((one) => one !== undefined);
    localAddresses.forEach((address, at) => {
      const first = owners.get(address);
      if (first === undefined) owners.set(address, { instance, service: name });
      else if (first.instance !== instance) {
        const message =
          `${address} is a local address of service ${first.service}, too, whose VIP moves with another ` +
          'VRRP instance or with none: expected local addresses of its own';
        findings.error('ERR_CONFIG_CONFLICT', ['services', index, 'localAddresses', at], message);
      }
    });
  });
}
