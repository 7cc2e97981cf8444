/** Runs build/Release/sluice_bench, one measurement a process: DPDK starts once in each. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Arguments } from './arguments.js';
import { BenchError } from './errors.js';
import type { Circumstances } from './scenario.js';
import { round } from './statistics.js';

/** SLUICE_BENCH names another build, to compare two. */
export function benchBinary(): string {
  const built = fileURLToPath(new URL('../build/Release/sluice_bench', import.meta.url));
  return process.env.SLUICE_BENCH ?? built;
}

export interface NativeRun {
  packets: number;
  /** By the TSC. */
  cycles: number;
  /** That the kernel says the thread has run. */
  cpuNs: number;
}

/** What sluice_bench adds to each object it prints. */
export interface NativeHost {
  tscHz: number;
  cpus: number[];
  hugepages: boolean;
}

/** Established traffic, as sluice_bench repeats it. */
export interface NativeCase {
  mode: string;
  protocol: string;
  family: number;
  flows: number;
  bytes: number | 'imix';
  direction: string;
}

export function nsOf(run: NativeRun): number {
  return run.cpuNs / run.packets;
}

/** Of `runs`: part of the wall-clock time that the thread ran, at most 1. */
export function shareOf(runs: readonly NativeRun[], tscHz: number): number {
  const ran = runs.reduce((sum, run) => sum + run.cpuNs, 0);
  const passed = runs.reduce((sum, run) => sum + (run.cycles / tscHz) * 1e9, 0);
  return round(Math.min(1, ran / passed), 3);
}

export function circumstancesOf(
  { tscHz, cpus, hugepages }: NativeHost,
  more: Circumstances,
): Circumstances {
  return { tscHz, cpus, hugepages, ...more };
}

/** Every packet offered must be found again, or the case is worth nothing. */
export function requireAccounts({
  offered,
  accounted,
}: {
  offered: number;
  accounted: number;
}): void {
  if (offered === accounted && offered > 0) return;
  const message = `of ${offered} packets ${accounted} are accounted for`;
  throw new BenchError('ERR_BENCH_VOID', message);
}

/** `--runs`, `--milliseconds` and `--cpu` as sluice_bench takes them. */
export function commonArguments({ runs, milliseconds, cpus }: Arguments): string[] {
  const args = ['--runs', String(runs), '--milliseconds', String(milliseconds)];
  return cpus === undefined ? args : [...args, '--cpu', cpus.join(',')];
}

/** The only object that `sluice_bench ARGS…` prints. */
export async function runNative<Result>(args: string[]): Promise<Result & NativeHost> {
  const binary = benchBinary();
  if (!existsSync(binary)) {
    throw new BenchError('ERR_BENCH_NATIVE', `${binary} is not there: npm run build makes it`);
  }
  const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let complaints = '';
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    complaints += chunk;
  });
  const end = () => child.kill();
  process.once('exit', end);
  const status = await new Promise<number | NodeJS.Signals | null>((done, fail) => {
    child.once('error', fail);
    child.once('close', (code, signal) => done(signal ?? code));
  });
  process.off('exit', end);
  if (status !== 0) {
    const code = complaints.includes('ERR_BENCH_VOID') ? 'ERR_BENCH_VOID' : 'ERR_BENCH_NATIVE';
    throw new BenchError(code, complaints.trim() || `sluice_bench ended with ${status}`);
  }
  return JSON.parse(out) as Result & NativeHost;
}
