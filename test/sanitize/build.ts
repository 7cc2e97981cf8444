/** Builds with sanitizers, kept in build/ and brought up to date when they are used. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

const CMAKE_JS = join('node_modules', '.bin', 'cmake-js');

/** From nothing, beside two other builds on two CPUs, it takes half of that. */
const BUILD_SECONDS = 1_500;

export interface Ran {
  status: number | null;
  said: string;
}

export function run(
  command: string,
  args: string[],
  env: NodeJS.ProcessEnv = {},
  seconds = 600,
): Ran {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    timeout: seconds * 1000,
    maxBuffer: 1 << 28,
    env: { ...process.env, ...env },
  });
  return { status, said: `${stdout}\n${stderr}${error ? `\n${error.message}` : ''}` };
}

function must(ran: Ran, what: string): void {
  if (ran.status !== 0)
    throw new Error(`${what} ended with ${ran.status}:\n${ran.said.slice(-8000)}`);
}

/** The engine with a plain main under the thread sanitizer. */
export function buildStress(): string {
  const build = join('build', 'tsan');
  if (!existsSync(join(build, 'build.ninja'))) {
    must(run('cmake', ['-S', '.', '-B', build, '-G', 'Ninja', '-DSLUICE_TSAN=ON']), 'cmake');
  }
  must(run('ninja', ['-C', build, 'sluice_stress'], {}, BUILD_SECONDS), 'ninja');
  return join(build, 'sluice_stress');
}

/** The addon under the address and undefined-behaviour sanitizers. */
export function buildAddon(): string {
  const build = join('build', 'asan');
  const options = ['-G', 'Ninja', '--out', build, '--CDSLUICE_SANITIZE=ON', '--target', 'sluice'];
  must(run(CMAKE_JS, ['build', '--log-level=warn', ...options], {}, BUILD_SECONDS), 'cmake-js');
  return resolve(build, 'Release', 'sluice.node');
}

/** What makes a Node.js that wasn't built for it load that addon. */
export function addressEnvironment(addon: string): NodeJS.ProcessEnv {
  const library = (name: string) => run('gcc', [`-print-file-name=${name}`]).said.trim();
  return {
    SLUICE_ADDON: addon,
    // Leaks would be Node's own, which ends without giving its memory back.
    ASAN_OPTIONS: 'detect_leaks=0:detect_stack_use_after_return=1',
    UBSAN_OPTIONS: 'print_stacktrace=1',
    // libstdc++ too: the sanitizer looks for __cxa_throw when it starts, and Node brings its own.
    LD_PRELOAD: `${library('libasan.so')} ${library('libstdc++.so')}`,
  };
}
