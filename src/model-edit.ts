/**
 * Changes of a Model while the director runs: what ipvsadm and the API ask for. Pure: a Model and
 * edits in, a new Model out; what an edit does not touch is shared with the old one. Only what the
 * edit itself shows is judged here (the service is there, the thresholds fit); whether the Model
 * as a whole may be published is check()'s to say.
 */
import { type Endpoint, formatEndpoint, isSix } from './config/address.js';
import { entriesOf } from './config/client-sets.js';
import { ANYBODY, type ClientItem, type ClientListName } from './config/clients.js';
import { keepsPort, type Model, type ServerModel, type ServiceModel } from './config/model.js';
import type { Persistence } from './config/persistence.js';
import { type Tunnel, tunnelOf } from './config/tunnel.js';
import { SluiceError } from './errors.js';
import { NO_QUORUM, UNCHECKED } from './health/model.js';
import type { Mode, Scheduler } from './native.js';
import { serviceKey } from './plan.js';

export interface ServiceId {
  protocol: ServiceModel['protocol'];
  listen: Endpoint;
}

export interface ServiceSettings {
  scheduler: Scheduler;
  schedulePort: boolean;
  scheduleFallback: boolean;
  onePacket: boolean;
  persistence: Persistence | null;
  /** Absent: as it is, and of a new service false. */
  synProxy?: boolean | undefined;
}

export interface ServerSettings {
  mode: Mode;
  /** Of mode tun; IPIP unless given. */
  tunnel?: Tunnel | undefined;
  weight: number;
  upperThreshold: number;
  lowerThreshold: number;
}

export type Edit =
  | { edit: 'addService' | 'editService'; service: ServiceId; settings: ServiceSettings }
  | { edit: 'removeService'; service: ServiceId }
  | {
      edit: 'addServer' | 'editServer';
      service: ServiceId;
      server: Endpoint;
      settings: ServerSettings;
    }
  | {
      edit: 'removeServer' | 'drainServer' | 'undrainServer';
      service: ServiceId;
      server: Endpoint;
    }
  /** Ends draining, too. */
  | { edit: 'setWeight'; service: ServiceId; server: Endpoint; weight: number }
  | { edit: 'addLocalAddress' | 'removeLocalAddress'; service: ServiceId; address: string }
  | { edit: 'addClient' | 'removeClient'; service: ServiceId; list: ClientListName; client: string }
  /** Seconds; 0 leaves one as it is. */
  | { edit: 'setTimeouts'; tcp: number; tcpFin: number; udp: number }
  | { edit: 'clear' };

export interface Edited {
  model: Model;
  /** For each edit why it was not made, or null. */
  refusals: (SluiceError | null)[];
}

/** Each edit by itself: one that is refused changes nothing, and the next ones are still made. */
export function editModel(model: Model, edits: readonly Edit[]): Edited {
  const draft = new Draft(model);
  const refusals = edits.map((edit) => {
    try {
      draft.apply(edit);
      return null;
    } catch (error) {
      if (error instanceof SluiceError) return error;
      throw error;
    }
  });
  return { model: draft.model(), refusals };
}

/** Services by key, so that ten thousand edits cost no more than ten thousand steps. */
class Draft {
  readonly #base: Model;
  readonly #services: Map<string, ServiceModel>;
  readonly #names: Set<string>;
  /** Lists that edits have changed, by service and list: a Set, as there may be very many of them. */
  readonly #clients = new Map<string, Map<ClientListName, Set<string>>>();
  #timeouts: Model['timeouts'];

  constructor(model: Model) {
    this.#base = model;
    this.#services = new Map(model.services.map((service) => [serviceKey(service), service]));
    this.#names = new Set(model.services.map(({ name }) => name));
    this.#timeouts = model.timeouts;
  }

  model(): Model {
    const services = [...this.#services].map(([key, service]) => {
      const edited = this.#clients.get(key);
      return edited ? { ...service, clients: withLists(service.clients, edited) } : service;
    });
    return { ...this.#base, timeouts: this.#timeouts, services };
  }

  apply(edit: Edit): void {
    switch (edit.edit) {
      case 'clear':
        this.#services.clear();
        this.#clients.clear();
        this.#names.clear();
        return;
      case 'setTimeouts':
        this.#setTimeouts(edit);
        return;
      case 'addService':
        this.#addService(edit.service, edit.settings);
        return;
      case 'editService':
        this.#put(settled(this.#service(edit.service, 'ERR_NO_SUCH_SERVICE'), edit.settings));
        return;
      case 'removeService':
        this.#removeService(edit.service);
        return;
      case 'addServer':
      case 'editServer':
        this.#putServer(edit);
        return;
      case 'removeServer':
        this.#removeServer(edit.service, edit.server);
        return;
      case 'drainServer':
        this.#change(edit, (server) => ({ ...server, drained: true }));
        return;
      case 'undrainServer':
        this.#change(edit, undrained);
        return;
      case 'setWeight':
        this.#change(edit, ({ drained: _, ...server }) => ({ ...server, weight: edit.weight }));
        return;
      case 'addLocalAddress':
      case 'removeLocalAddress':
        this.#editLocal(edit);
        return;
      case 'addClient':
      case 'removeClient':
        this.#editClients(edit);
        return;
    }
  }

  #put(service: ServiceModel): void {
    this.#services.set(serviceKey(service), service);
  }

  #service(id: ServiceId, code: 'ERR_NO_SUCH_SERVICE' | 'ERR_SERVICE_NOT_DEFINED'): ServiceModel {
    const found = this.#services.get(serviceKey(id));
    if (found) return found;
    throw new SluiceError(code, `there is no service ${serviceKey(id)}`);
  }

  #addService(id: ServiceId, settings: ServiceSettings): void {
    const key = serviceKey(id);
    if (this.#services.has(key)) {
      throw new SluiceError('ERR_SERVICE_EXISTS', `service ${key} exists already`);
    }
    const name = this.#freeName(id);
    this.#names.add(name);
    this.#put(settled(newService(id, name), settings));
  }

  #freeName({ protocol, listen }: ServiceId): string {
    const base =
      protocol === 'fwmark'
        ? serviceKey({ protocol, listen }).replace(' ', '-')
        : `${protocol}-${listen.address.replaceAll(':', '.')}-${listen.port}`;
    let name = base;
    for (let count = 2; this.#names.has(name); count++) name = `${base}-${count}`;
    return name;
  }

  #removeService(id: ServiceId): void {
    const { name } = this.#service(id, 'ERR_NO_SUCH_SERVICE');
    this.#names.delete(name);
    this.#services.delete(serviceKey(id));
    this.#clients.delete(serviceKey(id));
  }

  #putServer(edit: Extract<Edit, { edit: 'addServer' | 'editServer' }>): void {
    const service = this.#service(edit.service, 'ERR_SERVICE_NOT_DEFINED');
    const { settings } = edit;
    // As ipvsadm does: a mode that cannot change the port has the service's.
    const keeps = keepsPort(settings.mode) && service.protocol !== 'fwmark';
    const port = keeps ? service.listen.port : edit.server.port;
    const address = { ...edit.server, port };
    if (settings.lowerThreshold > settings.upperThreshold) {
      const { lowerThreshold: lower, upperThreshold: upper } = settings;
      const message = `lower threshold ${lower} of ${formatEndpoint(address)} is above upper ${upper}`;
      throw new SluiceError('ERR_THRESHOLDS', message);
    }
    const at = indexOf(service.servers, address);
    const key = `${formatEndpoint(address)} of ${serviceKey(service)}`;
    if (edit.edit === 'addServer' && at >= 0) {
      throw new SluiceError('ERR_SERVER_EXISTS', `server ${key} exists already`);
    }
    if (edit.edit === 'editServer' && at < 0) throw noServer(key);
    const health = service.servers[at]?.health ?? UNCHECKED;
    const { tunnel, ...others } = settings;
    const server: ServerModel = {
      address,
      ...others,
      ...tunnelOf(settings.mode, tunnel),
      health,
    };
    const servers = [...service.servers];
    servers[at < 0 ? servers.length : at] = server;
    this.#put({ ...service, servers });
  }

  #removeServer(id: ServiceId, address: Endpoint): void {
    const service = this.#service(id, 'ERR_SERVICE_NOT_DEFINED');
    const at = indexOf(service.servers, address);
    if (at < 0) throw noServer(`${formatEndpoint(address)} of ${serviceKey(service)}`);
    this.#put({ ...service, servers: service.servers.filter((_, index) => index !== at) });
  }

  #change(
    { service: id, server: wanted }: { service: ServiceId; server: Endpoint },
    to: (server: ServerModel) => ServerModel,
  ): void {
    const service = this.#service(id, 'ERR_SERVICE_NOT_DEFINED');
    const at = indexOf(service.servers, wanted);
    const server = service.servers[at];
    if (!server) throw noServer(`${formatEndpoint(wanted)} of ${serviceKey(service)}`);
    this.#put({ ...service, servers: service.servers.with(at, to(server)) });
  }

  #editLocal(edit: Extract<Edit, { address: string }>): void {
    const service = this.#service(edit.service, 'ERR_SERVICE_NOT_DEFINED');
    const { localAddresses } = service;
    const has = localAddresses.includes(edit.address);
    const what = `local address ${edit.address} of ${serviceKey(service)}`;
    if (edit.edit === 'addLocalAddress') {
      if (has) throw new SluiceError('ERR_LOCAL_ADDRESS_EXISTS', `${what} exists already`);
      this.#put({ ...service, localAddresses: [...localAddresses, edit.address] });
      return;
    }
    if (!has) throw new SluiceError('ERR_NO_SUCH_LOCAL_ADDRESS', `there is no ${what}`);
    const rest = localAddresses.filter((one) => one !== edit.address);
    this.#put({ ...service, localAddresses: rest });
  }

  #editClients(edit: Extract<Edit, { client: string }>): void {
    const service = this.#service(edit.service, 'ERR_SERVICE_NOT_DEFINED');
    const { list, client } = edit;
    const key = serviceKey(edit.service);
    const what = `${client} in ${list} of ${key}`;
    if (isSix(client) !== isSix(service.listen.address)) {
      const message = `${client} is of another family than the clients of ${key}`;
      throw new SluiceError('ERR_CLIENT_FAMILY', message);
    }
    const lists = this.#clients.get(key) ?? new Map<ClientListName, Set<string>>();
    const own = lists.get(list) ?? new Set(service.clients[list].filter(isText));
    if (edit.edit === 'addClient') {
      if (own.has(client)) throw new SluiceError('ERR_CLIENT_EXISTS', `${what} exists already`);
      own.add(client);
    } else if (!own.delete(client)) {
      const entries = entriesOf(list, service.clients[list], this.#base.clientFiles);
      const file = [...entries].find(({ text }) => text === client)?.file;
      const advice =
        file && `: it stands in ${file.path}:${file.line}, take it out there and reload`;
      throw new SluiceError('ERR_NO_SUCH_CLIENT', `there is no ${what} to remove${advice ?? ''}`);
    }
    lists.set(list, own);
    this.#clients.set(key, lists);
  }

  #setTimeouts({ tcp, tcpFin, udp }: { tcp: number; tcpFin: number; udp: number }): void {
    const { tcpMs, tcpFinMs, udpMs } = this.#timeouts;
    this.#timeouts = {
      tcpMs: tcp > 0 ? tcp * 1_000 : tcpMs,
      tcpFinMs: tcpFin > 0 ? tcpFin * 1_000 : tcpFinMs,
      udpMs: udp > 0 ? udp * 1_000 : udpMs,
    };
  }
}

type Unsettled = Omit<ServiceModel, Exclude<keyof ServiceSettings, 'synProxy'>>;

function settled(service: Unsettled, settings: ServiceSettings): ServiceModel {
  return { ...service, ...settings, synProxy: settings.synProxy ?? service.synProxy };
}

/** What ipvsadm has no option for is as the configuration's defaults say. */
function newService(id: ServiceId, name: string): Unsettled {
  return {
    name,
    listen: { ...id.listen },
    protocol: id.protocol,
    mode: 'dr',
    onServerRemoved: 'drop',
    clientAddress: 'toa',
    toaKind: 254,
    synProxy: false,
    localAddresses: [],
    servers: [],
    health: NO_QUORUM,
    clients: ANYBODY,
  };
}

const isText = (item: ClientItem): item is string => typeof item === 'string';

/** With these lists in place of its own, files apart. */
function withLists(
  before: ServiceModel['clients'],
  edited: ReadonlyMap<ClientListName, ReadonlySet<string>>,
): ServiceModel['clients'] {
  const lists = [...edited].map(([list, own]) => [
    list,
    [...before[list].filter((item) => !isText(item)), ...own],
  ]);
  return { ...before, ...Object.fromEntries(lists) };
}

/** A weight that was set to 0 has not been kept anywhere: there is nothing to go back to. */
function undrained({ drained: _, ...server }: ServerModel): ServerModel {
  if (server.weight > 0) return server;
  const name = formatEndpoint(server.address);
  const message = `${name} was given weight 0 itself: give it another one instead`;
  throw new SluiceError('ERR_NOT_DRAINED', message);
}

function noServer(key: string): SluiceError {
  return new SluiceError('ERR_NO_SUCH_SERVER', `there is no server ${key}`);
}

function indexOf(servers: readonly ServerModel[], wanted: Endpoint): number {
  return servers.findIndex(
    ({ address }) => address.address === wanted.address && address.port === wanted.port,
  );
}
