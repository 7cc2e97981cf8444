/**
 * Slots: counters and connections in the workers refer to services and servers by small integers.
 * A thing keeps its slot for as long as it is known, through reloads, and gets the same one back
 * when it is removed and added again. A removed thing's slot goes to another only when no worker
 * has a connection of it, and never in the plan that removes it, because until that plan is
 * published workers still make connections.
 */
import type { Model, ServiceModel } from './config/model.js';
import { SluiceError } from './errors.js';
import type { SnapshotServer, SnapshotService } from './snapshot.js';

export interface SlotEntry {
  slot: number;
  /** In the last plan; otherwise remembered for its connections and its return. */
  live: boolean;
}

/** What a plan leaves to the next. */
export interface Slots {
  /** Count of plans made: the generation of the last Snapshot. */
  generation: number;
  services: ReadonlyMap<string, SlotEntry>;
  servers: ReadonlyMap<string, SlotEntry>;
  /** By the service's index in the last plan. Saves work, and decides nothing. */
  parts: readonly Part[];
}

/** What wants a slot. */
export interface Wanted {
  key: string;
  /** Of the configured servers, in order. */
  serverKeys: readonly string[];
  /** Of the sorry server. */
  sorryKey: string | undefined;
}

/** A service of the last plan, with the texts that it came from. */
export interface Part extends Wanted {
  address: string;
  localAddresses: readonly string[];
  service: SnapshotService;
  /** Addresses of the configured servers, and what became of them. */
  addresses: readonly string[];
  servers: SnapshotServer[];
  /** What it was made of. */
  model: ServiceModel;
  clientFiles: Model['clientFiles'];
  /** So were findings of its servers' checks, or of its quorum. */
  judged: boolean;
}

export const NO_SLOTS: Slots = {
  generation: 0,
  services: new Map(),
  servers: new Map(),
  parts: [],
};

export interface Assigned {
  services: ReadonlyMap<string, SlotEntry>;
  servers: ReadonlyMap<string, SlotEntry>;
  /** Slots that have a new owner. */
  taken: { services: number[]; servers: number[] };
}

/** `busy`: server slots that a connection of some worker refers to. Throws ERR_SLOTS_EXHAUSTED. */
export function assignSlots(
  wanted: readonly Wanted[],
  before: Slots,
  busy: ReadonlySet<number>,
  limits: { maxServices: number; maxServers: number },
): Assigned {
  if (wantsTheSame(wanted, before.parts)) {
    const { services, servers } = before;
    return { services, servers, taken: { services: [], servers: [] } };
  }
  const busyServices = new Set<string>();
  if (busy.size > 0) {
    for (const [key, { slot }] of before.servers) {
      if (busy.has(slot)) busyServices.add(serviceOf(key));
    }
  }
  const services = assign(
    'services',
    wanted.map(({ key }) => key),
    before.services,
    (key) => busyServices.has(key),
    limits.maxServices,
  );
  const servers = assign(
    'servers',
    wanted.flatMap(({ serverKeys, sorryKey }) =>
      sorryKey === undefined ? serverKeys : [...serverKeys, sorryKey],
    ),
    before.servers,
    (_, slot) => busy.has(slot),
    limits.maxServers,
  );
  return {
    services: services.entries,
    servers: servers.entries,
    taken: { services: services.taken, servers: servers.taken },
  };
}

/**
 * Then every slot is what it was, and removed things are remembered on until somebody needs theirs.
 * plan() hands on the list of keys itself where they are the same.
 */
function wantsTheSame(wanted: readonly Wanted[], parts: readonly Part[]): boolean {
  return (
    wanted.length === parts.length &&
    wanted.every(({ key, serverKeys, sorryKey }, index) => {
      const part = parts[index] as Part;
      return key === part.key && sorryKey === part.sorryKey && serverKeys === part.serverKeys;
    })
  );
}

/** The service part of a server key: all but its last word. */
export function serviceOf(key: string): string {
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
