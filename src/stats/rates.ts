/**
 * Rates as LVS computes them: counters are sampled every 2 s, and each sample moves the average a
 * quarter of the way. In whole numbers with Linux's scales (2¹⁰ for connections and packets, 2⁵
 * for bytes), so that the last digit is IPVS's, too.
 */
import { pacer } from '../slices.js';
import type { CounterView } from './counters.js';

export const SAMPLE_MS = 2_000;

/** A second. */
export interface Rates {
  cps: number;
  inPps: number;
  outPps: number;
  inBps: number;
  outBps: number;
}

export const NO_RATES: Rates = { cps: 0, inPps: 0, outPps: 0, inBps: 0, outBps: 0 };

/** What a rate of 1 is as a scaled number: so many bits are its fraction's. */
const COUNT_UNIT = 2 ** 10;
const BYTE_UNIT = 2 ** 5;

/** In the order of an estimator's averages. */
const FIGURES = ['conns', 'inPkts', 'outPkts', 'inBytes', 'outBytes'] as const;
const UNITS = [COUNT_UNIT, COUNT_UNIT, COUNT_UNIT, BYTE_UNIT, BYTE_UNIT];
const COUNT = FIGURES.length;

/** Slots that are sampled before it is asked whether others wait. */
const SOME = 256;

type Reader = (slot: number) => number;

/**
 * Rates of very many services or servers, by slot. Two columns of numbers: a hundred thousand of
 * them are sampled in some milliseconds, and are nothing to collect for the garbage collector.
 */
export class Estimators {
  readonly #readers: readonly Reader[];
  /** Of the last sample, and the average with its fraction's bits; COUNT of each for a slot. */
  #last = new Float64Array(0);
  #scaled = new Float64Array(0);
  #followed = new Uint8Array(0);
  #slots: readonly number[] = [];

  constructor(readers: Record<(typeof FIGURES)[number], Reader>) {
    this.#readers = FIGURES.map((name) => readers[name]);
  }

  get slots(): readonly number[] {
    return this.#slots;
  }

  /** From now on these alone; what a new one has counted so far is no rate. */
  follow(slots: readonly number[]): void {
    const most = slots.reduce((most, slot) => Math.max(most, slot + 1), 0);
    const before = this.#followed;
    if (most * COUNT > this.#last.length) {
      this.#last = grown(this.#last, most * COUNT);
      this.#scaled = grown(this.#scaled, most * COUNT);
    }
    this.#followed = new Uint8Array(Math.max(most, before.length));
    this.#slots = slots;
    for (const slot of slots) {
      this.#followed[slot] = 1;
      if (!before[slot]) this.restart(slot);
    }
  }

  /** What was counted before does not count. */
  restart(slot: number): void {
    if (!this.#followed[slot]) return;
    for (let figure = 0; figure < COUNT; figure++) {
      this.#last[slot * COUNT + figure] = (this.#readers[figure] as Reader)(slot);
      this.#scaled[slot * COUNT + figure] = 0;
    }
  }

  sample(slot: number): void {
    for (let figure = 0; figure < COUNT; figure++) {
      const at = slot * COUNT + figure;
      const now = (this.#readers[figure] as Reader)(slot);
      // Over two seconds, hence half; a counter that was set back counts from there.
      const rate = (Math.max(0, now - (this.#last[at] as number)) * (UNITS[figure] as number)) / 2;
      const scaled = this.#scaled[at] as number;
      this.#scaled[at] = scaled + Math.floor((rate - scaled) / 4);
      this.#last[at] = now;
    }
  }

  rates(slot: number): Rates {
    if (!this.#followed[slot]) return NO_RATES;
    return {
      cps: this.#value(slot, 0),
      inPps: this.#value(slot, 1),
      outPps: this.#value(slot, 2),
      inBps: this.#value(slot, 3),
      outBps: this.#value(slot, 4),
    };
  }

  /** Rounded, halves down. */
  #value(slot: number, figure: number): number {
    const unit = UNITS[figure] as number;
    return Math.floor(((this.#scaled[slot * COUNT + figure] as number) + unit / 2 - 1) / unit);
  }
}

function grown(numbers: Float64Array, length: number): Float64Array<ArrayBuffer> {
  const more = new Float64Array(length);
  more.set(numbers);
  return more;
}

export interface SlotLists {
  services: readonly number[];
  servers: readonly number[];
}

/** Estimators of all that lives now. */
export class RateView {
  readonly #services: Estimators;
  readonly #servers: Estimators;
  #sampling = false;

  constructor(counters: Pick<CounterView, 'reader'>) {
    const of = (kind: 'services' | 'servers') =>
      new Estimators({
        conns: counters.reader(kind, 'conns'),
        inPkts: counters.reader(kind, 'inPkts'),
        outPkts: counters.reader(kind, 'outPkts'),
        inBytes: counters.reader(kind, 'inBytes'),
        outBytes: counters.reader(kind, 'outBytes'),
      });
    this.#services = of('services');
    this.#servers = of('servers');
  }

  /** From now on the rates of these slots are told; what they have counted so far is no rate. */
  follow({ services, servers }: SlotLists): void {
    this.#services.follow(services);
    this.#servers.follow(servers);
  }

  /** To be called every SAMPLE_MS; one that is still under way is not overtaken. */
  async sample(): Promise<void> {
    if (this.#sampling) return;
    this.#sampling = true;
    try {
      await sampled(this.#services);
      await sampled(this.#servers);
    } finally {
      this.#sampling = false;
    }
  }

  /** These start at zero: their counters do, or they have new owners. */
  restart({ services, servers }: SlotLists): void {
    for (const slot of services) this.#services.restart(slot);
    for (const slot of servers) this.#servers.restart(slot);
  }

  service(slot: number): Rates {
    return this.#services.rates(slot);
  }

  server(slot: number): Rates {
    return this.#servers.rates(slot);
  }
}

async function sampled(estimators: Estimators): Promise<void> {
  const rest = pacer();
  const { slots } = estimators;
  for (let at = 0; at < slots.length; at++) {
    estimators.sample(slots[at] as number);
    const pause = at % SOME === 0 ? rest() : undefined;
    if (pause) await pause;
  }
}
