/** `sluice run` inside a director's namespace, as an administrator would start it. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LabError, START_MS, sleep } from './command.js';
import type { Lab } from './lab.js';
import type { LabProcess, Namespace } from './namespace.js';

export interface DirectorOptions {
  /** Configuration; `{socket}` and the like are the caller's business: see demoConfig(). */
  yaml: string;
  /** A keepalived.conf to start with; `yaml` then is the sluice.yaml beside it. */
  keepalivedConf?: string;
  /** Which of the lab's directors, from 1. */
  number?: number;
  /** Where the configuration says the control socket is. */
  socket: string;
  /** Arguments of `sluice run`, and of Node before it. */
  runArguments?: readonly string[];
  nodeArguments?: readonly string[];
  env?: NodeJS.ProcessEnv;
}

/** The command that runs our CLI: the compiled one, or the sources under tsx. */
export function sluiceCommand(): string[] {
  const here = fileURLToPath(import.meta.url);
  const main = join(dirname(here), '..', 'cli', here.endsWith('.ts') ? 'main.ts' : 'main.js');
  const loader = here.endsWith('.ts') ? ['--import', import.meta.resolve('tsx')] : [];
  return [process.execPath, ...loader, main];
}

export class Director {
  readonly name: string;
  readonly namespace: Namespace;
  readonly configPath: string;
  readonly logPath: string;
  readonly socket: string;
  readonly #lab: Lab;
  readonly #options: DirectorOptions;
  readonly #yamlName: string;
  #process: LabProcess | undefined;

  constructor(lab: Lab, options: DirectorOptions) {
    const number = options.number ?? 1;
    this.#lab = lab;
    this.#options = options;
    this.name = `director${number}`;
    this.namespace = lab.ns(this.name);
    this.socket = options.socket;
    const { keepalivedConf } = options;
    this.#yamlName = keepalivedConf === undefined ? 'director.yaml' : 'sluice.yaml';
    const yaml = lab.write(`${this.name}/${this.#yamlName}`, options.yaml);
    this.configPath =
      keepalivedConf === undefined
        ? yaml
        : lab.write(`${this.name}/keepalived.conf`, keepalivedConf);
    this.logPath = lab.path(this.name, 'director.log');
    rmSync(this.logPath, { force: true });
  }

  get process(): LabProcess | undefined {
    return this.#process;
  }

  get running(): boolean {
    return this.#process !== undefined && this.#process.status === undefined;
  }

  /** What it has logged so far, over all its starts. */
  get log(): string {
    return existsSync(this.logPath) ? readFileSync(this.logPath, 'utf8') : '';
  }

  /** Starts it and waits until its control socket says that it forwards. */
  async start(timeoutMs = START_MS): Promise<void> {
    if (this.running) throw new LabError('ERR_LAB_DIRECTOR', `${this.name} runs already`);
    const { nodeArguments = [], runArguments = [], env } = this.#options;
    const [node = '', ...sluice] = sluiceCommand();
    const run = ['run', '-c', this.configPath, ...runArguments];
    this.#process = this.namespace.spawn([node, ...nodeArguments, ...sluice, ...run], {
      log: this.logPath,
      env: { ...process.env, ...env },
    });
    const deadline = Date.now() + timeoutMs;
    while (Date.now() < deadline) {
      if (this.#process.status !== undefined) {
        throw new LabError(
          'ERR_LAB_DIRECTOR',
          `${this.name} ended with status ${this.#process.status}:\n${this.#process.output}`,
        );
      }
      try {
        // It answers only once its workers forward.
        await this.get('/v1/status');
        return;
      } catch {
        // The socket is not there yet.
      }
      await sleep(50);
    }
    throw new LabError(
      'ERR_LAB_DIRECTOR',
      `${this.name} does not answer on its control socket\n${this.log}`,
    );
  }

  /** A question to the control socket. */
  get(path: string, method = 'GET'): Promise<unknown> {
    return new Promise((resolve, reject) => {
      // No connection is kept: whoever answers may be another one the next time.
      const options = { socketPath: this.socket, path, method, timeout: 5000, agent: false };
      const question = request(options, (answer) => {
        let body = '';
        answer.setEncoding('utf8');
        answer.on('data', (chunk: string) => {
          body += chunk;
        });
        answer.on('end', () => {
          if ((answer.statusCode ?? 500) >= 400) {
            reject(new LabError('ERR_LAB_DIRECTOR', `${path}: ${answer.statusCode}: ${body}`));
            return;
          }
          try {
            resolve(JSON.parse(body));
          } catch (error) {
            reject(error as Error);
          }
        });
      });
      question.on('timeout', () => question.destroy(new Error(`${path}: no answer in 5 s`)));
      question.on('error', reject);
      question.end();
    });
  }

  /** Replaces the configuration file; `reload()` or a SIGHUP makes the director read it. */
  configure(yaml: string): void {
    this.#lab.write(`${this.name}/${this.#yamlName}`, yaml);
  }

  reload(): Promise<unknown> {
    return this.get('/v1/reload', 'POST');
  }

  /** Runs a command of the CLI against this director, in its namespace. */
  cli(...args: string[]) {
    return this.namespace.try([...sluiceCommand(), ...args, '--socket', this.socket]);
  }

  /** An orderly end; its exit status, undefined when it did not run. */
  async stop(): Promise<number | undefined> {
    const status = await this.#process?.stop(5000);
    this.#process = undefined;
    return status;
  }

  /** What a crash or the out-of-memory killer does. */
  async kill9(): Promise<void> {
    this.#process?.signal('SIGKILL');
    await this.#process?.wait();
    this.#process = undefined;
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }
}
