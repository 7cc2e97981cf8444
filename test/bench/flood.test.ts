// Cases run for real, tiny and short: their shape and their accounts, not their times.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { FloodResult } from '../../bench/scenarios/flood.js';

const RUN = fileURLToPath(new URL('../../bench/run.ts', import.meta.url));

function bench(...args: string[]) {
  const all = ['--import', 'tsx', RUN, 'flood', '--runs', '1', '--milliseconds', '20', ...args];
  return spawnSync(process.execPath, all, { encoding: 'utf8' });
}

for (const [mode, protocol, factor] of [
  ['fullnat', 'tcp', 20],
  ['nat', 'udp', 5],
  ['dr', 'tcp', 1],
  ['tun', 'udp', 20],
] as const) {
  test(`${mode} ${protocol} ${factor} ×: an object, and every packet is accounted for`, () => {
    const { status, stdout, stderr } = bench(
      ...['--mode', mode, '--protocol', protocol, '--factor', String(factor), '--json'],
    );
    assert.is(status, 0, stderr);
    const result = JSON.parse(stdout) as FloodResult;
    const kind = protocol === 'tcp' ? 'syn' : 'udp';
    assert.equal(
      [result.scenario, result.mode, result.protocol, result.kind, result.factor, result.runs],
      ['flood', mode, protocol, kind, factor, 1],
    );
    assert.is(result.accounted, result.offered);
    assert.ok(result.offered > 0 && result.nsPerPacket > 0 && result.floorNs > 0);
    for (const share of [result.goodput, result.establishedGoodput, result.newGoodput]) {
      assert.ok(share >= 0 && share <= 1, `${share}`);
    }
    assert.ok(result.p50Ns <= result.p99Ns && result.p99Ns <= result.maxNs);
    assert.ok(result.floodPps > result.legitimatePps * factor * 0.8);
  });
}

test('a factor that is no number: status 2', () => {
  const { status, stdout, stderr } = bench('--factor', 'many');
  assert.is(status, 2);
  assert.is(stdout, '');
  assert.match(stderr, /ERR_BENCH_ARGUMENT/);
});

test.run();
