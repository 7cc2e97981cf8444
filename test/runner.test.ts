import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

/** Runs the runner over the fixtures that match, as `npm test -- FILTER` would. */
function run(...filters: string[]) {
  const argv = ['--import', 'tsx', 'test/runner.ts', '--root', 'test/fixtures/runner', ...filters];
  const directory = mkdtempSync(join(tmpdir(), 'sluice-runner-'));
  const env = { ...process.env, UNSTEADY_MARK: join(directory, 'mark') };
  const result = spawnSync(process.execPath, argv, { encoding: 'utf8', timeout: 60_000, env });
  rmSync(directory, { recursive: true });
  const lines = result.stdout.trimEnd().split('\n');
  return { status: result.status, last: lines.at(-1), stdout: result.stdout };
}

test('passing tests are counted and the status is 0', () => {
  const { status, last } = run('passing');
  assert.is(last, '2 passed, 0 failed, 0 skipped');
  assert.is(status, 0);
});

test('a failing test fails the run, and its output is shown in full', () => {
  const { status, last, stdout } = run('failing');
  assert.is(last, '1 passed, 1 failed, 0 skipped');
  assert.is(status, 1);
  assert.match(stdout, /breaks on purpose/);
  assert.match(stdout, /failed {3}.*failing\.test\.ts: 1 failed/);
});

test('a file that forgets test.run() is a failure', () => {
  const { status, last, stdout } = run('norun');
  assert.is(last, '0 passed, 1 failed, 0 skipped');
  assert.is(status, 1);
  assert.match(stdout, /printed no totals/);
});

test('a file without a test is a failure', () => {
  const { status, stdout } = run('empty');
  assert.is(status, 1);
  assert.match(stdout, /ran no test/);
});

test('a file that dies of a signal is a failure', () => {
  const { status, last, stdout } = run('crashing');
  assert.is(last, '0 passed, 1 failed, 0 skipped');
  assert.is(status, 1);
  assert.match(stdout, /died of SIGSEGV/);
});

test('a file that hangs is stopped and is a failure', () => {
  const { status, stdout } = run('hanging');
  assert.is(status, 1);
  assert.match(stdout, /timed out after 2 s/);
});

test('good totals do not hide a bad exit status', () => {
  const { status, last, stdout } = run('lateexit');
  assert.is(last, '1 passed, 1 failed, 0 skipped');
  assert.is(status, 1);
  assert.match(stdout, /exit status 3/);
});

test('a skip is counted and listed with its reason', () => {
  const { status, last, stdout } = run('skipping');
  assert.is(last, '1 passed, 0 failed, 1 skipped');
  assert.is(status, 0);
  assert.match(stdout, /skipped {2}.*needs a second moon: this planet has one/);
});

test('a lab that failed is run again, alone, and listed with what it said at first', () => {
  const { status, last, stdout } = run('unsteady');
  assert.is(last, '1 passed, 0 failed, 0 skipped');
  assert.is(status, 0);
  assert.match(stdout, /FAIL {2}.*unsteady\.test\.ts/);
  assert.match(stdout, /there was no CPU/);
  assert.match(stdout, /unsteady .*unsteady\.test\.ts: 1 failed at first, none when run again/);
});

test('a filter that matches nothing fails', () => {
  const { status, last } = run('there-is-no-such-file');
  assert.is(last, '0 passed, 0 failed, 0 skipped');
  assert.is(status, 1);
});

test.run();
