/**
 * Counters by name. Each worker counts in a block of its own; a figure here is the sum over
 * workers, less what a slot's former owner had counted.
 */
import type { CounterGroup, CounterLayout, VerdictKind } from '../native.js';
import type { Slots } from '../slots.js';
import { Memory, type Store } from '../supervisor/memory.js';
import type { Totals } from '../upgrade/protocol.js';

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

const GAUGES = new Set(['active', 'inactive']);

export class CounterView {
  readonly layout: CounterLayout;
  readonly #read: ReadCounters;
  /** What a slot's counters stood at when it got its present owner: `${offset}:${slot}`. */
  readonly #bases: Store<bigint[]>;

  constructor(layout: CounterLayout, read: ReadCounters, memory = new Memory()) {
    this.layout = layout;
    this.#read = read;
    this.#bases = memory.of('counters.bases');
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
    return this.#figures(this.layout.extra, 0);
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
    return this.#figures(this.layout.ports, index);
  }

  service(slot: number): ServiceFigures {
    return this.#figures(this.layout.services, slot) as unknown as ServiceFigures;
  }

  server(slot: number): ServerFigures {
    return this.#figures(this.layout.servers, slot) as unknown as ServerFigures;
  }

  handshakes(serverSlot: number): HandshakeFigures {
    return this.#figures(this.layout.handshakes, serverSlot) as unknown as HandshakeFigures;
  }

  /** The slots among `slots` that a connection of some worker refers to. */
  busyServers(slots: Iterable<number>): Set<number> {
    const busy = new Set<number>();
    for (const slot of slots) {
      const { active, inactive } = this.server(slot);
      if (active + inactive > 0) busy.add(slot);
    }
    return busy;
  }

  /** From now on these slots count from zero: they have new owners. */
  rebase(taken: { services: number[]; servers: number[] }): void {
    const { services, servers, handshakes } = this.layout;
    for (const [group, slots] of [
      [services, taken.services],
      [servers, taken.servers],
      [handshakes, taken.servers],
    ] as const) {
      for (const slot of slots) {
        const sums = this.#record(group, slot);
        this.#bases.set(
          `${group.offset}:${slot}`,
          sums.map((sum, index) => (GAUGES.has(group.names[index] ?? '') ? 0n : sum)),
        );
      }
    }
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
    const { layout } = this;
    const add = (group: CounterGroup, slot: number, counted: Record<string, bigint>) => {
      const at = `${group.offset}:${slot}`;
      const base = this.#bases.get(at);
      this.#bases.set(
        at,
        group.names.map((name, index) => {
          const more = GAUGES.has(name) ? 0n : (counted[name] ?? 0n);
          return BigInt.asUintN(64, (base?.[index] ?? 0n) - more);
        }),
      );
    };
    for (const [key, counted] of Object.entries(totals.services)) {
      const slot = services.get(key)?.slot;
      if (slot !== undefined) add(layout.services, slot, counted);
    }
    for (const [key, counted] of Object.entries(totals.servers)) {
      const slot = servers.get(key)?.slot;
      if (slot === undefined) continue;
      add(layout.servers, slot, counted);
      add(layout.handshakes, slot, counted);
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

  #figures(group: CounterGroup, record: number): Figures {
    const sums = this.#record(group, record);
    const base = this.#bases.get(`${group.offset}:${record}`);
    const figures: Figures = {};
    group.names.forEach((name, index) => {
      if (name === '') return;
      figures[name] = Number(BigInt.asUintN(64, (sums[index] ?? 0n) - (base?.[index] ?? 0n)));
    });
    return figures;
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
