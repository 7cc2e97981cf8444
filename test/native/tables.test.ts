// Local ports at any fill, the timing wheel, a connection table that is full: properties against
// simple models, in native/test/tables.cc.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const PROGRAM = fileURLToPath(new URL('../../build/Release/sluice_test_tables', import.meta.url));

for (const seed of ['1', String(Date.now())]) {
  test(`seed ${seed}`, () => {
    const { status, stderr, error } = spawnSync(PROGRAM, [seed], { encoding: 'utf8' });
    assert.is(error, undefined);
    assert.is(status, 0, stderr);
  });
}

test.run();
