// Cases run for real, tiny and short: their shape and their accounts, not their times.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { LatencyResult } from '../../bench/scenarios/latency.js';

const RUN = fileURLToPath(new URL('../../bench/run.ts', import.meta.url));

function bench(...args: string[]) {
  const all = ['--import', 'tsx', RUN, 'latency', '--runs', '1', '--milliseconds', '30', ...args];
  return spawnSync(process.execPath, all, { encoding: 'utf8' });
}

test('an object a case: quantiles in order, packets accounted for', () => {
  const { status, stdout, stderr } = bench('--mode', 'dr', '--load', '10,sparse', '--json');
  assert.is(status, 0, stderr);
  const results = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as LatencyResult);
  assert.equal(
    results.map(({ scenario, mode, idle, runs }) => [scenario, mode, idle, runs]),
    [0, 50, 0, 50, 500].map((idle) => ['latency', 'dr', idle, 1]),
  );
  for (const one of results) {
    assert.is(one.accounted, one.offered);
    assert.ok(one.p50Ns! > 0);
    assert.ok(one.p50Ns! <= one.p99Ns! && one.p99Ns! <= one.p999Ns! && one.p999Ns! <= one.maxNs!);
    assert.ok(one.cpuShare > 0 && one.cpuShare <= 1);
    assert.is(one.floorP50Ns === null, one.idle !== 0);
  }
});

test('silence: no latency; a worker that sleeps leaves the core alone', () => {
  const { status, stdout, stderr } = bench('--load', '0', '--json');
  assert.is(status, 0, stderr);
  const [polls, , sleeps] = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as LatencyResult);
  assert.equal([polls?.p50Ns, polls?.pps, sleeps?.maxNs], [null, 0, null]);
  assert.ok((sleeps?.cpuShare ?? 1) < (polls?.cpuShare ?? 0));
});

test('a load that is none: status 2', () => {
  const { status, stdout, stderr } = bench('--load', 'heavy');
  assert.is(status, 2);
  assert.is(stdout, '');
  assert.match(stderr, /ERR_BENCH_ARGUMENT/);
});

test.run();
