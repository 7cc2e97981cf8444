// timeout: 2400
/**
 * Packet tables under the address and undefined-behaviour sanitizers, with every crew of workers that
 * they run with: a part here, all of test/packets by `npm run sanitize`. The build is kept in
 * build/asan.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { addressEnvironment, buildAddon, run } from './build.js';

const PART = [
  ...['fullnat.test', 'fragments.test', 'removal.test', 'enat.test'],
  ...['clients.test', 'calls.test', 'syn-proxy.test'],
];

test('the functional packet tests hold', () => {
  const parts = process.env.SLUICE_SANITIZE_ALL
    ? ['test/packets/']
    : PART.map((one) => `packets/${one}`);
  const environment = addressEnvironment(buildAddon());
  const runner = ['--import', 'tsx', 'test/runner.ts', '--timeout', '600', ...parts];
  const { status, said } = run(process.execPath, runner, environment, 3000);
  assert.is(status, 0, said.slice(-12_000));
  process.stdout.write(said.replace(/^/gm, '    '));
});

test.run();
