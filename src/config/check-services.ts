/** Checks of services and their real servers against the rest of the file. */
import { checkPassive, checkToVip } from '../health/check.js';
import { serviceKey } from '../plan.js';
import { type Cidr, formatEndpoint, isLinkLocal, isSix, unusableAs } from './address.js';
import { checkClients } from './check-clients.js';
import { checkFamily } from './check-family.js';
import { checkMarked, checkMarks } from './check-marks.js';
import { checkSynProxy } from './check-syn-proxy.js';
import type { Findings } from './findings.js';
import { addressesOf, isMarked } from './marks.js';
import { keepsPort, type Model, type ServiceModel, usesLocalAddress } from './model.js';
import { netmaskFault } from './persistence.js';
import { portTowards } from './reach.js';
import type { Parsed } from './schema.js';
import type { Path } from './source.js';
import { tunnelFault } from './tunnel.js';

type ParsedService = NonNullable<Parsed['services']>[number];

/** Kinds that end or pad the options, or that stacks themselves use (IANA's TCP option kinds). */
const TAKEN_KINDS: Record<number, string> = {
  1: 'no-operation',
  2: 'maximum segment size',
  3: 'window scale',
  4: 'SACK permitted',
  5: 'SACK',
  8: 'timestamps',
  19: 'MD5 signature',
  29: 'TCP-AO',
  30: 'Multipath TCP',
  34: 'Fast Open',
};
/** RFC 6994: experiments with an identifier; ENAT's second option is one of them. */
const SHARED_KIND = 253;

/** Every address that something in the file has, with what that is. */
interface Owners {
  vips: Map<string, string>;
  lips: Map<string, string>;
  ports: Map<string, string>;
}

export function checkServices(
  model: Model,
  parsed: Parsed,
  dropped: ReadonlySet<string>,
  judged: ReadonlySet<ServiceModel>,
  findings: Findings,
): void {
  const routesKnown = !dropped.has('ports') && !dropped.has('routes');
  const owners: Owners = { vips: new Map(), lips: new Map(), ports: new Map() };
  for (const service of model.services) {
    for (const vip of addressesOf(service, model.marks)) {
      owners.vips.set(vip, `the address of service ${service.name}`);
    }
    for (const lip of service.localAddresses) {
      owners.lips.set(lip, `a local address of service ${service.name}`);
    }
  }
  for (const port of model.ports) {
    for (const own of port.addresses) owners.ports.set(own.address, `port ${port.name}'s own`);
  }
  const wides = new Map(
    model.services.filter(({ listen }) => listen.port === 0).map((one) => [wideKey(one), one.name]),
  );
  const names = new Map<string, string>();
  const listens = new Map<string, string>();
  model.services.forEach((service, index) => {
    const path = ['services', index];
    const here = `services[${index}]`;
    const raw = parsed.services?.[index] as ParsedService;
    const name = `${service.name} is also the name of`;
    const marked = isMarked(service);
    if (judged.size === 0) {
      findings.unique(names, service.name, here, [...path, 'name'], name);
      const listen = serviceKey(service);
      const taken = `${listen} is already taken by service`;
      findings.unique(listens, listen, service.name, [...path, marked ? 'mark' : 'listen'], taken);
    }
    if (judged.has(service)) return;
    if (marked) {
      checkMarked(service, model, path, dropped, findings);
    } else {
      checkAddress(
        service.listen.address,
        [...path, 'listen'],
        [owners.ports],
        'expected a virtual address of its own',
        findings,
      );
    }
    checkOptions(service, raw, path, findings);
    checkWide(wides, service, raw, path, findings);
    checkPersistence(service, path, findings);
    checkSynProxy(model, service, path, findings);
    checkLocalAddresses(service, raw, path, owners, findings);
    checkServers(model, service, raw, path, owners, routesKnown, findings);
    checkTunnels(service, raw, path, findings);
    checkFamily(model, service, path, routesKnown, findings);
    checkPassive(service, raw, path, findings);
    checkToVip(service, raw, path, findings);
    checkClients(service, model, path, findings);
    if (!dropped.has('servers')) checkPresence(service, raw, path, findings);
  });
  checkMarks(model, dropped, [owners.ports, owners.lips], findings);
  checkLimits(model, findings);
}

/** False when the address cannot be used at all or something else in the file has it. */
function checkAddress(
  address: string,
  path: Path,
  others: Map<string, string>[],
  expected: string,
  findings: Findings,
): boolean {
  const fault = unusableAs(address);
  if (fault) {
    findings.error('ERR_CONFIG_VALUE', path, `${address} ${fault}, ${expected}`);
    return false;
  }
  const owner = others.map((map) => map.get(address)).find((text) => text !== undefined);
  if (owner) findings.error('ERR_CONFIG_CONFLICT', path, `${address} is ${owner}, ${expected}`);
  return owner === undefined;
}

function checkOptions(
  service: ServiceModel,
  raw: ParsedService,
  path: Path,
  findings: Findings,
): void {
  const modes = new Set([service.mode, ...service.servers.map((server) => server.mode)]);
  const rewrites = [...modes].some(usesLocalAddress);
  if (raw.protocol !== undefined && isMarked(service)) {
    const message = 'a mark has every protocol: it is ignored';
    findings.warning('WARN_CONFIG_IGNORED', [...path, 'protocol'], message);
  }
  if (service.protocol === 'sctp') checkSctp(service, raw, path, findings);
  if (service.onePacket && (service.protocol === 'tcp' || service.protocol === 'sctp')) {
    const message = 'one-packet scheduling is for UDP only, expected false or protocol: udp';
    findings.error('ERR_CONFIG_CONFLICT', [...path, 'onePacket'], message);
  }
  const hashes = service.scheduler === 'sh' || service.scheduler === 'mh';
  for (const key of ['schedulePort', 'scheduleFallback'] as const) {
    if (service[key] && !hashes) {
      const message = `the ${service.scheduler} scheduler ignores it; it is for sh and mh`;
      findings.warning('WARN_CONFIG_IGNORED', [...path, key], message);
    }
  }
  if (raw.clientAddress === 'none' && modes.has('enat')) {
    const message = 'mode enat needs it: the real server answers the client itself, expected toa';
    findings.error('ERR_CONFIG_CONFLICT', [...path, 'clientAddress'], message);
  }
  for (const key of ['clientAddress', 'toaKind'] as const) {
    if (raw[key] !== undefined && !rewrites) {
      const message = `mode ${service.mode} ignores it: the server sees the client's address anyway`;
      findings.warning('WARN_CONFIG_IGNORED', [...path, key], message);
    }
  }
  const kind = TAKEN_KINDS[service.toaKind];
  if (kind) {
    const message = `TCP option ${service.toaKind} is ${kind}, expected an unused kind such as 254`;
    findings.error('ERR_CONFIG_CONFLICT', [...path, 'toaKind'], message);
  } else if (service.toaKind === SHARED_KIND && modes.has('enat')) {
    const message = 'mode enat has its other option in kind 253, expected another such as 254';
    findings.error('ERR_CONFIG_CONFLICT', [...path, 'toaKind'], message);
  }
}

/** No option of SCTP tells a server who the client is, and no agent rewrites its replies. */
function checkSctp(
  service: ServiceModel,
  raw: ParsedService,
  path: Path,
  findings: Findings,
): void {
  const why = 'the agent of the real server rewrites replies of TCP and UDP only';
  const message = `mode enat does not take SCTP: ${why}, expected another mode`;
  const sorry = service.health.sorryServer?.mode;
  if (service.mode === 'enat') {
    findings.error('ERR_CONFIG_CONFLICT', [...path, 'mode'], message);
  } else if (sorry === 'enat') {
    findings.error('ERR_CONFIG_CONFLICT', [...path, 'health', 'sorryServer'], message);
  }
  service.servers.forEach(({ mode }, index) => {
    if (mode !== 'enat' || service.mode === 'enat') return;
    findings.error('ERR_CONFIG_CONFLICT', [...path, 'servers', index], message);
  });
  for (const key of ['clientAddress', 'toaKind'] as const) {
    if (raw[key] === undefined || raw[key] === 'none') continue;
    const none = 'SCTP has no option that tells a server the client’s address: it is ignored';
    findings.warning('WARN_CONFIG_IGNORED', [...path, key], none);
  }
}

function checkLocalAddresses(
  service: ServiceModel,
  raw: ParsedService,
  path: Path,
  owners: Owners,
  findings: Findings,
): void {
  const { sorryServer } = service.health;
  const modes = [service.mode, ...service.servers.map((server) => server.mode)];
  if (sorryServer) modes.push(sorryServer.mode);
  if (modes.includes('fullnat') && service.localAddresses.length === 0) {
    const at = raw.localAddresses ? [...path, 'localAddresses'] : path;
    const message = 'mode fullnat needs localAddresses, expected at least one address';
    findings.all.push({
      severity: 'error',
      code: 'ERR_CONFIG_MISSING',
      path: at,
      message,
      mendable: true,
    });
  }
  if (service.localAddresses.length > 0 && !modes.some(usesLocalAddress)) {
    const message = `mode ${service.mode} ignores them; they are for fullnat and enat`;
    findings.warning('WARN_CONFIG_IGNORED', [...path, 'localAddresses'], message);
  }
  const seen = new Map<string, string>();
  service.localAddresses.forEach((lip, index) => {
    const at = [...path, 'localAddresses', index];
    const others = [owners.vips, owners.ports];
    checkAddress(lip, at, others, 'expected a local address of its own', findings);
    findings.unique(seen, lip, `localAddresses[${index}]`, at, `${lip} is also`);
  });
}

function checkServers(
  model: Model,
  service: ServiceModel,
  raw: ParsedService,
  path: Path,
  owners: Owners,
  routesKnown: boolean,
  findings: Findings,
): void {
  const seen = new Map<string, string>();
  service.servers.forEach((server, index) => {
    const here = [...path, 'servers', index];
    const at = [...here, 'address'];
    const { address } = server.address;
    const others = [owners.vips, owners.lips, owners.ports];
    const usable = checkAddress(address, at, others, "expected a real server's address", findings);
    const key = formatEndpoint(server.address);
    findings.unique(seen, key, `servers[${index}]`, at, `${key} is also`);
    const given = raw.servers?.[index]?.address.port;
    if (server.address.port === 0) {
      checkPortOfChecks(server, at, findings);
    } else if (ownPort(service)) {
      const message = 'persistence that spans ports leaves packets theirs';
      findings.warning('WARN_CONFIG_IGNORED', at, `${message}: ${given} is ignored`);
    }
    const own = isMarked(service) || ownPort(service);
    if (keepsPort(server.mode) && given !== service.listen.port && !own) {
      findings.warning(
        'WARN_CONFIG_IGNORED',
        at,
        `mode ${server.mode} cannot change the port: ${given} is ignored and ` +
          `the service's ${service.listen.port} used, as ipvsadm does`,
      );
    }
    if (server.lowerThreshold > server.upperThreshold) {
      const place = [...here, 'lowerThreshold'];
      if (server.upperThreshold > 0) {
        const message = `${server.lowerThreshold} is above upperThreshold ${server.upperThreshold}`;
        findings.error('ERR_CONFIG_CONFLICT', place, `${message}, expected at most that`);
      } else {
        const message = 'without upperThreshold it has no effect';
        findings.warning('WARN_CONFIG_IGNORED', place, message);
      }
    }
    if (usable && routesKnown) checkReach(model, server.mode, address, at, findings);
  });
}

/** Those of the file, where they are said; else those that the API has given. */
function checkTunnels(
  service: ServiceModel,
  raw: ParsedService,
  path: Path,
  findings: Findings,
): void {
  const sorry = service.health.sorryServer;
  const tunnels = [service, ...service.servers, ...(sorry ? [sorry] : [])].map(({ mode }) => mode);
  const judge = (given: ParsedService['tunnel'], unused: boolean, at: Path) => {
    if (!given) return;
    const fault = tunnelFault(given);
    if (fault) findings.error('ERR_CONFIG_CONFLICT', [...at, 'tunnel'], fault);
    else if (unused) {
      const message = 'it is for mode tun alone, and ignored';
      findings.warning('WARN_CONFIG_IGNORED', [...at, 'tunnel'], message);
    }
  };
  judge(raw.tunnel, !tunnels.includes('tun'), path);
  service.servers.forEach((server, index) => {
    const given = raw.servers?.[index]?.tunnel ?? (raw.tunnel ? undefined : server.tunnel);
    judge(given, server.mode !== 'tun', [...path, 'servers', index]);
  });
  const given = raw.health?.sorryServer?.tunnel;
  judge(given, sorry?.mode !== 'tun', [...path, 'health', 'sorryServer']);
}

/** Packets of a persistent service for any port keep theirs, whatever a server's says (as LVS). */
function ownPort({ protocol, listen, persistence }: ServiceModel): boolean {
  return persistence !== null && (protocol === 'fwmark' || listen.port === 0);
}

const wideKey = ({ protocol, listen }: ServiceModel) => `${protocol} ${listen.address}`;

/** A service for any port: port 0. */
function checkWide(
  wides: ReadonlyMap<string, string>,
  service: ServiceModel,
  raw: ParsedService,
  path: Path,
  findings: Findings,
): void {
  const { listen } = service;
  if (listen.port === 0 && service.persistence === null) {
    const message = 'a service for any port needs persistence, as with LVS';
    findings.error('ERR_CONFIG_MISSING', [...path, 'listen'], message);
  }
  const speaksAsVip =
    service.localAddresses.length === 0 && service.servers.some(({ mode }) => mode === 'enat');
  const wide = wides.get(wideKey(service));
  if (!wide || !speaksAsVip) return;
  const at = raw.localAddresses ? [...path, 'localAddresses'] : [...path, 'listen'];
  const message =
    `mode enat without localAddresses speaks from ${listen.address}, all of whose ports are ` +
    `service ${wide}'s, expected localAddresses`;
  findings.error('ERR_CONFIG_CONFLICT', at, message);
}

function checkPersistence(
  { persistence, listen, protocol }: ServiceModel,
  path: Path,
  findings: Findings,
): void {
  if (!persistence) return;
  const { netmask, engine } = persistence;
  const fault = netmaskFault(netmask, listen.address);
  if (fault) {
    const message = netmask.includes('.') ? `is ${fault}` : `is ${netmask}, ${fault}`;
    findings.error('ERR_CONFIG_VALUE', [...path, 'persistence', 'netmask'], message);
  }
  if (engine && protocol !== 'udp' && protocol !== 'fwmark') {
    const message = `${engine} reads UDP, expected protocol: udp, as IPVS would drop every other packet`;
    findings.error('ERR_CONFIG_VALUE', [...path, 'persistence', 'engine'], message);
  }
}

/** Where a check would go that has no port of its own. */
function checkPortOfChecks(
  { health: { checks } }: ServiceModel['servers'][number],
  path: Path,
  findings: Findings,
): void {
  const lost = checks.find(
    (one) => one.type !== 'ping' && 'connectPort' in one && one.connectPort === undefined,
  );
  if (!lost) return;
  const message = `its ${lost.type} check goes to port 0 and fails, expected connectPort`;
  findings.warning('WARN_CONFIG_CHECK_PORT', path, message);
}

function checkPresence(
  service: ServiceModel,
  raw: ParsedService,
  path: Path,
  findings: Findings,
): void {
  if (service.servers.some((server) => server.weight > 0)) return;
  const at = raw.servers ? [...path, 'servers'] : path;
  const why = service.servers.length === 0 ? 'there is no real server' : 'every weight is 0';
  const message = `${why}: new clients get ICMP port unreachable`;
  findings.warning('WARN_CONFIG_NO_SERVER', at, message);
}

function checkReach(
  model: Model,
  mode: ServiceModel['mode'],
  address: string,
  path: Path,
  findings: Findings,
): void {
  const name = portTowards(model, address);
  const port = model.ports.find((one) => one.name === name);
  if (!port) {
    const message = `no route of this file leads to ${address}; the kernel's routes may`;
    findings.warning('WARN_CONFIG_NO_ROUTE', path, message);
  } else if (mode === 'tun' && !port.addresses.some((own) => isSourceFor(own, address))) {
    findings.error(
      'ERR_CONFIG_CONFLICT',
      path,
      `mode tun sends from an address of port ${port.name}, which has none, ` +
        `expected addresses: on that port`,
    );
  }
}

/** What a tunnel to the address can come from: an address of its family, and not a link's own. */
function isSourceFor(own: Cidr, address: string): boolean {
  return isSix(own.address) === isSix(address) && !isLinkLocal(own.address);
}

function checkLimits(model: Model, findings: Findings): void {
  const { maxServices, maxServers } = model.director;
  const services = model.services.length;
  const servers = model.services.reduce((sum, service) => sum + service.servers.length, 0);
  if (services > maxServices) {
    const message = `${services} services, expected at most director.maxServices (${maxServices})`;
    findings.error('ERR_CONFIG_LIMIT', ['services'], message);
  }
  if (servers > maxServers) {
    const message = `${servers} servers, expected at most director.maxServers (${maxServers})`;
    findings.error('ERR_CONFIG_LIMIT', ['services'], message);
  }
}
