/** One network namespace of a lab: run a program in it, or start one and keep its output. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { LabError, type RunOptions, type RunResult, run, runRaw, sleep } from './command.js';

export interface SpawnOptions {
  /** Where its output goes as well; a file in the lab's directory. */
  log?: string;
  env?: NodeJS.ProcessEnv;
  /** Seconds after which it is killed. Default: none, the lab's end ends it. */
  timeout?: number;
}

/** A started program. It is killed when the lab ends. */
export class LabProcess {
  readonly argv: readonly string[];
  readonly pid: number;
  /** Standard output and error in the order in which they came. */
  output = '';
  /** Whole lines only, until it ends: whoever finds a word here finds what follows it in its line. */
  stdout = '';
  readonly #child: ChildProcess;
  readonly #ended: Promise<number>;
  #status: number | undefined;

  constructor(child: ChildProcess, argv: readonly string[], options: SpawnOptions) {
    this.argv = argv;
    this.#child = child;
    this.pid = child.pid ?? 0;
    // Written at once: a log is most wanted when the program has just died, or we have.
    let log = options.log ? openSync(options.log, 'a') : undefined;
    const keep = (chunk: Buffer) => {
      this.output += chunk;
      if (log !== undefined) writeSync(log, chunk);
    };
    // A line may come in pieces: Python writes every argument of a print by itself when unbuffered.
    let begun = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      const lines = begun + chunk;
      const end = lines.lastIndexOf('\n') + 1;
      this.stdout += lines.slice(0, end);
      begun = lines.slice(end);
      keep(chunk);
    });
    child.stderr?.on('data', keep);
    const timer = options.timeout
      ? setTimeout(() => child.kill('SIGKILL'), options.timeout * 1000)
      : undefined;
    this.#ended = new Promise((done) => {
      const end = (status: number) => {
        clearTimeout(timer);
        if (log !== undefined) closeSync(log);
        log = undefined;
        this.stdout += begun;
        begun = '';
        this.#status = status;
        done(status);
      };
      child.on('error', (error) => {
        this.output += String(error);
        end(127);
      });
      // 'close' comes after the last output; a grandchild that keeps the pipe must not delay it.
      child.on('close', (code, name) => end(code ?? (name ? 128 : 1)));
      child.on('exit', (code, name) => {
        setTimeout(() => end(code ?? (name ? 128 : 1)), 200).unref();
      });
    });
  }

  /** Exit status; undefined while it runs. 128 when a signal ended it. */
  get status(): number | undefined {
    return this.#status;
  }

  wait(): Promise<number> {
    return this.#ended;
  }

  /** Waits for the end, and throws unless the status is 0. */
  async succeed(): Promise<string> {
    const status = await this.#ended;
    if (status !== 0) {
      throw new LabError(
        'ERR_LAB_COMMAND',
        `${this.argv.join(' ')}: status ${status}: ${this.output.trim().slice(-2000)}`,
      );
    }
    return this.stdout;
  }

  signal(name: NodeJS.Signals): void {
    if (this.#status === undefined) this.#child.kill(name);
  }

  /** SIGTERM, and SIGKILL when that takes longer than the grace period. */
  async stop(graceMs = 3000): Promise<number> {
    this.signal('SIGTERM');
    await Promise.race([this.#ended, sleep(graceMs)]);
    this.signal('SIGKILL');
    return this.#ended;
  }
}

export class Namespace {
  /** Its name in the lab: client, router, rs1, … */
  readonly role: string;
  /** Its name for `ip netns`. */
  readonly name: string;
  /** CPUs its programs run on, as taskset(1) takes them; undefined: all. */
  cpus: string | undefined;
  readonly #processes = new Set<LabProcess>();

  constructor(role: string, name: string) {
    this.role = role;
    this.name = name;
  }

  #within(argv: readonly string[]): string[] {
    const pin = this.cpus === undefined ? [] : ['taskset', '-c', this.cpus];
    return ['ip', 'netns', 'exec', this.name, ...pin, ...argv];
  }

  /** Runs a program that has to succeed; its standard output. */
  exec(argv: readonly string[], options?: RunOptions): string {
    return run(this.#within(argv), options);
  }

  /** Runs a program to its end, whatever its status. */
  try(argv: readonly string[], options?: RunOptions): RunResult {
    return runRaw(this.#within(argv), options);
  }

  /** `ip` commands of this namespace, one a line, in one process. */
  ip(...lines: string[]): void {
    run(['ip', '-n', this.name, '-batch', '-'], { input: `${lines.join('\n')}\n` });
  }

  sysctl(settings: Record<string, string | number>): void {
    const words = Object.entries(settings).map(([key, value]) => `${key}=${value}`);
    this.exec(['sysctl', '-q', '-w', ...words]);
  }

  /** Starts a program without blocking. What is put before it becomes it: the pid is its own. */
  spawn(argv: readonly string[], options: SpawnOptions = {}): LabProcess {
    const [command = '', ...args] = this.#within(argv);
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: options.env ?? process.env,
    });
    const started = new LabProcess(child, argv, options);
    this.#processes.add(started);
    void started.wait().then(() => this.#processes.delete(started));
    return started;
  }

  get processes(): readonly LabProcess[] {
    return [...this.#processes];
  }
}
