/**
 * Rates as LVS computes them: counters are sampled every 2 s, and each sample moves the average a
 * quarter of the way. In whole numbers with Linux's scales (2¹⁰ for connections and packets, 2⁵
 * for bytes), so that the last digit is IPVS's, too.
 */
import { pacer } from '../slices.js';
import type { CounterView, ServiceFigures } from './counters.js';

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

/** Bits of a rate's fraction. */
const COUNT_BITS = 10;
const BYTE_BITS = 5;

class Average {
  readonly #bits: number;
  #last: number;
  #scaled = 0;

  constructor(bits: number, start: number) {
    this.#bits = bits;
    this.#last = start;
  }

  sample(now: number): void {
    // Over two seconds, hence one bit less; a counter that was set back counts from there.
    const rate = Math.max(0, now - this.#last) * 2 ** (this.#bits - 1);
    this.#scaled += Math.floor((rate - this.#scaled) / 4);
    this.#last = now;
  }

  /** Rounded, halves down. */
  get value(): number {
    const unit = 2 ** this.#bits;
    return Math.floor((this.#scaled + unit / 2 - 1) / unit);
  }
}

/** Rates of one service or server. */
export class Estimator {
  readonly #averages: Record<keyof Rates, Average>;

  /** What was counted before does not count. */
  constructor(start: ServiceFigures) {
    this.#averages = {
      cps: new Average(COUNT_BITS, start.conns),
      inPps: new Average(COUNT_BITS, start.inPkts),
      outPps: new Average(COUNT_BITS, start.outPkts),
      inBps: new Average(BYTE_BITS, start.inBytes),
      outBps: new Average(BYTE_BITS, start.outBytes),
    };
  }

  sample(now: ServiceFigures): void {
    this.#averages.cps.sample(now.conns);
    this.#averages.inPps.sample(now.inPkts);
    this.#averages.outPps.sample(now.outPkts);
    this.#averages.inBps.sample(now.inBytes);
    this.#averages.outBps.sample(now.outBytes);
  }

  get rates(): Rates {
    const { cps, inPps, outPps, inBps, outBps } = this.#averages;
    return {
      cps: cps.value,
      inPps: inPps.value,
      outPps: outPps.value,
      inBps: inBps.value,
      outBps: outBps.value,
    };
  }
}

export interface SlotLists {
  services: readonly number[];
  servers: readonly number[];
}

/** Estimators of all that lives now. */
export class RateView {
  readonly #counters: CounterView;
  #services = new Map<number, Estimator>();
  #servers = new Map<number, Estimator>();
  #sampling = false;

  constructor(counters: CounterView) {
    this.#counters = counters;
  }

  /** From now on the rates of these slots are told; what they have counted so far is no rate. */
  follow({ services, servers }: SlotLists): void {
    this.#services = followed(this.#services, services, this.#service);
    this.#servers = followed(this.#servers, servers, this.#server);
  }

  /** To be called every SAMPLE_MS; one that is still under way is not overtaken. */
  async sample(): Promise<void> {
    if (this.#sampling) return;
    this.#sampling = true;
    try {
      await sampled(this.#services, this.#service);
      await sampled(this.#servers, this.#server);
    } finally {
      this.#sampling = false;
    }
  }

  /** These start at zero: their counters do, or they have new owners. */
  restart({ services, servers }: SlotLists): void {
    for (const slot of services) this.#services.set(slot, new Estimator(this.#service(slot)));
    for (const slot of servers) this.#servers.set(slot, new Estimator(this.#server(slot)));
  }

  service(slot: number): Rates {
    return this.#services.get(slot)?.rates ?? NO_RATES;
  }

  server(slot: number): Rates {
    return this.#servers.get(slot)?.rates ?? NO_RATES;
  }

  readonly #service = (slot: number): ServiceFigures => this.#counters.service(slot);
  readonly #server = (slot: number): ServiceFigures => this.#counters.server(slot);
}

async function sampled(
  estimators: ReadonlyMap<number, Estimator>,
  read: (slot: number) => ServiceFigures,
): Promise<void> {
  const rest = pacer();
  for (const [slot, estimator] of estimators) {
    estimator.sample(read(slot));
    const pause = rest();
    if (pause) await pause;
  }
}

function followed(
  before: ReadonlyMap<number, Estimator>,
  slots: readonly number[],
  read: (slot: number) => ServiceFigures,
): Map<number, Estimator> {
  return new Map(
    slots.map((slot): [number, Estimator] => [slot, before.get(slot) ?? new Estimator(read(slot))]),
  );
}
