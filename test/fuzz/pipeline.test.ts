// timeout: 2400
/**
 * libFuzzer over the packet path, parse to transmit, under the address and undefined-behaviour
 * sanitizers: bounded in time (SLUICE_FUZZ_SECONDS), from a seed corpus. What must hold after every input stands in
 * native/fuzz: frames that leave are well-formed, ends add up, no mbuf and no connection is left.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seeds } from './seeds.js';

const BUILD = join('build', 'fuzz');
const FUZZER = join(BUILD, 'fuzz_pipeline');
const SECONDS = Number(process.env.SLUICE_FUZZ_SECONDS ?? 20);

function run(command: string, args: string[], seconds: number): string {
  const result = spawnSync(command, args, { encoding: 'utf8', timeout: seconds * 1000 });
  const said = `${result.stdout}\n${result.stderr}`;
  assert.is(result.status, 0, `${command} ended with ${result.status}:\n${said.slice(-8000)}`);
  return said;
}

function build(): void {
  const clang = ['-DCMAKE_CXX_COMPILER=clang++', '-DCMAKE_C_COMPILER=clang'];
  const options = ['-DSLUICE_SANITIZE=ON', '-DSLUICE_FUZZ=ON', ...clang];
  if (!existsSync(join(BUILD, 'build.ninja'))) {
    run('cmake', ['-S', '.', '-B', BUILD, '-G', 'Ninja', ...options], 120);
  }
  run('ninja', ['-C', BUILD, 'fuzz_pipeline'], 1500);
}

test('a bounded run from the seeds finds nothing', () => {
  build();
  const scratch = mkdtempSync(join(tmpdir(), 'sluice-fuzz-'));
  try {
    const [corpus, found, artifacts] = ['corpus', 'found', 'artifacts'].map((name) => {
      const path = join(scratch, name);
      mkdirSync(path);
      return path;
    }) as [string, string, string];
    for (const [name, bytes] of seeds()) writeFileSync(join(corpus, name), bytes);
    const said = run(
      FUZZER,
      [
        `-max_total_time=${SECONDS}`,
        '-max_len=16384',
        '-seed=1',
        '-timeout=20',
        `-artifact_prefix=${artifacts}/`,
        found,
        corpus,
      ],
      SECONDS + 120,
    );
    const runs = Number(/Done (\d+) runs/.exec(said)?.[1] ?? 0);
    assert.ok(runs > 100, `only ${runs} runs:\n${said.slice(-2000)}`);
    // The seeds reach the pipeline's depth, or the run has fuzzed an early return.
    const coverage = Number([...said.matchAll(/cov: (\d+)/g)].pop()?.[1] ?? 0);
    assert.ok(coverage > 500, `coverage of ${coverage} edges only`);
    assert.equal(readdirSync(artifacts), []);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
});

test.run();
