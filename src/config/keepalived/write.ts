/** The Model → keepalived.conf. What that cannot say becomes a comment that begins with `! sluice:`. */

import type { Mode } from '../../native.js';
import { sameData } from '../../same-data.js';
import { isSix } from '../address.js';
import { CLIENT_LISTS, type ClientListName, type Clients } from '../clients.js';
import { formatEnd, isMarked } from '../marks.js';
import type { Model, ServerModel, ServiceModel } from '../model.js';
import { type Persistence, wholeNetmask } from '../persistence.js';
import type { Tunnel } from '../tunnel.js';
import { GROUP_NAMES } from './keywords/client-groups.js';
import { Lines } from './lines.js';
import { serviceName } from './map.js';
import { type Extras, writeCheck } from './write-checks.js';
import { writeScript } from './write-script.js';
import { vrrpGlobals, writeStatic, writeVrrp } from './write-vrrp.js';

type Wrapping = { mode: Mode; tunnel?: Tunnel };

const METHODS: Record<Mode, string> = {
  nat: 'NAT',
  dr: 'DR',
  tun: 'TUN',
  fullnat: 'FNAT',
  enat: 'ENAT',
};

/** `rest`: what stays in sluice.yaml, as its text. */
export function writeKeepalived(model: Model, rest: string): string {
  const extras: Extras = { files: new Map(), sessions: new Map(), tls: undefined };
  const locals = new Map<string, string>();
  const clients: ClientGroups = { allow: new Map(), deny: new Map() };
  const services = new Lines();
  for (const service of model.services) writeService(service, services, locals, clients, extras);
  const head = new Lines();
  if (rest !== '') {
    head.note(`sluice.yaml, beside this file, says the rest:\n${rest}`);
    head.add('');
  }
  const vrrp = new Lines();
  writeStatic(model, vrrp);
  writeVrrp(model, vrrp);
  writeGlobals(model, head);
  for (const [addresses, name] of locals) {
    head.block(`local_address_group ${name}`, () => {
      for (const address of addresses.split(' ')) head.add(address);
    });
  }
  for (const list of CLIENT_LISTS) {
    for (const [texts, name] of clients[list]) {
      head.block(`${list}_address_group ${name}`, () => {
        for (const text of texts.split(' ')) head.add(text);
      });
    }
  }
  for (const [path, name] of extras.files) {
    head.block(`track_file ${name}`, () => head.given('file', path));
  }
  for (const [key, name] of extras.sessions) {
    const neighbour = key.slice(key.lastIndexOf(' ') + 1);
    if (neighbour !== '') {
      head.block(`bfd_instance ${name}`, () => head.add(`neighbor_ip ${neighbour}`));
    }
  }
  const { tls } = extras;
  if (tls && Object.values(tls).some((value) => value !== undefined)) {
    head.block('SSL', () => {
      for (const [key, value] of Object.entries(tls)) head.given(key, value);
    });
  }
  return `${head}${vrrp}${services}`;
}

function writeGlobals(model: Model, lines: Lines): void {
  const { tcpMs, tcpFinMs, udpMs } = model.timeouts;
  const seconds = [tcpMs, tcpFinMs, udpMs].map((ms) => ms / 1000);
  const usual = seconds.join() === '900,120,300';
  const vrrp = vrrpGlobals(model);
  if (usual && vrrp.length === 0) return;
  lines.block('global_defs', () => {
    for (const line of vrrp) lines.add(line);
    const [tcp, fin, udp] = seconds;
    if (usual) return;
    if (seconds.every(Number.isInteger))
      lines.add(`lvs_timeouts tcp ${tcp} tcpfin ${fin} udp ${udp}`);
    else lines.note(`timeouts: { tcp: ${tcp}, tcpFin: ${fin}, udp: ${udp} }`);
  });
}

function writeService(
  service: ServiceModel,
  lines: Lines,
  locals: Map<string, string>,
  clients: ClientGroups,
  extras: Extras,
): void {
  const { address, port } = service.listen;
  const marked = isMarked(service);
  if (service.servers.length === 0) {
    lines.note(
      `service ${service.name} (${formatEnd(service.protocol, service.listen)}) has no server: keepalived leaves it out`,
    );
    return;
  }
  const usual = marked ? `fwmark-${port}` : serviceName(service.protocol, address, port);
  lines.block(`virtual_server ${marked ? 'fwmark' : address} ${port}`, () => {
    if (marked && isSix(address)) lines.add('ip_family inet6');
    if (service.name !== usual) {
      lines.add(`snmp_name ${service.name}`);
    }
    lines.add(`lvs_sched ${service.scheduler}`);
    if (service.scheduler === 'sh' || service.scheduler === 'mh') {
      if (service.schedulePort) lines.add(`${service.scheduler}-port`);
      if (service.scheduleFallback) lines.add(`${service.scheduler}-fallback`);
    }
    lines.add(`lvs_method ${methodWords(service.mode, commonTunnel(service))}`);
    if (!marked) lines.add(`protocol ${service.protocol.toUpperCase()}`);
    if (service.onePacket) lines.add('ops');
    if (service.synProxy) lines.add('syn_proxy');
    if (service.persistence) writePersistence(service.persistence, address, lines);
    if (service.localAddresses.length > 0) {
      const key = service.localAddresses.join(' ');
      const name = locals.get(key) ?? `locals_${locals.size + 1}`;
      locals.set(key, name);
      lines.add(`laddr_group_name ${name}`);
    }
    writeClients(service.clients, lines, clients);
    if (service.onServerRemoved !== 'drop')
      lines.note(`onServerRemoved: ${service.onServerRemoved}`);
    if (service.clientAddress !== 'toa') lines.note(`clientAddress: ${service.clientAddress}`);
    if (service.toaKind !== 254) lines.note(`toaKind: ${service.toaKind}`);
    writeHealth(service, lines);
    for (const server of service.servers) writeServer(server, service, lines, extras);
  });
}

/** Names of groups by what they have. */
type ClientGroups = Record<ClientListName, Map<string, string>>;

/** Files are director.yaml's. */
function writeClients(clients: Clients, lines: Lines, groups: ClientGroups): void {
  for (const list of CLIENT_LISTS) {
    const texts = clients[list].filter((item) => typeof item === 'string');
    for (const item of clients[list]) {
      if (typeof item !== 'string') lines.note(`clients.${list}: { file: ${item.file} }`);
    }
    if (texts.length === 0) continue;
    const key = texts.join(' ');
    const name = groups[list].get(key) ?? `${list}_${groups[list].size + 1}`;
    groups[list].set(key, name);
    lines.add(`${GROUP_NAMES[list][0]} ${name}`);
  }
}

/** What the service's own line says for all of its tunnels, where they are the same. */
function commonTunnel({ mode, servers }: ServiceModel): Tunnel | undefined {
  const tunnels = servers.filter((server) => server.mode === 'tun').map(({ tunnel }) => tunnel);
  const same = tunnels.every((one) => sameData(one, tunnels[0]));
  return mode === 'tun' && same ? tunnels[0] : undefined;
}

function differs({ mode, tunnel }: Wrapping, common: Tunnel | undefined): boolean {
  return mode === 'tun' && !sameData(tunnel, common);
}

function methodWords(mode: Mode, tunnel: Tunnel | undefined): string {
  if (!tunnel) return METHODS[mode];
  const { type, port, checksum } = tunnel;
  const words = [METHODS[mode], 'type', type, ...(type === 'gue' ? ['port', port] : [])];
  return [...words, ...(checksum === 'nocsum' ? [] : [checksum])].join(' ');
}

function writePersistence(persistence: Persistence, address: string, lines: Lines): void {
  const { timeoutS, netmask, engine, whenDrained } = persistence;
  lines.add(`persistence_timeout ${timeoutS}`);
  if (netmask !== wholeNetmask(address)) lines.add(`persistence_granularity ${netmask}`);
  if (engine) lines.add(`persistence_engine ${engine}`);
  if (whenDrained !== 'stay') lines.note(`persistence.whenDrained: ${whenDrained}`);
}

function writeHealth(service: ServiceModel, lines: Lines): void {
  const { health, mode, servers } = service;
  const { quorum, hysteresis, sorryServer } = health;
  const total = servers.reduce((sum, { weight }) => sum + weight, 0);
  if (quorum !== 1) lines.add(`quorum ${quorum}`);
  if (quorum > Math.max(1, total)) lines.note('keepalived lowers the quorum to the total weight');
  if (hysteresis !== 0) lines.add(`hysteresis ${hysteresis}`);
  writeScript('quorum_up', health.quorumUp, lines);
  writeScript('quorum_down', health.quorumDown, lines);
  if (health.omega) lines.add('omega');
  if (!sorryServer) return;
  lines.add(`sorry_server ${sorryServer.address.address} ${sorryServer.address.port}`);
  if (sorryServer.mode !== mode || differs(sorryServer, commonTunnel(service))) {
    lines.add(`sorry_server_lvs_method ${methodWords(sorryServer.mode, sorryServer.tunnel)}`);
  }
  if (health.sorryServerInhibit) lines.add('sorry_server_inhibit');
}

function writeServer(
  server: ServerModel,
  service: ServiceModel,
  lines: Lines,
  extras: Extras,
): void {
  const { address, port } = server.address;
  lines.block(`real_server ${address}${port === 0 ? '' : ` ${port}`}`, () => {
    if (server.weight !== 1) lines.add(`weight ${server.weight}`);
    if (server.mode !== service.mode || differs(server, commonTunnel(service))) {
      lines.add(`lvs_method ${methodWords(server.mode, server.tunnel)}`);
    }
    if (server.upperThreshold !== 0) lines.add(`uthreshold ${server.upperThreshold}`);
    if (server.lowerThreshold !== 0) lines.add(`lthreshold ${server.lowerThreshold}`);
    if (server.health.inhibitOnFailure) lines.add('inhibit_on_failure');
    writeScript('notify_up', server.health.notifyUp, lines);
    writeScript('notify_down', server.health.notifyDown, lines);
    if (server.health.passive) lines.note(`passive: ${JSON.stringify(server.health.passive)}`);
    for (const check of server.health.checks) writeCheck(check, lines, extras);
  });
}
