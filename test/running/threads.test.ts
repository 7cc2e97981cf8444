/** What threads have for themselves. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { plainEnvironment } from '../../src/threads.js';

test('the environment becomes plain data, and says what it said', () => {
  const real = process.env;
  const before = { ...real };
  try {
    plainEnvironment();
    assert.equal(process.env, before);
    assert.is(Object.getPrototypeOf(process.env), Object.prototype);
    // The process's own makes text of whatever is put into it.
    Object.assign(process.env, { SLUICE_COUNT: 1 });
    assert.type(process.env.SLUICE_COUNT, 'number');
    assert.is(real.SLUICE_COUNT, undefined);
  } finally {
    process.env = real;
  }
});

test.run();
