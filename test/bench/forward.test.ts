// Cases run for real, tiny and short: their shape and their accounts, not their times.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ForwardResult } from '../../bench/scenarios/forward.js';

const RUN = fileURLToPath(new URL('../../bench/run.ts', import.meta.url));
const SHORT = ['--flows', '500', '--runs', '3', '--milliseconds', '5'];

function bench(...args: string[]) {
  return spawnSync(process.execPath, ['--import', 'tsx', RUN, ...args], { encoding: 'utf8' });
}

function results(stdout: string): ForwardResult[] {
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as ForwardResult);
}

test('--json prints an object and nothing else', () => {
  const { status, stdout, stderr } = bench('forward', '--mode', 'fullnat', '--json', ...SHORT);
  assert.is(status, 0, stderr);
  // Progress is there, elsewhere.
  assert.match(stderr, /forward 1\//);
  for (const result of results(stdout)) {
    assert.equal(Object.keys(result), [
      'scenario',
      'mode',
      'protocol',
      'family',
      'flows',
      'bytes',
      'direction',
      'nsPerPacket',
      'madNs',
      'floorNs',
      'cyclesPerPacket',
      'runs',
      'offered',
      'accounted',
    ]);
    assert.equal(
      [result.scenario, result.mode, result.flows, result.runs],
      ['forward', 'fullnat', 500, 3],
    );
    assert.ok([4, 6].includes(result.family));
    assert.ok(result.offered > 0);
    assert.is(result.accounted, result.offered);
    assert.ok(result.nsPerPacket > 0 && result.floorNs > 0 && result.cyclesPerPacket > 0);
    assert.ok(result.madNs >= 0);
  }
});

// Each of these is void unless every packet leaves as its mode says, with right checksums.
for (const mode of ['nat', 'dr', 'tun', 'enat']) {
  test(`${mode}: every packet of both protocols is accounted for`, () => {
    const { status, stdout, stderr } = bench('--mode', mode, '--bytes', 'imix', '--json', ...SHORT);
    assert.is(status, 0, stderr);
    const found = results(stdout);
    assert.equal([...new Set(found.map(({ protocol }) => protocol))].sort(), ['tcp', 'udp']);
    const families = mode === 'enat' ? [4] : [4, 6];
    assert.equal([...new Set(found.map(({ family }) => family))].sort(), families);
    const directions = mode === 'nat' ? ['mixed', 'reply', 'request'] : ['request'];
    assert.equal([...new Set(found.map(({ direction }) => direction))].sort(), directions);
    for (const { offered, accounted, bytes } of found) {
      assert.is(accounted, offered);
      assert.is(bytes, 'imix');
    }
  });
}

test('--family 6 is IPv6 alone, and never ENAT', () => {
  const narrow = ['--bytes', '64', '--protocol', 'tcp', '--direction', 'request', '--json'];
  const { status, stdout, stderr } = bench('forward', '--family', '6', ...narrow, ...SHORT);
  assert.is(status, 0, stderr);
  const found = results(stdout);
  const modes = [...new Set(found.map(({ mode }) => mode))].sort();
  assert.equal(modes, ['dr', 'fullnat', 'nat', 'tun']);
  for (const { family, offered, accounted } of found) {
    assert.is(family, 6);
    assert.is(accounted, offered);
  }
});

test('wrong arguments: status 2, nothing on stdout', () => {
  const { status, stdout, stderr } = bench('--mode', 'bridge', '--json');
  assert.is(status, 2);
  assert.is(stdout, '');
  assert.match(stderr, /ERR_BENCH_ARGUMENT/);
});

test.run();
