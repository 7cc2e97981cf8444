/** Runs build/Release/sluice_bench, one measurement a process: DPDK starts once in each. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
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

function start(args: string[]): { child: ChildProcessWithoutNullStreams; ended: Promise<void> } {
  const binary = benchBinary();
  if (!existsSync(binary)) {
    throw new BenchError('ERR_BENCH_NATIVE', `${binary} is not there: npm run build makes it`);
  }
  const child = spawn(binary, args);
  let complaints = '';
  child.stderr.on('data', (chunk) => {
    complaints += chunk;
  });
  const end = () => child.kill();
  process.once('exit', end);
  const ended = new Promise<void>((done, fail) => {
    child.once('error', fail);
    child.once('close', (code, signal) => {
      process.off('exit', end);
      if (code === 0) return done();
      const kind = complaints.includes('ERR_BENCH_VOID') ? 'ERR_BENCH_VOID' : 'ERR_BENCH_NATIVE';
      const message = complaints.trim() || `sluice_bench ended with ${signal ?? code}`;
      fail(new BenchError(kind, message));
    });
  });
  return { child, ended };
}

/** The only object that `sluice_bench ARGS…` prints. */
export async function runNative<Result>(args: string[]): Promise<Result & NativeHost> {
  const { child, ended } = start(args);
  let out = '';
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  await ended;
  return JSON.parse(out) as Result & NativeHost;
}

/** A sluice_bench that is talked with: it answers on stdout, an object a line. */
export class NativeDialogue {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #ended: Promise<void>;
  readonly #lines: AsyncIterator<string>;

  constructor(args: string[]) {
    const { child, ended } = start(args);
    this.#child = child;
    this.#ended = ended;
    // Whoever waits for an answer learns of it; until then it is nobody's.
    ended.catch(() => undefined);
    child.stdin.on('error', () => undefined);
    this.#lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  }

  tell(bytes: Uint8Array): void {
    this.#child.stdin.write(bytes);
  }

  async answer<Answer>(): Promise<Answer> {
    const { value, done } = await this.#lines.next();
    if (done) {
      await this.#ended;
      throw new BenchError('ERR_BENCH_NATIVE', 'sluice_bench has ended without an answer');
    }
    return JSON.parse(value) as Answer;
  }

  /** Its last words, after it has been told that no more will come. */
  async finish<Result>(): Promise<Result & NativeHost> {
    this.#child.stdin.end();
    const result = await this.answer<Result & NativeHost>();
    await this.#ended;
    return result;
  }

  /** To give up early. */
  kill(): void {
    this.#child.kill();
  }
}
