// timeout: 120
// Cases run for real, tiny and short: their shape and that checks succeed or not as they should.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ChecksResult } from '../../bench/scenarios/checks.js';
import { skip } from '../support/skip.js';

const RUN = fileURLToPath(new URL('../../bench/run.ts', import.meta.url));

if (process.getuid?.() !== 0) {
  skip('checks', 'network namespaces need root');
} else {
  test('an object a case: the prober flat out, and on time with and without silent servers', () => {
    const short = ['--runs', '1', '--milliseconds', '300', '--json'];
    const narrow = ['checks', '--protocol', 'tcp', '--contestant', 'native'];
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['--import', 'tsx', RUN, ...narrow, ...short],
      { encoding: 'utf8' },
    );
    assert.is(status, 0, stderr);
    const results = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as ChecksResult);
    assert.equal(
      results.map(({ scenario, load, silent, runs }) => [scenario, load, silent, runs]),
      [
        ['checks', 'flat out', 0, 1],
        ['checks', '10 000 / s', 0, 1],
        ['checks', '10 000 / s', 20, 1],
      ],
    );
    for (const one of results) {
      assert.ok(one.checks > 0 && one.cpuUs > 0 && one.perCore > 0, JSON.stringify(one));
      assert.is(one.late === null, one.load === 'flat out');
    }
  });
}

test.run();
