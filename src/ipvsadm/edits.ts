/** Command lines that change something → edits of the running Model, or why that cannot be. */
import { isSix } from '../config/address.js';
import type { ClientListName } from '../config/clients.js';
import { markEnd } from '../config/marks.js';
import { ENGINES, type Engine, type Persistence, wholeNetmask } from '../config/persistence.js';
import { tunnelOf } from '../config/tunnel.js';
import type { Edit, ServiceId } from '../model-edit.js';
import { type Mode, SCHEDULERS, type Scheduler } from '../native.js';
import { IpvsadmError, STATUS, unsupported } from './errors.js';
import type { CommandLine, Forward, ServiceAddress } from './parse.js';

const MODES: Record<Forward, Mode> = {
  gatewaying: 'dr',
  ipip: 'tun',
  masquerading: 'nat',
  fullnat: 'fullnat',
  enat: 'enat',
};

const LARGEST_WEIGHT = 65_535;

export function editsOf(line: CommandLine): Edit {
  switch (line.command) {
    case 'flush':
      return { edit: 'clear' };
    case 'set': {
      const [tcp, tcpFin, udp] = line.timeouts ?? [0, 0, 0];
      return { edit: 'setTimeouts', tcp, tcpFin, udp };
    }
    case 'add-service':
    case 'edit-service':
      return serviceEdit(line, line.command === 'add-service' ? 'addService' : 'editService');
    case 'delete-service':
      return { edit: 'removeService', service: serviceId(line) };
    case 'add-server':
    case 'edit-server':
      return serverEdit(line, line.command === 'add-server' ? 'addServer' : 'editServer');
    case 'delete-server':
      return { edit: 'removeServer', service: serviceId(line), server: serverEnd(line) };
    case 'add-laddr':
      return { edit: 'addLocalAddress', service: serviceId(line), address: line.laddr ?? '' };
    case 'del-laddr':
      return { edit: 'removeLocalAddress', service: serviceId(line), address: line.laddr ?? '' };
    case 'add-blklst':
    case 'add-whtlst':
      return { edit: 'addClient', ...clientEdit(line) };
    case 'del-blklst':
    case 'del-whtlst':
      return { edit: 'removeClient', ...clientEdit(line) };
    default:
      throw new Error(`${line.command} changes nothing`);
  }
}

function clientEdit(line: CommandLine) {
  const list: ClientListName = line.given.has('blklst-address') ? 'deny' : 'allow';
  return { service: serviceId(line), list, client: line.client ?? '' };
}

export function serviceId(line: CommandLine): ServiceId {
  if (line.fwmark !== undefined) {
    return { protocol: 'fwmark', listen: markEnd(line.fwmark, line.ipv6 === true) };
  }
  const { protocol, address, port } = line.service as ServiceAddress;
  return { protocol, listen: { address, port } };
}

function serviceEdit(line: CommandLine, edit: 'addService' | 'editService'): Edit {
  const service = serviceId(line);
  const persistence = persistenceOf(line, service);
  const flags = new Set(line.schedFlags);
  if (flags.has(3)) throw unsupported('no scheduler here knows flag-3');
  return {
    edit,
    service,
    settings: {
      scheduler: schedulerOf(line.scheduler ?? 'wlc'),
      schedulePort: flags.has(2),
      scheduleFallback: flags.has(1),
      onePacket: line.given.has('ops'),
      persistence,
      ...(line.synProxy === undefined ? {} : { synProxy: line.synProxy }),
    },
  };
}

function persistenceOf(
  { persistent, netmask, pe }: CommandLine,
  { protocol, listen }: ServiceId,
): Persistence | null {
  const engine = engineOf(pe);
  if (engine && persistent === undefined) {
    throw unsupported(`--pe ${engine} without -p, which IPVS takes, does nothing there`);
  }
  if (engine && protocol !== 'udp' && protocol !== 'fwmark') {
    const what = `--pe ${engine} reads UDP: with it IPVS drops every ${protocol.toUpperCase()} packet`;
    throw unsupported(what);
  }
  if (persistent === undefined) return null;
  return {
    timeoutS: persistent,
    netmask: `${netmask ?? wholeNetmask(listen.address)}`,
    engine,
    whenDrained: 'stay',
  };
}

/** Without a name there is none, as with IPVS. */
function engineOf(name: string | undefined): Engine | null {
  if (name === undefined || name === '') return null;
  const known = ENGINES.find((engine) => engine === name);
  if (known) return known;
  throw new IpvsadmError(STATUS.refused, 'Scheduler or persistence engine not found');
}

function schedulerOf(name: string): Scheduler {
  const known = SCHEDULERS.find((scheduler) => scheduler === name);
  if (known) return known;
  throw new IpvsadmError(STATUS.refused, 'Scheduler or persistence engine not found');
}

function serverEdit(line: CommandLine, edit: 'addServer' | 'editServer'): Edit {
  const service = serviceId(line);
  const { weight, upper, lower, tunnel } = line;
  const six = isSix(service.listen.address);
  if (six && line.forward === 'enat') throw unsupported('ENAT is for IPv4');
  if (service.protocol === 'sctp' && line.forward === 'enat') {
    throw unsupported('ENAT takes TCP and UDP');
  }
  if (weight > LARGEST_WEIGHT) throw unsupported(`weights go to ${LARGEST_WEIGHT}, not ${weight}`);
  return {
    edit,
    service,
    server: serverEnd(line),
    settings: {
      mode: MODES[line.forward],
      ...tunnelOf(MODES[line.forward], {
        type: tunnel.type,
        port: tunnel.port ?? 0,
        checksum: tunnel.checksum ?? 'nocsum',
      }),
      weight,
      upperThreshold: upper,
      lowerThreshold: lower,
    },
  };
}

function serverEnd({ server }: CommandLine): { address: string; port: number } {
  const { address, port = 0 } = server as NonNullable<CommandLine['server']>;
  return { address, port };
}
