/**
 * `npm run sanitize`: that the functional tests hold with 1, 2 and 4 workers, in one command. All of
 * test/packets, whose tables run with each of these crews, plain and under the address and
 * undefined-behaviour sanitizers; then the fuzzer, and the engine with a plain main under the thread
 * sanitizer, both longer than in `npm test`.
 */
import { spawnSync } from 'node:child_process';

const STRESS_SECONDS = '30';
const FUZZ_SECONDS = '180';

function step(what: string, filters: string[], env: NodeJS.ProcessEnv = {}): boolean {
  process.stdout.write(`\n== ${what}\n`);
  const runner = ['--import', 'tsx', 'test/runner.ts', ...filters];
  const { status } = spawnSync(process.execPath, runner, {
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  return status === 0;
}

const held = [
  step('packet tests, 1, 2 and 4 workers', ['test/packets/']),
  step('the same under ASan and UBSan', ['sanitize/address'], { SLUICE_SANITIZE_ALL: '1' }),
  step('libFuzzer over the packet path', ['fuzz/'], { SLUICE_FUZZ_SECONDS: FUZZ_SECONDS }),
  step('the engine with a plain main under TSan', ['sanitize/thread'], {
    SLUICE_STRESS_SECONDS: STRESS_SECONDS,
  }),
];
process.stdout.write(held.every(Boolean) ? '\nall held\n' : '\nNOT all held: see above\n');
process.exitCode = held.every(Boolean) ? 0 : 1;
