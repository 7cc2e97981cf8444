/** Rates: what a real IPVS was seen to say, and its arithmetic. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Estimator, NO_RATES } from '../../src/stats/rates.js';

const ZERO = { conns: 0, inPkts: 0, outPkts: 0, inBytes: 0, outBytes: 0 };

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

test.run();
