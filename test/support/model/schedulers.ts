/**
 * The schedulers, dumb. `predict` names the server that LVS would choose from the list in LVS's
 * order (last added first), as a real Linux IPVS was seen to choose; 'any' where any usable
 * server is right.
 */
import type { SnapshotServer, SnapshotService } from '../../../src/snapshot.js';
import { readU32 } from '../bytes.js';

export interface Load {
  active: number;
  inactive: number;
  overloaded: boolean;
}

export interface SchedulingState {
  /** Server slot chosen last (rr, wrr); undefined before the first choice. */
  last?: number;
  /** wrr's bar. */
  bar?: number;
  /** Servers and weights the last choice was made from. */
  among?: string;
  /** lblc, lblcr: by destination the server slots, newest first, and when they changed (ms). */
  localities?: Map<number, { slots: number[]; used: number; changed: number }>;
}

export function usable(server: SnapshotServer, load: Load): boolean {
  return server.weight > 0 && server.up && !load.overloaded;
}

/**
 * LVS's thresholds: from `upper` connections on a server rests, until it is below `lower`, or below
 * three quarters of `upper` without one. Asked whenever a connection has come or gone.
 */
export function isOverloaded(server: SnapshotServer, load: Load, came: boolean): boolean {
  const total = load.active + load.inactive;
  if (came) return load.overloaded || (server.upper !== 0 && total >= server.upper);
  const enough = server.lower !== 0 ? total >= server.lower : total * 4 >= server.upper * 3;
  return load.overloaded && server.upper !== 0 && enough;
}

/** Servers in LVS's order. */
export function listOrder(service: SnapshotService): SnapshotServer[] {
  return [...service.servers].reverse();
}

export type Choice = { kind: 'none' } | { kind: 'server'; slot: number } | { kind: 'any' };

const NONE: Choice = { kind: 'none' };

export function predict(
  service: SnapshotService,
  state: SchedulingState,
  loadOf: (server: SnapshotServer) => Load,
  client: Uint8Array,
  clientPort: number,
  destination: Uint8Array = service.address,
  now = 0,
): Choice {
  // rr and the least-connection ones pass a server that is down by; for the others it is as if
  // health checks had taken it out of the list, which shapes their tables and rounds.
  const all = listOrder(service);
  const shaped = ['wrr', 'sh', 'mh', 'dh'].includes(service.scheduler);
  const servers = shaped ? all.filter(({ up }) => up) : all;
  const fit = servers.filter((server) => usable(server, loadOf(server)));
  const chosen = (server: SnapshotServer | undefined): Choice =>
    server ? { kind: 'server', slot: server.slot } : NONE;
  const among = servers.map(({ slot, weight }) => `${slot}×${weight}`).join();
  const changed = state.among !== undefined && state.among !== among;
  state.among = among;
  if (servers.length === 0) {
    state.last = undefined;
    return NONE;
  }
  switch (service.scheduler) {
    case 'rr': {
      if (changed && !servers.some(({ slot }) => slot === state.last)) {
        state.last = undefined;
        return fit.length > 0 ? { kind: 'any' } : NONE;
      }
      const start = servers.findIndex((server) => server.slot === state.last) + 1;
      const round = [...servers.slice(start), ...servers.slice(0, start)];
      const pick = round.find((server) => fit.includes(server));
      if (pick) state.last = pick.slot;
      return chosen(pick);
    }
    case 'wrr':
      // After a change the walk starts over, under the bar it had.
      if (changed) state.last = undefined;
      return chosen(weightedRoundRobin(servers, fit, state));
    case 'lc':
      return chosen(lowest(fit, (server) => cost(loadOf(server))));
    case 'wlc':
      return chosen(lowest(fit, (server) => cost(loadOf(server)) / server.weight));
    case 'sed':
      return chosen(lowest(fit, (server) => (loadOf(server).active + 1) / server.weight));
    case 'nq': {
      const idle = fit.find((server) => loadOf(server).active === 0);
      return chosen(idle ?? lowest(fit, (server) => (loadOf(server).active + 1) / server.weight));
    }
    case 'fo':
      return chosen(lowest(fit, (server) => -server.weight));
    case 'ovf': {
      const room = fit.filter((server) => loadOf(server).active <= server.weight);
      return chosen(lowest(room, (server) => -server.weight));
    }
    case 'dh': {
      const bucket = Math.imul(readU32(destination, destination.length - 4), 0x61c88647) >>> 24;
      const pick = servers[bucket % servers.length] as SnapshotServer;
      return chosen(fit.includes(pick) ? pick : undefined);
    }
    case 'sh': {
      const port = service.schedulePort ? clientPort : 0;
      const table = sourceHashTable(servers);
      const bucket = (offset: number) =>
        ((Math.imul(readU32(client, 0) + port, 0x61c88647) >>> 24) + offset) & 255;
      const first = table[bucket(0)];
      if (first && fit.includes(first)) return chosen(first);
      if (!service.scheduleFallback) return NONE;
      const offsets = Array.from({ length: 256 }, (_, n) => (n + bucket(0)) & 255);
      return chosen(offsets.map((n) => table[bucket(n)]).find((one) => one && fit.includes(one)));
    }
    case 'twos':
      return fit.length > 0 ? { kind: 'any' } : NONE;
    case 'lblc':
    case 'lblcr':
      return chosen(localityBased(service, servers, state, loadOf, destination, now));
    case 'mh': {
      const table = maglevTable(servers);
      const port = service.schedulePort ? clientPort : 0;
      const first = table[hash(readU32(client, 0) + port, KEY_1) % MAGLEV_SIZE];
      if (first && fit.includes(first)) return chosen(first);
      return service.scheduleFallback && fit.length > 0 ? { kind: 'any' } : NONE;
    }
  }
}

/** LVS's load: an active connection weighs 256 inactive ones. */
function cost(load: Load): number {
  return load.active * 256 + load.inactive;
}

const DAY = 86_400_000;

/** Servers that a destination's connections went to, until they carry more than their weight. */
function localityBased(
  { scheduler }: SnapshotService,
  servers: SnapshotServer[],
  state: SchedulingState,
  loadOf: (server: SnapshotServer) => Load,
  destination: Uint8Array,
  now: number,
): SnapshotServer | undefined {
  const burden = (server: SnapshotServer) => cost(loadOf(server)) / server.weight;
  const overburdened = (server: SnapshotServer) =>
    loadOf(server).active > server.weight &&
    servers.some((other) => other.up && loadOf(other).active * 2 < other.weight);
  const fit = servers.filter((server) => usable(server, loadOf(server)));
  state.localities ??= new Map();
  const key = readU32(destination, destination.length - 4);
  let known = state.localities.get(key);
  if (known && now - known.used >= DAY) known = undefined;
  const newest = (slots: number[]) =>
    slots.flatMap((slot) => servers.filter((server) => server.slot === slot));
  let pick: SnapshotServer | undefined;
  if (known) {
    known.used = now;
    known.slots = newest(known.slots).map(({ slot }) => slot);
    const members = newest(known.slots);
    pick =
      scheduler === 'lblc'
        ? members.find(({ up, weight }) => up && weight > 0)
        : lowest(
            members.filter((server) => fit.includes(server)),
            burden,
          );
    if (scheduler === 'lblcr' && members.length > 1 && now - known.changed > DAY) {
      const most = lowest(
        members.filter(({ weight }) => weight > 0),
        (server) => -burden(server),
      );
      if (most) {
        known.slots = known.slots.filter((slot) => slot !== most.slot);
        known.changed = now;
      }
    }
    if (pick && !overburdened(pick)) return pick;
  }
  pick = lowest(fit, burden);
  if (!pick) return undefined;
  const { slot } = pick;
  if (!known || scheduler === 'lblc') {
    state.localities.set(key, { slots: [slot], used: now, changed: now });
  } else if (!known.slots.includes(slot)) {
    known.slots.unshift(slot);
    known.changed = now;
  }
  return pick;
}

function lowest(
  servers: SnapshotServer[],
  value: (server: SnapshotServer) => number,
): SnapshotServer | undefined {
  return servers.reduce<SnapshotServer | undefined>(
    (best, server) => (best === undefined || value(server) < value(best) ? server : best),
    undefined,
  );
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

/**
 * Rounds over the list with a falling bar: a server is picked when its weight reaches the bar. The
 * first round has the lowest bar, so that each server is picked once (observed: 3:1 gives B A A A).
 */
function weightedRoundRobin(
  servers: SnapshotServer[],
  fit: SnapshotServer[],
  state: SchedulingState,
): SnapshotServer | undefined {
  if (fit.length === 0) return undefined;
  const weights = servers.map((server) => server.weight).filter((weight) => weight > 0);
  const step = weights.reduce(gcd, 0);
  const top = Math.max(...weights) - (step - 1);
  const bar = Math.min(state.bar ?? 1, top);
  // Bars are 1 above the multiples of the step, also after a change of weights.
  state.bar = Math.floor((bar - 1) / step) * step + 1;
  let at = servers.findIndex((server) => server.slot === state.last) + 1;
  for (;;) {
    for (; at < servers.length; at++) {
      const server = servers[at] as SnapshotServer;
      if (server.weight >= state.bar && fit.includes(server)) {
        state.last = server.slot;
        return server;
      }
    }
    at = 0;
    state.bar -= step;
    if (state.bar <= 0) state.bar = top;
  }
}

/** 256 buckets dealt out in list order, `weight` at a time. */
function sourceHashTable(servers: SnapshotServer[]): SnapshotServer[] {
  const turn = servers.flatMap((server) =>
    new Array<SnapshotServer>(Math.max(1, server.weight)).fill(server),
  );
  return Array.from({ length: 256 }, (_, index) => turn[index % turn.length] as SnapshotServer);
}

const MAGLEV_SIZE = 4093;
const KEY_1 = 2654435761n;
const KEY_2 = 2654446892n;

/** Each server in turn takes free slots of its own permutation (Maglev, NSDI '16, section 3.4). */
function maglevTable(servers: SnapshotServer[]): SnapshotServer[] {
  const fit = servers.filter((server) => server.weight > 0);
  if (fit.length === 0) return [];
  const step = fit.map((server) => server.weight).reduce(gcd, 0);
  const top = Math.max(...fit.map((server) => server.weight / step));
  const shift = Math.max(0, top.toString(2).length - 6);
  const turns = fit.map((server) => {
    const name = readU32(server.address, 12) + server.port;
    return {
      server,
      slots: Math.max(1, (server.weight / step) >> shift),
      next: hash(name, KEY_1) % MAGLEV_SIZE,
      skip: (hash(name, KEY_2) % (MAGLEV_SIZE - 1)) + 1,
    };
  });
  const table: SnapshotServer[] = [];
  let free = MAGLEV_SIZE;
  for (;;) {
    for (const turn of turns) {
      for (let taken = 0; taken < turn.slots; taken++) {
        while (table[turn.next] !== undefined) turn.next = (turn.next + turn.skip) % MAGLEV_SIZE;
        table[turn.next] = turn.server;
        turn.next = (turn.next + turn.skip) % MAGLEV_SIZE;
        free -= 1;
        if (free === 0) return table;
      }
    }
  }
}

/** SipHash-1-3 of one 32-bit number, the key used twice; its low 32 bits. */
function hash(value: number, key: bigint): number {
  const cut = (n: bigint) => n & 0xffffffffffffffffn;
  const turn = (n: bigint, by: bigint) => cut((n << by) | (n >> (64n - by)));
  let [v0, v1, v2, v3] = [
    key ^ 0x736f6d6570736575n,
    key ^ 0x646f72616e646f6dn,
    key ^ 0x6c7967656e657261n,
    key ^ 0x7465646279746573n,
  ];
  const round = () => {
    v0 = cut(v0 + v1);
    v1 = turn(v1, 13n) ^ v0;
    v0 = turn(v0, 32n);
    v2 = cut(v2 + v3);
    v3 = turn(v3, 16n) ^ v2;
    v0 = cut(v0 + v3);
    v3 = turn(v3, 21n) ^ v0;
    v2 = cut(v2 + v1);
    v1 = turn(v1, 17n) ^ v2;
    v2 = turn(v2, 32n);
  };
  const block = (4n << 56n) | BigInt(value >>> 0);
  v3 ^= block;
  round();
  v0 ^= block;
  v2 ^= 0xffn;
  for (let n = 0; n < 3; n++) round();
  return Number((v0 ^ v1 ^ v2 ^ v3) & 0xffffffffn);
}
