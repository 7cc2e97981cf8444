// serial
// timeout: 900
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { skip } from '../support/skip.js';

function setup(args: string[] = [], root = '.') {
  const start = performance.now();
  const argv = [join(root, 'src/setup/setup.mjs'), ...args];
  const result = spawnSync(process.execPath, argv, { encoding: 'utf8' });
  return { ...result, milliseconds: performance.now() - start };
}

test('with nothing to do the set-up is silent and takes under two seconds', () => {
  assert.is(setup().status, 0);
  const again = setup();
  assert.is(again.status, 0);
  assert.is(again.stdout + again.stderr, '');
  assert.ok(again.milliseconds < 2000, `it took ${again.milliseconds} ms`);
});

test('an unknown step is refused with its code', () => {
  const { status, stderr } = setup(['--only=packages,nonsense']);
  assert.is(status, 1);
  assert.is(stderr, 'setup: ERR_SETUP_STEP: there is no step "nonsense"\n');
});

/** A copy of the set-up whose PATH holds only what the test puts there. */
function elsewhere(programs: Record<string, string>) {
  const root = mkdtempSync(join(tmpdir(), 'sluice-setup-'));
  cpSync('src/setup', join(root, 'src/setup'), { recursive: true });
  const bin = join(root, 'bin');
  mkdirSync(bin);
  for (const [name, body] of Object.entries(programs)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  }
  for (const path of [root, join(root, 'build')]) {
    mkdirSync(path, { recursive: true });
    chmodSync(path, 0o777);
  }
  return { root, bin };
}

if (process.getuid?.() !== 0) {
  skip('packages missing, no root, no sudo', 'only root can become another user');
} else {
  test('packages missing, no root, no sudo: says what to install', () => {
    const { root, bin } = elsewhere({ 'dpkg-query': 'echo "g++ installed"' });
    const { status, stderr } = spawnSync(
      process.execPath,
      [join(root, 'src/setup/setup.mjs'), '--only=packages'],
      { encoding: 'utf8', env: { PATH: bin }, uid: 65534, gid: 65534 },
    );
    rmSync(root, { recursive: true });
    assert.is(status, 1);
    assert.match(stderr, /^setup: ERR_SETUP_NEEDS_ROOT: /);
    assert.match(stderr, /apt-get install .*libdpdk-dev/);
    assert.not.match(stderr, / g\+\+/);
  });
}

test('not on Debian: says so', () => {
  const { root, bin } = elsewhere({});
  const { status, stderr } = spawnSync(
    process.execPath,
    [join(root, 'src/setup/setup.mjs'), '--only=packages'],
    { encoding: 'utf8', env: { PATH: bin } },
  );
  rmSync(root, { recursive: true });
  assert.is(status, 1);
  assert.match(stderr, /^setup: ERR_SETUP_NOT_DEBIAN: /);
});

test('the lock of a set-up that died is taken over', () => {
  const { root } = elsewhere({});
  // A process id that nothing has: above the kernel's limit.
  writeFileSync(join(root, 'build/.setup-lock'), '4194305');
  const { status, stderr } = setup(['--only=packages'], root);
  rmSync(root, { recursive: true });
  assert.is(stderr, '');
  assert.is(status, 0);
});

test.run();
