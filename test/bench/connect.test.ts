// Cases of connect and scale run for real, tiny and short: shape and accounts, not times.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ConnectResult } from '../../bench/scenarios/connect.js';
import type { ScaleResult } from '../../bench/scenarios/scale.js';

const RUN = fileURLToPath(new URL('../../bench/run.ts', import.meta.url));
const SHORT = ['--runs', '3', '--milliseconds', '5', '--json'];

function bench<Result>(...args: string[]): Result[] {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', RUN, ...args, ...SHORT],
    { encoding: 'utf8' },
  );
  assert.is(status, 0, stderr);
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Result);
}

// Each is void unless every packet leaves as its mode says and every connection is made once; live
// connections are those made and not expired.
test('connect: every mode and protocol accounts for its packets and connections', () => {
  const results = bench<ConnectResult>('connect', '--connections', '5000');
  assert.is(results.length, 10);
  for (const result of results) {
    assert.equal(Object.keys(result), [
      'scenario',
      'mode',
      'protocol',
      'family',
      'nsPerConnection',
      'madNs',
      'floorNs',
      'packetsPerConnection',
      'connections',
      'created',
      'expired',
      'runs',
      'offered',
      'accounted',
    ]);
    const { protocol, mode, packetsPerConnection } = result;
    const bothWays = mode === 'nat' || mode === 'fullnat';
    assert.is(packetsPerConnection, protocol === 'udp' ? 1 : bothWays ? 8 : 5);
    assert.is(result.accounted, result.offered);
    assert.ok(result.created > 0 && result.expired > 0);
    assert.ok(result.connections >= 4900 && result.connections < 20_000);
    assert.ok(result.nsPerConnection > 0 && result.floorNs > 0 && result.madNs >= 0);
  }
});

test('scale: a connection takes no more memory than its record, its tuples and its port', () => {
  const [result, ...more] = bench<ScaleResult>('scale', '--connections', '2000000');
  assert.is(more.length, 0);
  assert.equal(Object.keys(result!), [
    'scenario',
    'mode',
    'protocol',
    'family',
    'bytesPerConnection',
    'connections',
    'wanted',
    'nsPerPacket',
    'madNs',
    'floorNs',
    'fillSeconds',
    'availableMiB',
    'runs',
    'offered',
    'accounted',
  ]);
  assert.equal([result!.connections, result!.wanted], [2_000_000, 2_000_000]);
  assert.is(result!.accounted, result!.offered);
  assert.ok(result!.bytesPerConnection > 64 && result!.bytesPerConnection < 128);
});

test.run();
