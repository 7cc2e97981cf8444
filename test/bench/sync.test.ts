// Run for real, tiny and short: its shape and its accounts, not its times.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { SyncResult } from '../../bench/scenarios/sync.js';

const RUN = fileURLToPath(new URL('../../bench/run.ts', import.meta.url));

test('every connection told is heard, and every one given is adopted', () => {
  const short = ['--runs', '1', '--milliseconds', '5', '--connections', '20000'];
  const args = ['--import', 'tsx', RUN, 'sync', ...short, '--json'];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  assert.is(status, 0, stderr);
  const all = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as SyncResult);
  assert.equal(
    all.map(({ family }) => family),
    [4, 6],
  );
  for (const one of all) {
    assert.is(one.scenario, 'sync');
    assert.is(one.runs, 1);
    assert.is(one.accounted, one.offered);
    for (const ns of [one.sendNs, one.receiveNs, one.tellNs, one.adoptNs]) assert.ok(ns > 0);
    assert.ok(one.connectionsPerSecond > 0);
    assert.ok(one.aloneNs > 0 && one.syncedNs > 0 && one.bulkTurnUs > 0);
    assert.ok(one.bulkTold > 0);
  }
});

test.run();
