/**
 * Model + Health + Role → Snapshot. Pure, and the only place where a Snapshot is made.
 *
 * A plan hands on to the next what it was made of (Slots). What comes out the same is the same
 * object again: services and servers that a change leaves alone cost a comparison, and whoever
 * encodes or compares snapshots sees at once what they share.
 */
import { formatEndpoint, isSix, parseMac, toBytes } from './config/address.js';
import { clientSet } from './config/client-sets.js';
import { addressesOf, rulesOf } from './config/marks.js';
import type { MarkModel, Model, ServerModel, ServiceModel } from './config/model.js';
import { netmaskBits, netmaskValue, type Persistence } from './config/persistence.js';
import { STATES } from './native.js';
import { sameData } from './same-data.js';
import {
  type Assigned,
  assignSlots,
  NO_SLOTS,
  type Part,
  type SlotEntry,
  type Slots,
  serviceOf,
  type Wanted,
} from './slots.js';
import {
  DEFAULT_TIMEOUTS,
  type Snapshot,
  type SnapshotMark,
  type SnapshotRoleAddress,
  type SnapshotServer,
  type SnapshotService,
  type Timeouts,
} from './snapshot.js';

export { NO_SLOTS, type SlotEntry, type Slots } from './slots.js';

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

/** Of an address that follows a VRRP instance. */
export interface RoleAddress {
  /** We are its master: ours to answer for. */
  ours: boolean;
  /** Index of the instance's port. */
  port: number;
  /** 6 bytes of the virtual router's MAC; undefined: the port's own. */
  mac: Uint8Array | undefined;
  /** Accept mode: what no service wants goes to programs of this machine. */
  accepted: boolean;
}

/** What VRRP says. An address that is not in it is always ours. */
export interface Role {
  /** By address as text. */
  addresses: ReadonlyMap<string, RoleAddress>;
}

export const SOLE: Role = { addresses: new Map() };

export interface Planned {
  snapshot: Snapshot;
  slots: Slots;
  /** Slots that have a new owner: their counters start at zero again. */
  taken: { services: number[]; servers: number[] };
  warnings: string[];
}

export function serviceKey(service: Pick<ServiceModel, 'protocol' | 'listen'>): string {
  const { protocol, listen } = service;
  if (protocol !== 'fwmark') return `${protocol} ${formatEndpoint(listen)}`;
  return `${isSix(listen.address) ? 'fwmark6' : 'fwmark'} ${listen.port}`;
}

export function serverKey(
  service: Pick<ServiceModel, 'protocol' | 'listen'>,
  server: Pick<ServerModel, 'address'>,
): string {
  return `${serviceKey(service)} ${formatEndpoint(server.address)}`;
}

/**
 * `slots`: what the last plan has left. `busy`: those of its server slots that are not live and
 * that a connection of some worker still refers to.
 */
export function plan(
  model: Model,
  health: Health = ALL_UP,
  role: Role = SOLE,
  slots: Slots = NO_SLOTS,
  busy: ReadonlySet<number> = new Set(),
): Planned {
  const partOf = partFinder(slots.parts);
  const drafts = model.services.map((service, index) => draft(service, partOf(service, index)));
  const assigned = assignSlots(drafts, slots, busy, model.director);
  const slotsStay = assigned.servers === slots.servers;
  const judged = judgedServices(health);
  const { clientFiles } = model;
  const parts = drafts.map((one) => {
    const { part, key } = one;
    const as = roleOf(one.model, model.marks, role);
    const isJudged = judged.has(key);
    const isSame =
      part?.model === one.model &&
      part.clientFiles === clientFiles &&
      part.service.role === as &&
      !part.judged &&
      !isJudged;
    if (isSame && slotsStay) return part;
    return planService(one, health, as, assigned, slotsStay, clientFiles, isJudged);
  });
  const services = parts.map(({ service }) => service);
  const portIndex = new Map(model.ports.map((port, index) => [port.name, index]));
  const generation = slots.generation + 1;
  const snapshot: Snapshot = {
    generation,
    timeouts: timeouts(model),
    answerRate: model.director.answerRate,
    services,
    ...ownedAddresses(model, services, role),
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
    marks: marksOf(model, services, portIndex),
  };
  return {
    snapshot,
    slots: { generation, services: assigned.services, servers: assigned.servers, parts },
    taken: assigned.taken,
    warnings: warningsOf(model, services),
  };
}

function marksOf(
  { marks, services }: Model,
  planned: readonly SnapshotService[],
  portIndex: ReadonlyMap<string, number>,
): SnapshotMark[] {
  return marks.flatMap((rule) => {
    const { to, from, protocol, ports, port } = rule;
    const anywhere = isSix(to.address) ? '::' : '0.0.0.0';
    const service = services.findIndex((one) => rulesOf(one, [rule]).length > 0);
    return ports.map(({ low, high }) => ({
      destination: toBytes(to.address),
      destinationLength: to.length,
      source: toBytes(from?.address ?? anywhere),
      sourceLength: from?.length ?? 0,
      protocol,
      low,
      high,
      service: planned[service]?.slot,
      port: port === undefined ? undefined : portIndex.get(port),
    }));
  });
}

function warningsOf(model: Model, services: readonly SnapshotService[]): string[] {
  return model.services
    .filter(({ servers }, index) => {
      const planned = services[index] as SnapshotService;
      return servers.length > 0 && !planned.servers.some((one) => one.up && one.weight > 0);
    })
    .map(({ name, servers, localAddresses }) =>
      localAddresses.length === 0 && servers.some(({ mode }) => mode === 'fullnat')
        ? `service ${name} has no local address: its FullNAT servers wait for one`
        : `service ${name} has no server that takes new connections`,
    );
}

/** FullNAT servers that ipvsadm added before the local addresses they need wait for those. */
function able(service: ServiceModel, servers: SnapshotServer[]): SnapshotServer[] {
  const waits = service.localAddresses.length === 0 && servers.some(isFullNat);
  return waits ? servers.filter((server) => !isFullNat(server)) : servers;
}

function isFullNat({ mode }: SnapshotServer): boolean {
  return mode === 'fullnat';
}

/** Those that the checks have found something about. */
function judgedServices({ servers, lost }: Health): Set<string> {
  const services = new Set(lost);
  for (const key of servers.keys()) services.add(serviceOf(key));
  return services;
}

type PartFinder = (service: ServiceModel, index: number) => Part | undefined;

/** Most services are where they were; the rest is looked for. */
function partFinder(parts: readonly Part[]): PartFinder {
  let byKey: Map<string, Part> | undefined;
  return (service, index) => {
    const part = parts[index];
    const { protocol, listen } = service;
    if (
      part?.address === listen.address &&
      (part.service.mark || part.service.port) === listen.port &&
      part.service.protocol === protocol
    ) {
      return part;
    }
    byKey ??= new Map(parts.map((each) => [each.key, each]));
    return byKey.get(serviceKey(service));
  };
}

/** A service before its slots are known. */
interface Draft extends Wanted {
  model: ServiceModel;
  /** What it was in the last plan. */
  part: Part | undefined;
}

function draft(model: ServiceModel, part: Part | undefined): Draft {
  if (part?.model === model) {
    const { key, serverKeys, sorryKey } = part;
    return { key, serverKeys, sorryKey, model, part };
  }
  const key = part?.key ?? serviceKey(model);
  const { servers, health } = model;
  const sorryKey = health.sorryServer && serverKey(model, health.sorryServer);
  const stay =
    part?.servers.length === servers.length && servers.every((one, at) => isAt(one, part, at));
  const serverKeys = stay
    ? part.serverKeys
    : servers.map((one, at) =>
        part && isAt(one, part, at)
          ? (part.serverKeys[at] as string)
          : `${key} ${formatEndpoint(one.address)}`,
      );
  return { key, serverKeys, sorryKey, model, part };
}

/** The last plan had this very server at this place. */
function isAt({ address }: ServerModel, part: Part, at: number): boolean {
  return address.address === part.addresses[at] && address.port === part.servers[at]?.port;
}

function planService(
  { key, serverKeys, sorryKey, model, part }: Draft,
  health: Health,
  role: SnapshotService['role'],
  slots: Assigned,
  slotsStay: boolean,
  clientFiles: Model['clientFiles'],
  judged: boolean,
): Part {
  const standsIn = sorryKey !== undefined && health.lost.has(key);
  const states = health.servers.size > 0 ? health.servers : undefined;
  let changed = part?.servers.length !== model.servers.length;
  const planned = model.servers.map((server, at) => {
    const own = serverKeys[at] as string;
    const before = part && own === part.serverKeys[at] ? part.servers[at] : undefined;
    const slot = before && slotsStay ? before.slot : slotOf(slots.servers, own);
    const state = states?.get(own);
    const up = state?.up ?? true;
    const inhibited = !up && server.health.inhibitOnFailure;
    const weight = inhibited || server.drained ? 0 : (state?.weight ?? server.weight);
    const now = planServer(server, slot, (up || inhibited) && !standsIn, weight, before);
    changed ||= now !== before;
    return now;
  });
  // The very list where nothing differs: it needs no comparing then, server by server.
  const servers = part && !changed ? part.servers : planned;
  const marked = model.protocol === 'fwmark';
  const service: SnapshotService = {
    address: part?.service.address ?? toBytes(model.listen.address),
    port: marked ? 0 : model.listen.port,
    protocol: model.protocol,
    mark: marked ? model.listen.port : 0,
    scheduler: model.scheduler,
    schedulePort: model.schedulePort,
    scheduleFallback: model.scheduleFallback,
    onePacket: model.onePacket,
    persistenceMs: (model.persistence?.timeoutS ?? 0) * 1_000,
    ...clientPart(model.persistence),
    engine: model.persistence?.engine ?? null,
    movesDrained: model.persistence?.whenDrained === 'move',
    resetOnServerRemoved: model.onServerRemoved === 'reset',
    clientAddress: model.clientAddress === 'toa',
    toaKind: model.toaKind,
    synProxy: model.synProxy,
    slot: part && slotsStay ? part.service.slot : slotOf(slots.services, key),
    servers: able(model, standsIn ? withSorryServer(model, servers, slots) : servers),
    localAddresses:
      part && sameData(model.localAddresses, part.localAddresses)
        ? part.service.localAddresses
        : model.localAddresses.map(toBytes),
    role,
    allow: clientSet(model.clients.allow, clientFiles, isSix(model.listen.address)),
    deny: clientSet(model.clients.deny, clientFiles, isSix(model.listen.address)),
  };
  const same = part && sameData(service, part.service) && serverKeys === part.serverKeys;
  const was = same ? part : undefined;
  // Written out: objects that are spread together take twice the time of all the rest here.
  return {
    key,
    serverKeys,
    sorryKey,
    address: was?.address ?? model.listen.address,
    localAddresses: was?.localAddresses ?? [...model.localAddresses],
    addresses: was?.addresses ?? model.servers.map((server) => server.address.address),
    service: was?.service ?? service,
    servers: was?.servers ?? servers,
    model,
    clientFiles,
    judged,
  };
}

/** A netmask with holes is told as it is. */
function clientPart(persistence: Persistence | null): { clientBits: number; netmask: number } {
  if (!persistence) return { clientBits: 0, netmask: 0 };
  const clientBits = netmaskBits(persistence.netmask);
  if (clientBits !== undefined) return { clientBits, netmask: 0 };
  return { clientBits: 0, netmask: netmaskValue(persistence.netmask) as number };
}

/** While its quorum is lost a service's sorry server, if it has one, stands in for all others. */
function withSorryServer(
  service: ServiceModel,
  servers: readonly SnapshotServer[],
  slots: Assigned,
): SnapshotServer[] {
  const { sorryServer } = service.health;
  if (sorryServer === undefined) return [...servers];
  const sorry = { ...sorryServer, upperThreshold: 0, lowerThreshold: 0 };
  const slot = slotOf(slots.servers, serverKey(service, sorry));
  const others = servers.filter((one) => one.slot !== slot);
  return [...others, planServer(sorry, slot, true, 1, undefined)];
}

/** `before`: the same server in the last plan; it is that very object again if nothing differs. */
function planServer(
  server: Omit<ServerModel, 'health' | 'weight'>,
  slot: number,
  up: boolean,
  weight: number,
  before: SnapshotServer | undefined,
): SnapshotServer {
  const { mode, tunnel, upperThreshold: upper, lowerThreshold: lower } = server;
  if (
    before?.slot === slot &&
    before.up === up &&
    before.weight === weight &&
    before.mode === mode &&
    sameData(before.tunnel, tunnel) &&
    before.upper === upper &&
    before.lower === lower
  ) {
    return before;
  }
  const { address, port } = server.address;
  return {
    address: before?.address ?? toBytes(address),
    port,
    mode,
    ...(tunnel && { tunnel }),
    weight,
    slot,
    up,
    upper,
    lower,
  };
}

function timeouts(model: Model): Timeouts {
  const table = [...DEFAULT_TIMEOUTS];
  table[STATES.indexOf('ESTABLISHED')] = model.timeouts.tcpMs;
  table[STATES.indexOf('FIN_WAIT')] = model.timeouts.tcpFinMs;
  table[STATES.indexOf('UDP')] = model.timeouts.udpMs;
  return table.map(Math.round);
}

/** A mark's service is here as long as one of its addresses is. */
function roleOf(
  service: ServiceModel,
  marks: readonly MarkModel[],
  { addresses }: Role,
): SnapshotService['role'] {
  if (addresses.size === 0) return 'none';
  const following = addressesOf(service, marks).flatMap((one) => addresses.get(one) ?? []);
  if (following.length === 0) return 'none';
  return following.some(({ ours }) => ours) ? 'active' : 'standby';
}

const NO_MAC = new Uint8Array(6);

/**
 * VIPs and local addresses, each once. A local address goes where its services' VIPs go; shared
 * by some that follow a role and some that don't, it stays.
 */
function ownedAddresses(
  model: Model,
  planned: readonly SnapshotService[],
  role: Role,
): Pick<Snapshot, 'owned' | 'roleAddresses'> {
  const owned = new Map<string, Uint8Array>();
  const locals = new Map<string, { bytes: Uint8Array; role: RoleAddress }>();
  model.services.forEach((one, index) => {
    const service = planned[index] as SnapshotService;
    const { localAddresses } = one;
    let follows: RoleAddress | undefined;
    for (const address of addressesOf(one, model.marks)) {
      const own = role.addresses.get(address);
      if (!own) owned.set(address, one.protocol === 'fwmark' ? toBytes(address) : service.address);
      else if (!follows?.ours) follows = own;
    }
    localAddresses.forEach((address, at) => {
      const bytes = service.localAddresses[at] as Uint8Array;
      if (!follows) owned.set(address, bytes);
      else if (!locals.get(address)?.role.ours) locals.set(address, { bytes, role: follows });
    });
  });
  const roleAddresses = new Map<string, SnapshotRoleAddress>();
  for (const [address, { bytes, role: follows }] of locals) {
    if (!follows.ours || owned.has(address)) continue;
    roleAddresses.set(address, {
      address: bytes,
      mac: NO_MAC,
      port: follows.port,
      accepted: false,
    });
  }
  for (const [address, { ours, port, mac = NO_MAC, accepted }] of role.addresses) {
    if (!ours) continue;
    roleAddresses.set(address, { address: toBytes(address), mac, port, accepted });
  }
  return { owned: [...owned.values()], roleAddresses: [...roleAddresses.values()] };
}

function slotOf(entries: ReadonlyMap<string, SlotEntry>, key: string): number {
  return (entries.get(key) as SlotEntry).slot;
}
