/**
 * Running programs for the lab. Set-up commands are synchronous: they take a few milliseconds each,
 * and the clean-up at process exit can't wait for anything else.
 */
import { spawnSync } from 'node:child_process';

/** A lab command that failed, with what it said. */
export class LabError extends Error {
  override readonly name = 'LabError';
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export interface RunOptions {
  input?: string;
  /** Milliseconds; the command is killed afterwards. */
  timeout?: number;
  env?: NodeJS.ProcessEnv;
}

export interface RunResult {
  status: number;
  stdout: string;
  stderr: string;
}

/** Runs a program to its end, whatever its exit status. */
export function runRaw(argv: readonly string[], options: RunOptions = {}): RunResult {
  const [command = '', ...args] = argv;
  const { error, status, stdout, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    input: options.input ?? '',
    timeout: options.timeout ?? 30_000,
    killSignal: 'SIGKILL',
    maxBuffer: 256 << 20,
    env: options.env ?? process.env,
  });
  if (error && (error as NodeJS.ErrnoException).code === 'ENOENT') {
    throw new LabError('ERR_LAB_COMMAND', `${command} is not installed: run \`npm run build\``);
  }
  return { status: status ?? (error ? 124 : 128), stdout: stdout ?? '', stderr: stderr ?? '' };
}

/** Runs a program that has to succeed; its standard output. */
export function run(argv: readonly string[], options: RunOptions = {}): string {
  const result = runRaw(argv, options);
  if (result.status !== 0) {
    const said = `${result.stderr}${result.stdout}`.trim();
    throw new LabError('ERR_LAB_COMMAND', `${argv.join(' ')}: status ${result.status}: ${said}`);
  }
  return result.stdout;
}

/** Blocks the thread: only for clean-up paths, which must not return to the event loop. */
export function sleepSync(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

export const sleep = (milliseconds: number) =>
  new Promise<void>((done) => setTimeout(done, milliseconds));

/** A program that starts on a busy machine may take so long, ms. */
export const START_MS = 60_000;

/** Waits until the condition holds; false when it never did. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  timeout = 5000,
  step = 25,
): Promise<boolean> {
  const deadline = Date.now() + timeout;
  for (;;) {
    if (await condition()) return true;
    if (Date.now() > deadline) return false;
    await sleep(step);
  }
}
