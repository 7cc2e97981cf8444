/** Rates: what a real IPVS was seen to say, and its arithmetic. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ServiceFigures } from '../../src/stats/counters.js';
import { Estimators, NO_RATES, RateView } from '../../src/stats/rates.js';

const ZERO = { conns: 0, inPkts: 0, outPkts: 0, inBytes: 0, outBytes: 0 };

/** Figures by slot, as somebody sets them. */
function readers(figures: readonly ServiceFigures[]) {
  const of = (name: keyof ServiceFigures) => (slot: number) => (figures[slot] ?? ZERO)[name];
  return {
    conns: of('conns'),
    inPkts: of('inPkts'),
    outPkts: of('outPkts'),
    inBytes: of('inBytes'),
    outBytes: of('outBytes'),
  };
}

/** Of one slot alone. */
class Estimator {
  readonly #figures: ServiceFigures[];
  readonly #all: Estimators;

  constructor(start: ServiceFigures) {
    this.#figures = [start];
    this.#all = new Estimators(readers(this.#figures));
    this.#all.follow([0]);
  }

  sample(now: ServiceFigures): void {
    this.#figures[0] = now;
    this.#all.sample(0);
  }

  get rates() {
    return this.#all.rates(0);
  }
}

test('seen on Linux 6.1: 7 packets of 280 bytes in, one of 40 out, 3 connections, one sample', () => {
  const estimator = new Estimator(ZERO);
  estimator.sample({ conns: 3, inPkts: 7, outPkts: 1, inBytes: 280, outBytes: 40 });
  assert.equal(estimator.rates, { cps: 0, inPps: 1, outPps: 0, inBps: 35, outBps: 5 });
});

test('a steady load is told rightly after some samples, and dies away after it', () => {
  const estimator = new Estimator(ZERO);
  for (let sample = 1; sample <= 100; sample++) {
    estimator.sample({
      conns: 200 * sample,
      inPkts: 2_000 * sample,
      outPkts: 1_000 * sample,
      inBytes: 3e9 * sample,
      outBytes: 0,
    });
  }
  assert.equal(estimator.rates, { cps: 100, inPps: 1000, outPps: 500, inBps: 1.5e9, outBps: 0 });
  const still = { conns: 20_000, inPkts: 200_000, outPkts: 100_000, inBytes: 3e11, outBytes: 0 };
  for (let sample = 0; sample < 100; sample++) estimator.sample(still);
  assert.equal(estimator.rates, NO_RATES);
});

test('what was counted before is no rate, nor is a counter that was set back', () => {
  const estimator = new Estimator({ ...ZERO, inBytes: 1e12 });
  estimator.sample({ ...ZERO, inBytes: 1e12 });
  assert.equal(estimator.rates, NO_RATES);
  estimator.sample(ZERO);
  assert.equal(estimator.rates, NO_RATES);
});

test('the same as in 64-bit integers with shifts', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(2_000_000_000), { minLength: 1, maxLength: 60 }), (deltas) => {
      const estimator = new Estimator(ZERO);
      let scaled = 0n;
      let bytes = 0;
      for (const delta of deltas) {
        bytes += delta;
        estimator.sample({ ...ZERO, inBytes: bytes });
        scaled += ((BigInt(delta) << 4n) - scaled) >> 2n;
        assert.is(estimator.rates.inBps, Number((scaled + 0xfn) >> 5n));
      }
    }),
  );
});

test('each slot has its own; who stays keeps them, who comes or returns starts at nothing', async () => {
  const figures = [ZERO, ZERO, ZERO].map((one) => ({ ...one }));
  const all = readers(figures);
  const view = new RateView({ reader: (_, name) => all[name as keyof ServiceFigures] });
  const cps = () => [0, 1, 2].map((slot) => view.server(slot).cps);
  const count = async (by: number) => {
    for (const one of figures) one.conns += by;
    await view.sample();
  };
  view.follow({ services: [], servers: [2, 0] });
  await count(8_000);
  assert.equal(cps(), [1_000, 0, 1_000]);
  view.follow({ services: [1], servers: [1, 2] });
  assert.equal(cps(), [0, 0, 1_000]);
  await count(0);
  assert.equal(cps(), [0, 0, 750]);
  view.follow({ services: [1], servers: [0, 1, 2] });
  await count(8_000);
  assert.equal(cps(), [1_000, 1_000, 1_562]);
  assert.equal(view.service(1).cps, 1_000);
  view.restart({ services: [], servers: [1] });
  assert.equal(cps(), [1_000, 0, 1_562]);
  await count(0);
  assert.equal(cps(), [750, 0, 1_172]);
});

test.run();
