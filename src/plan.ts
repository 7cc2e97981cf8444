/**
 * Model + Health + Role → Snapshot. Pure, and the only place where a Snapshot is made.
 *
 * Slots: counters and connections in the workers refer to services and servers by small integers.
 * A thing keeps its slot for as long as it is known, through reloads, and gets the same one back
 * when it is removed and added again. A removed thing's slot goes to another only when no worker
 * has a connection of it, and never in the plan that removes it, because until that plan is
 * published workers still make connections.
 */
import { formatEndpoint, fromBytes, parseMac, toBytes } from './config/address.js';
import type { Model, ServerModel, ServiceModel } from './config/model.js';
import { SluiceError } from './errors.js';
import { STATES } from './native.js';
import {
  DEFAULT_TIMEOUTS,
  type Snapshot,
  type SnapshotServer,
  type SnapshotService,
  type Timeouts,
} from './snapshot.js';

export interface ServerState {
  up: boolean;
  /** In place of the configured one. */
  weight: number;
}

/** What the checks have found. */
export interface Health {
  /** By server identity; a server that is not in it is up. */
  servers: ReadonlyMap<string, ServerState>;
  /** Identities of services that have lost their quorum. */
  lost: ReadonlySet<string>;
}

export const ALL_UP: Health = { servers: new Map(), lost: new Set() };

export interface Role {
  /** The addresses are ours to answer for. */
  owner: boolean;
}

export interface SlotEntry {
  slot: number;
  /** In the last plan; otherwise remembered for its connections and its return. */
  live: boolean;
}

export interface Slots {
  /** Count of plans made: the generation of the last Snapshot. */
  generation: number;
  services: ReadonlyMap<string, SlotEntry>;
  servers: ReadonlyMap<string, SlotEntry>;
}

export const NO_SLOTS: Slots = { generation: 0, services: new Map(), servers: new Map() };

export interface Planned {
  snapshot: Snapshot;
  slots: Slots;
  /** Slots that have a new owner: their counters start at zero again. */
  taken: { services: number[]; servers: number[] };
  warnings: string[];
}

export function serviceKey(service: Pick<ServiceModel, 'protocol' | 'listen'>): string {
  return `${service.protocol} ${formatEndpoint(service.listen)}`;
}

export function serverKey(
  service: Pick<ServiceModel, 'protocol' | 'listen'>,
  server: Pick<ServerModel, 'address'>,
): string {
  return `${serviceKey(service)} ${formatEndpoint(server.address)}`;
}

/** `busy`: server slots that a connection of some worker refers to. */
export function plan(
  model: Model,
  health: Health = ALL_UP,
  role: Role = { owner: true },
  slots: Slots = NO_SLOTS,
  busy: ReadonlySet<number> = new Set(),
): Planned {
  const serviceKeys = model.services.map(serviceKey);
  const serverKeys = model.services.flatMap((service) => {
    const { sorryServer } = service.health;
    const keys = service.servers.map((server) => serverKey(service, server));
    return sorryServer ? [...new Set([...keys, serverKey(service, sorryServer)])] : keys;
  });
  const busyServices = new Set<string>();
  for (const [key, { slot }] of slots.servers) {
    if (busy.has(slot)) busyServices.add(serviceOf(key));
  }
  const services = assign(
    'services',
    serviceKeys,
    slots.services,
    (key) => busyServices.has(key),
    model.director.maxServices,
  );
  const servers = assign(
    'servers',
    serverKeys,
    slots.servers,
    (_, slot) => busy.has(slot),
    model.director.maxServers,
  );
  const portIndex = new Map(model.ports.map((port, index) => [port.name, index]));
  const warnings: string[] = [];
  const generation = slots.generation + 1;
  const snapshot: Snapshot = {
    generation,
    timeouts: timeouts(model),
    services: model.services.map((service) => {
      const planned = planService(service, health, services.entries, servers.entries);
      if (service.servers.length > 0 && !planned.servers.some((one) => one.up && one.weight > 0)) {
        warnings.push(`service ${service.name} has no server that takes new connections`);
      }
      return planned;
    }),
    owned: role.owner ? ownedAddresses(model) : [],
    routes: model.routes.map((route) => ({
      address: toBytes(route.to.address),
      length: route.to.length,
      via: route.via ? toBytes(route.via) : new Uint8Array(16),
      port: portIndex.get(route.port as string) as number,
    })),
    neighbours: model.neighbours.map((neighbour) => ({
      address: toBytes(neighbour.address),
      mac: parseMac(neighbour.mac) as Uint8Array,
      port: portIndex.get(neighbour.port as string) as number,
    })),
    portAddresses: model.ports.flatMap((port, index) =>
      port.addresses.map(({ address, length }) => ({
        address: toBytes(address),
        length,
        port: index,
      })),
    ),
  };
  return {
    snapshot,
    slots: { generation, services: services.entries, servers: servers.entries },
    taken: { services: services.taken, servers: servers.taken },
    warnings,
  };
}

function planService(
  service: ServiceModel,
  health: Health,
  services: ReadonlyMap<string, SlotEntry>,
  servers: ReadonlyMap<string, SlotEntry>,
): SnapshotService {
  return {
    address: toBytes(service.listen.address),
    port: service.listen.port,
    protocol: service.protocol,
    scheduler: service.scheduler,
    schedulePort: service.schedulePort,
    scheduleFallback: service.scheduleFallback,
    onePacket: service.onePacket,
    resetOnServerRemoved: service.onServerRemoved === 'reset',
    clientAddress: service.clientAddress === 'toa',
    toaKind: service.toaKind,
    slot: slotOf(services, serviceKey(service)),
    servers: planServers(service, health, servers),
    localAddresses: service.localAddresses.map(toBytes),
  };
}

/** While its quorum is lost a service's sorry server, if it has one, stands in for all others. */
function planServers(
  service: ServiceModel,
  health: Health,
  slots: ReadonlyMap<string, SlotEntry>,
): SnapshotServer[] {
  const { sorryServer } = service.health;
  const sorry = sorryServer && {
    ...sorryServer,
    weight: 1,
    upperThreshold: 0,
    lowerThreshold: 0,
  };
  const standsIn = sorry !== undefined && health.lost.has(serviceKey(service));
  const real = service.servers.map((server) => {
    const key = serverKey(service, server);
    const { up, weight } = health.servers.get(key) ?? { up: true, weight: server.weight };
    const inhibited = !up && server.health.inhibitOnFailure;
    return planServer(server, slotOf(slots, key), {
      up: (up || inhibited) && !standsIn,
      weight: inhibited ? 0 : weight,
    });
  });
  if (!standsIn) return real;
  const slot = slotOf(slots, serverKey(service, sorry));
  const state = { up: true, weight: sorry.weight };
  return [...real.filter((one) => one.slot !== slot), planServer(sorry, slot, state)];
}

function planServer(
  server: Omit<ServerModel, 'health'>,
  slot: number,
  { up, weight }: ServerState,
): SnapshotServer {
  return {
    address: toBytes(server.address.address),
    port: server.address.port,
    mode: server.mode,
    weight,
    slot,
    up,
    upper: server.upperThreshold,
    lower: server.lowerThreshold,
  };
}

function timeouts(model: Model): Timeouts {
  const table = [...DEFAULT_TIMEOUTS];
  table[STATES.indexOf('ESTABLISHED')] = model.timeouts.tcpMs;
  table[STATES.indexOf('FIN_WAIT')] = model.timeouts.tcpFinMs;
  table[STATES.indexOf('UDP')] = model.timeouts.udpMs;
  return table.map(Math.round);
}

function ownedAddresses(model: Model): Uint8Array[] {
  const addresses = model.services.flatMap((service) => [
    service.listen.address,
    ...service.localAddresses,
  ]);
  return [...new Set(addresses)].map(toBytes);
}

function slotOf(entries: ReadonlyMap<string, SlotEntry>, key: string): number {
  return (entries.get(key) as SlotEntry).slot;
}

/** The service part of a server key: all but its last word. */
function serviceOf(key: string): string {
  return key.slice(0, key.lastIndexOf(' '));
}

function assign(
  kind: 'services' | 'servers',
  keys: readonly string[],
  previous: ReadonlyMap<string, SlotEntry>,
  isBusy: (key: string, slot: number) => boolean,
  limit: number,
): { entries: Map<string, SlotEntry>; taken: number[] } {
  const wanted = new Set(keys);
  const entries = new Map<string, SlotEntry>();
  const used = new Set<number>();
  const spare: [key: string, slot: number][] = [];
  for (const [key, { slot, live }] of previous) {
    if (!wanted.has(key) && !live && !isBusy(key, slot)) {
      spare.push([key, slot]);
      continue;
    }
    entries.set(key, { slot, live: wanted.has(key) });
    used.add(slot);
  }
  const taken: number[] = [];
  let next = 0;
  const spareSlots = new Set(spare.map(([, slot]) => slot));
  const free = (): number | undefined => {
    // Slots never used first: a thing that was removed then keeps its counters the longest.
    while (next < limit && (used.has(next) || spareSlots.has(next))) next++;
    return next < limit ? next : spare.shift()?.[1];
  };
  for (const key of keys) {
    if (entries.has(key)) continue;
    const slot = free();
    if (slot === undefined) {
      throw new SluiceError(
        'ERR_SLOTS_EXHAUSTED',
        `no slot is left for ${key}: ${limit} ${kind} at once are allowed, ` +
          'and removed ones with connections count; wait for those, or raise the limit and restart',
      );
    }
    entries.set(key, { slot, live: true });
    used.add(slot);
    taken.push(slot);
  }
  for (const [key, slot] of spare) entries.set(key, { slot, live: false });
  return { entries, taken };
}

export interface SnapshotDiff {
  services: Changes;
  servers: Changes;
  /** Other parts that differ: routes, neighbours, addresses, timeouts. */
  other: string[];
}

export interface Changes {
  added: string[];
  removed: string[];
  changed: string[];
}

/** What a publication changes, for the log. `before` undefined: everything is added. */
export function diffSnapshots(before: Snapshot | undefined, after: Snapshot): SnapshotDiff {
  const others = {
    routes: (snapshot: Snapshot) => snapshot.routes,
    neighbours: (snapshot: Snapshot) => snapshot.neighbours,
    'own addresses': (snapshot: Snapshot) => snapshot.portAddresses,
    'owned addresses': (snapshot: Snapshot) => snapshot.owned,
    timeouts: (snapshot: Snapshot) => snapshot.timeouts,
  };
  return {
    services: changes(before && serviceTexts(before), serviceTexts(after)),
    servers: changes(before && serverTexts(before), serverTexts(after)),
    other: Object.entries(others)
      .filter(([, part]) => before && textOf(part(before)) !== textOf(part(after)))
      .map(([name]) => name),
  };
}

/** `services +web ~dns, servers -…`, or 'nothing changed'. */
export function formatDiff(diff: SnapshotDiff): string {
  const part = (name: string, { added, removed, changed }: Changes): string[] => {
    const words = [
      ...added.map((key) => `+${key}`),
      ...removed.map((key) => `-${key}`),
      ...changed.map((key) => `~${key}`),
    ];
    const shown = words.slice(0, 8).join(', ');
    const more = words.length > 8 ? `, and ${words.length - 8} more` : '';
    return words.length === 0 ? [] : [`${name} ${shown}${more}`];
  };
  const parts = [
    ...part('services', diff.services),
    ...part('servers', diff.servers),
    ...(diff.other.length > 0 ? [`changed ${diff.other.join(', ')}`] : []),
  ];
  return parts.length === 0 ? 'nothing changed' : parts.join('; ');
}

function serviceTexts({ services }: Snapshot): Map<string, string> {
  return new Map(
    services.map((service) => [nameOf(service), textOf({ ...service, servers: undefined })]),
  );
}

function serverTexts({ services }: Snapshot): Map<string, string> {
  return new Map(
    services.flatMap((service) =>
      service.servers.map((server): [string, string] => [
        `${nameOf(service)} → ${formatEndpoint(endpointOf(server))}`,
        textOf(server),
      ]),
    ),
  );
}

function nameOf(service: SnapshotService): string {
  return `${service.protocol} ${formatEndpoint(endpointOf(service))}`;
}

function endpointOf({ address, port }: { address: Uint8Array; port: number }) {
  return { address: fromBytes(address), port };
}

function changes(before: Map<string, string> = new Map(), after: Map<string, string>): Changes {
  return {
    added: [...after.keys()].filter((key) => !before.has(key)),
    removed: [...before.keys()].filter((key) => !after.has(key)),
    changed: [...after].filter(([key, text]) => (before.get(key) ?? text) !== text).map(([k]) => k),
  };
}

function textOf(value: unknown): string {
  return JSON.stringify(value, (_, part) => (part instanceof Uint8Array ? [...part] : part));
}
