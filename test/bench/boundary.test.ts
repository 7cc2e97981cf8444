// Every case of the boundary scenario for real, for a moment: it reads what is there.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { boundary, run } from '../../bench/scenarios/boundary.js';

for (const one of boundary.cases({}, false)) {
  test(boundary.describe(one), async () => {
    const { result } = await run(one, { runs: 2, milliseconds: 1 });
    assert.equal(Object.keys(result), [
      'scenario',
      'what',
      'api',
      'bytes',
      'nsPerOp',
      'madNs',
      'runs',
    ]);
    assert.equal([result.what, result.api, result.bytes], [one.what, one.api, one.bytes]);
    assert.ok(result.nsPerOp > 0);
  });
}

test.run();
