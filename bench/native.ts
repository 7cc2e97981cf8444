/** Runs build/Release/sluice_bench, one measurement a process: DPDK starts once in each. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { BenchError } from './errors.js';

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

/** What sluice_bench prints for a case. */
export interface NativeResult {
  scenario: string;
  mode: string;
  protocol: string;
  family: number;
  flows: number;
  bytes: number | 'imix';
  direction: string;
  director: NativeRun[];
  floor: NativeRun[];
  offered: number;
  accounted: number;
  tscHz: number;
  cpu: number;
  hugepages: boolean;
  transparentHugeKiB: number;
}

export async function runNative(args: string[]): Promise<NativeResult> {
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
  return JSON.parse(out) as NativeResult;
}
