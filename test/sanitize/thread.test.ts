// timeout: 2400
/**
 * The live engine with a plain main under the thread sanitizer: workers that forward and hand off,
 * the slow path, and a main thread that publishes, lists and counts. The build is kept in build/tsan;
 * SLUICE_STRESS_SECONDS makes it run longer.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { buildStress, run } from './build.js';

const SECONDS = process.env.SLUICE_STRESS_SECONDS ?? '4';

/** Workers, and whether the NICs do as they were told. */
const CREWS = [['1'], ['2'], ['4'], ['4', 'other']];

for (const [workers, ...nic] of CREWS) {
  test(`${workers} workers${nic.length > 0 ? ', NICs that disagree' : ''}: no data race`, () => {
    const options = 'exitcode=66 history_size=7 suppressions=native/stress/tsan.supp';
    // The sanitizer wants the address space as it knows it.
    const stress = ['-R', buildStress(), SECONDS, workers as string, ...nic];
    const { status, said } = run('setarch', stress, { TSAN_OPTIONS: options });
    assert.is(status, 0, said.slice(0, 12_000));
  });
}

test.run();
