/**
 * Counters by name. Each worker counts in a block of its own; a figure here is the sum over
 * workers, less what a slot's former owner had counted.
 */
import type { CounterGroup, CounterLayout, VerdictKind } from '../native.js';
import type { Slots } from '../slots.js';
import { Memory, type Store } from '../supervisor/memory.js';
import type { Totals } from './totals.js';

/** All workers' words, as they are now: a live view or a fresh copy. */
export type ReadCounters = () => BigUint64Array;

export interface EndCount {
  name: string;
  kind: VerdictKind;
  help: string;
  count: number;
}

/** Named figures; sums beyond 2⁵³ lose their last digits, at 10 GB/s after ten days of bytes. */
export type Figures = Record<string, number>;

export interface ServiceFigures {
  conns: number;
  inPkts: number;
  outPkts: number;
  inBytes: number;
  outBytes: number;
}

export interface ServerFigures extends ServiceFigures {
  /** Now, not since the start: ActiveConn and InActConn of ipvsadm. */
  active: number;
  inactive: number;
}

/** What became of SYNs to a server, where its answers pass here. */
export interface HandshakeFigures {
  answered: number;
  refused: number;
  unanswered: number;
}

interface FiguresOf {
  services: ServiceFigures;
  servers: ServerFigures;
}

const GAUGES = new Set(['active', 'inactive']);
/** 2⁵³: below it sums and differences of numbers are exact. */
const EXACT = Number.MAX_SAFE_INTEGER + 1;
const HIGH = 2 ** 32;

/** Records of a kind, and what theirs stood at when they got their present owners. */
class Group {
  readonly layout: CounterGroup;
  readonly named: readonly (readonly [name: string, word: number])[];
  /** By record and word, NaN where it takes more than a number to say; undefined: all are 0. */
  bases: Float64Array | undefined;

  constructor(layout: CounterGroup) {
    this.layout = layout;
    this.named = layout.names.flatMap((name, word) => (name === '' ? [] : [[name, word] as const]));
  }

  setBase(record: number, base: readonly bigint[] | undefined): void {
    const { stride, count } = this.layout;
    if (base === undefined && this.bases === undefined) return;
    this.bases ??= new Float64Array(count * stride);
    for (let word = 0; word < stride; word++) {
      const exact = BigInt.asIntN(64, base?.[word] ?? 0n);
      const value = Number(exact);
      this.bases[record * stride + word] = Math.abs(value) < EXACT ? value : Number.NaN;
    }
  }
}

export class CounterView {
  readonly layout: CounterLayout;
  readonly #read: ReadCounters;
  readonly #groups: Readonly<Record<'ports' | 'services' | 'servers' | 'handshakes', Group>>;
  /** What a slot's counters stood at when it got its present owner: `${offset}:${slot}`. */
  readonly #bases: Store<bigint[]>;
  #all: BigUint64Array | undefined;
  #halves: Uint32Array = new Uint32Array(0);

  constructor(layout: CounterLayout, read: ReadCounters, memory = new Memory()) {
    this.layout = layout;
    this.#read = read;
    const { ports, services, servers, handshakes } = layout;
    this.#groups = {
      ports: new Group(ports),
      services: new Group(services),
      servers: new Group(servers),
      handshakes: new Group(handshakes),
    };
    this.#bases = memory.of('counters.bases');
    for (const [at, base] of this.#bases.entries()) {
      const [offset, record] = at.split(':').map(Number);
      const groups = Object.values(this.#groups);
      groups.find((group) => group.layout.offset === offset)?.setBase(record as number, base);
    }
  }

  ends(): EndCount[] {
    const { ends, endInfo } = this.layout;
    const sums = this.#record(ends, 0);
    return ends.names.flatMap((name, index) => {
      const info = endInfo[index];
      return name === '' || !info ? [] : [{ name, ...info, count: Number(sums[index]) }];
    });
  }

  extra(): Figures {
    const { extra } = this.layout;
    const sums = this.#record(extra, 0);
    return Object.fromEntries(
      extra.names.flatMap((name, index) => (name === '' ? [] : [[name, Number(sums[index])]])),
    );
  }

  /** One of the extra figures, of each worker. */
  byWorker(name: string): number[] {
    const { workers, words, extra } = this.layout;
    const all = this.#read();
    const at = extra.offset + extra.names.indexOf(name);
    return Array.from({ length: workers }, (_, worker) =>
      Number(Atomics.load(all, worker * words + at)),
    );
  }

  port(index: number): Figures {
    return this.#figures(this.#groups.ports, index);
  }

  service(slot: number): ServiceFigures {
    return this.#figures(this.#groups.services, slot) as unknown as ServiceFigures;
  }

  server(slot: number): ServerFigures {
    return this.#figures(this.#groups.servers, slot) as unknown as ServerFigures;
  }

  handshakes(serverSlot: number): HandshakeFigures {
    return this.#figures(this.#groups.handshakes, serverSlot) as unknown as HandshakeFigures;
  }

  /** One figure of any slot: for who wants that one of very many. */
  reader<Kind extends keyof FiguresOf>(
    kind: Kind,
    name: keyof FiguresOf[Kind] & string,
  ): (slot: number) => number {
    const group = this.#groups[kind];
    const word = group.layout.names.indexOf(name);
    return (slot) => this.#figure(group, slot, word);
  }

  /** The slots among `slots` that a connection of some worker refers to. */
  busyServers(slots: Iterable<number>): Set<number> {
    const active = this.reader('servers', 'active');
    const inactive = this.reader('servers', 'inactive');
    const busy = new Set<number>();
    for (const slot of slots) if (active(slot) + inactive(slot) > 0) busy.add(slot);
    return busy;
  }

  /** From now on these slots count from zero: they have new owners. */
  rebase(taken: { services: number[]; servers: number[] }): void {
    const { services, servers, handshakes } = this.#groups;
    for (const [group, slots] of [
      [services, taken.services],
      [servers, taken.servers],
      [handshakes, taken.servers],
    ] as const) {
      for (const slot of slots) {
        // At the start that is all of them, and they stand at zero.
        if (this.#isZero(group, slot)) continue;
        const sums = this.#record(group.layout, slot);
        this.#setBase(
          group,
          slot,
          sums.map((sum, index) => (GAUGES.has(group.layout.names[index] ?? '') ? 0n : sum)),
        );
      }
    }
  }

  /** Nothing was counted, and nothing is taken off. */
  #isZero({ layout: { offset, stride }, bases }: Group, record: number): boolean {
    const first = record * stride;
    for (let word = 0; word < stride; word++) {
      if (this.#sum(offset + first + word) !== 0 || (bases && bases[first + word] !== 0)) {
        return false;
      }
    }
    return true;
  }

  #setBase(group: Group, record: number, base: bigint[]): void {
    this.#bases.set(`${group.layout.offset}:${record}`, base);
    group.setBase(record, base);
  }

  /** Of the services and servers that live, by their keys: for another process to go on from. */
  totals({ services, servers }: Pick<Slots, 'services' | 'servers'>): Totals {
    const { layout } = this;
    const of = (groups: CounterGroup[], entries: Slots['services']) =>
      Object.fromEntries(
        [...entries].flatMap(([key, { slot, live }]) => {
          if (!live) return [];
          const parts = groups.map((group) => this.#exact(group, slot));
          return [[key, Object.assign({}, ...parts) as Record<string, bigint>]];
        }),
      );
    return {
      services: of([layout.services], services),
      servers: of([layout.servers, layout.handshakes], servers),
    };
  }

  /** What another process's totals() has said is counted as well. */
  goOnFrom(totals: Totals, { services, servers }: Pick<Slots, 'services' | 'servers'>): void {
    const groups = this.#groups;
    const add = (group: Group, slot: number, counted: Record<string, bigint>) => {
      const { names, offset } = group.layout;
      const base = this.#bases.get(`${offset}:${slot}`);
      this.#setBase(
        group,
        slot,
        names.map((name, index) => {
          const more = GAUGES.has(name) ? 0n : (counted[name] ?? 0n);
          return BigInt.asUintN(64, (base?.[index] ?? 0n) - more);
        }),
      );
    };
    for (const [key, counted] of Object.entries(totals.services)) {
      const slot = services.get(key)?.slot;
      if (slot !== undefined) add(groups.services, slot, counted);
    }
    for (const [key, counted] of Object.entries(totals.servers)) {
      const slot = servers.get(key)?.slot;
      if (slot === undefined) continue;
      add(groups.servers, slot, counted);
      add(groups.handshakes, slot, counted);
    }
  }

  #exact(group: CounterGroup, slot: number): Record<string, bigint> {
    const sums = this.#record(group, slot);
    const base = this.#bases.get(`${group.offset}:${slot}`);
    return Object.fromEntries(
      group.names.flatMap((name, index) =>
        name === '' || GAUGES.has(name)
          ? []
          : [[name, BigInt.asUintN(64, (sums[index] ?? 0n) - (base?.[index] ?? 0n))]],
      ),
    );
  }

  #figures(group: Group, record: number): Figures {
    const figures: Figures = {};
    for (const [name, word] of group.named) figures[name] = this.#figure(group, record, word);
    return figures;
  }

  #figure(group: Group, record: number, word: number): number {
    const { offset, stride } = group.layout;
    const at = record * stride + word;
    const sum = this.#sum(offset + at);
    const value = group.bases === undefined ? sum : sum - (group.bases[at] as number);
    return sum < EXACT && value >= 0 ? value : this.#wide(group.layout, record, word);
  }

  /** With all its 64 bits. */
  #wide(group: CounterGroup, record: number, word: number): number {
    const base = this.#bases.get(`${group.offset}:${record}`);
    const sum = this.#record(group, record)[word] ?? 0n;
    return Number(BigInt.asUintN(64, sum - (base?.[word] ?? 0n)));
  }

  /** Of all workers; beyond 2⁵³ no more than nearly. A BigInt for each word would take ten times as long. */
  #sum(at: number): number {
    const { workers, words } = this.layout;
    const halves = this.#words();
    let sum = 0;
    for (let worker = 0; worker < workers; worker++) {
      const low = 2 * (worker * words + at);
      if (low < halves.length) sum += wordAt(halves, low);
    }
    return sum;
  }

  #words(): Uint32Array {
    const all = this.#read();
    if (this.#all !== all) {
      this.#all = all;
      this.#halves = new Uint32Array(all.buffer, all.byteOffset, 2 * all.length);
    }
    return this.#halves;
  }

  #record(group: CounterGroup, record: number): bigint[] {
    const { workers, words } = this.layout;
    const all = this.#read();
    const sums: bigint[] = [];
    for (let word = 0; word < group.stride; word++) {
      let sum = 0n;
      for (let worker = 0; worker < workers; worker++) {
        const at = worker * words + group.offset + record * group.stride + word;
        sum += at < all.length ? Atomics.load(all, at) : 0n;
      }
      sums.push(BigInt.asUintN(64, sum));
    }
    return sums;
  }
}

/** A little-endian word that somebody may be writing to: its halves belong together. */
function wordAt(halves: Uint32Array, low: number): number {
  for (;;) {
    const high = Atomics.load(halves, low + 1);
    const value = high * HIGH + Atomics.load(halves, low);
    if (Atomics.load(halves, low + 1) === high) return value;
  }
}
