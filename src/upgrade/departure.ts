/**
 * A hot upgrade as the process sees it that leaves: it starts the new one, gives it everything, and
 * ends when that forwards and answers. Whatever goes wrong before, the new one is killed and this one
 * goes on; nothing of it has been given away until then.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { codeOf, SluiceError } from '../errors.js';
import type { Logger } from '../log.js';
import type { HandOverState, NativeModule } from '../native.js';
import type { Totals } from '../stats/totals.js';
import { errorFrom } from '../supervisor/error-report.js';
import type { MemoryContents } from '../supervisor/memory.js';
import { VERSION } from '../version.js';
import { Channel } from './channel.js';
import {
  CHANNEL_FD,
  type FromNew,
  type FromOld,
  inheritable,
  type Listeners,
  PROTOCOL,
} from './protocol.js';

/** Of each phase, ms. */
const HELLO_MS = 30_000;
const PREPARE_MS = 180_000;
/** Without a connection told. */
const COPY_MS = 30_000;
const SWITCH_MS = 5_000;
const OPEN_MS = 60_000;
const END_MS = 5_000;
const LOOK_MS = 2;
const EXIT_MS = 500;

export interface UpgradeRequest {
  /** Absolute path; the file that runs unless given. */
  file?: string | undefined;
  /** Absolute path of a sluice; the one that this process was started by unless given. */
  program?: string | undefined;
  discardEdits: boolean;
}

export interface UpgradeReport {
  pid: number;
  version: string;
  formerPid: number;
  formerVersion: string;
  generation: number;
  connections: number;
  /** Not taken over: their service or server is not in the new configuration. */
  refused: number;
  /** From the last frame that the old process got to the first that the new one worked on. */
  gapMs: number;
  seconds: number;
}

/** What the control plane has to give. */
export interface Frozen {
  listeners: Listeners;
  masters: string[];
  edits: number;
}

/** The process around it. */
export interface Household {
  log: Logger;
  native: Pick<
    NativeModule,
    | 'socketPair'
    | 'closeFd'
    | 'belongings'
    | 'handOver'
    | 'handOverState'
    | 'endHandOver'
    | 'handOverFormat'
    | 'raiseAmbient'
    | 'forgetAmbient'
    | 'letGo'
  >;
  memory: MemoryContents;
  /** Program and arguments of the new one. */
  command: (request: UpgradeRequest) => [string, ...string[]];
  /** Of the control plane: changes are refused from now on. */
  freeze: () => Promise<Frozen>;
  /** What it counted until the switch. */
  totals: () => Promise<Totals>;
  /** Everything as before. */
  thaw: () => void;
  /** The service manager is to follow the new process. */
  succeeded: (pid: number) => void;
}

type Old = Channel<FromNew, FromOld>;

export class Departure {
  readonly #house: Household;
  readonly #request: UpgradeRequest;
  readonly #began = performance.now();
  #child: ChildProcess | undefined;
  #handing = false;
  #phase = 'freeze';

  constructor(house: Household, request: UpgradeRequest) {
    this.#house = house;
    this.#request = request;
  }

  /** Resolves when the new process forwards and answers; rejects when this one goes on. */
  async run(): Promise<UpgradeReport> {
    const { log, thaw } = this.#house;
    try {
      return await this.#hand();
    } catch (error) {
      await this.abort();
      thaw();
      const why = error instanceof Error ? error.message : String(error);
      log.error(`upgrade failed (${this.#phase}), this process goes on: ${why}`, {
        code: codeOf(error),
      });
      throw error;
    }
  }

  /** Ends the new process, and forwards. */
  async abort(): Promise<void> {
    const child = this.#child;
    if (child && !hasEnded(child)) {
      const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      child.kill('SIGKILL');
      await Promise.race([ended, delay(END_MS)]);
    }
    if (this.#handing) this.#house.native.endHandOver();
    this.#handing = false;
  }

  async #hand(): Promise<UpgradeReport> {
    const { log, native, memory, freeze, totals, succeeded } = this.#house;
    const { discardEdits } = this.#request;
    const frozen = await freeze();
    this.#phase = 'start';
    const { channel, records, pid, fds } = this.#start(frozen);

    const hello = await this.#hear(channel, 'hello', HELLO_MS);
    if (hello.protocol !== PROTOCOL || hello.format !== native.handOverFormat) {
      const theirs = `${hello.version} speaks ${hello.protocol}.${hello.format}`;
      const ours = `${VERSION} ${PROTOCOL}.${native.handOverFormat}`;
      throw new SluiceError('ERR_UPGRADE_PROTOCOL', `version ${theirs}, this one, ${ours}`);
    }
    if (hello.version !== VERSION && frozen.edits > 0 && !discardEdits) {
      throw new SluiceError(
        'ERR_RUNTIME_EDITS',
        `version ${hello.version} cannot take over run-time edits of ${VERSION} (sluice diff): write them into the file, or say --discard-edits`,
      );
    }
    this.#phase = 'prepare';
    channel.say({
      type: 'inheritance',
      version: VERSION,
      pid: process.pid,
      memory: inheritable(memory, hello.version),
      discardEdits,
      ...fds,
      masters: frozen.masters,
    });
    await this.#hear(channel, 'prepared', PREPARE_MS);

    this.#phase = 'copy';
    native.handOver(records);
    this.#handing = true;
    channel.say({ type: 'copying' });
    await this.#reach(['ready'], COPY_MS);
    const { masters } = await freeze();
    if (masters.join() !== frozen.masters.join()) {
      throw new SluiceError('ERR_UPGRADE_FAILED', 'a VRRP instance has changed its role meanwhile');
    }

    this.#phase = 'switch';
    channel.say({ type: 'switch' });
    await this.#reach(['done'], SWITCH_MS);
    channel.say({ type: 'totals', totals: await totals() });

    this.#phase = 'open';
    const { report } = await this.#hear(channel, 'open', OPEN_MS);
    native.letGo();
    succeeded(pid);
    channel.say({ type: 'farewell' });
    this.#child?.unref();
    channel.close();
    const seconds = Math.round(performance.now() - this.#began) / 1_000;
    log.info(
      `process ${pid} (${hello.version}) has taken over: ${report.connections} connections, gap ${report.gapMs} ms, generation ${report.generation}`,
    );
    return {
      pid,
      version: hello.version,
      formerPid: process.pid,
      formerVersion: VERSION,
      ...report,
      seconds,
    };
  }

  #start({ listeners }: Frozen) {
    const { native, command } = this.#house;
    const [ours, theirs] = native.socketPair();
    const { twins, sockets } = native.belongings();
    const inherited = [theirs];
    const pass = (fd: number) => CHANNEL_FD + inherited.push(fd);
    const numbers = {
      twins: mapValues(twins, pass),
      sockets: sockets.map(pass),
      listeners: mapValues(listeners, ({ fd, at }) => ({ fd: pass(fd), at })),
    };
    const [program, ...args] = command(this.#request);
    // Its watchdog's process is another one; what it may do is what this one may.
    const { WATCHDOG_PID: _, ...env } = process.env;
    native.raiseAmbient();
    let child: ChildProcess;
    try {
      child = spawn(program, args, {
        stdio: ['ignore', 'inherit', 'inherit', 'pipe', ...inherited],
        env,
        detached: true,
      });
    } finally {
      native.forgetAmbient();
      native.closeFd(theirs);
    }
    this.#child = child;
    child.on('error', () => {}); // its channel ends, which is heard
    const channel: Old = new Channel(child.stdio[CHANNEL_FD] as unknown as Duplex);
    return { channel, records: ours, pid: child.pid ?? 0, fds: numbers };
  }

  /** The next message has to be this one. */
  async #hear<Type extends FromNew['type']>(channel: Old, type: Type, limitMs: number) {
    const heard = await channel.next(limitMs);
    if (heard?.type === type) return heard as Extract<FromNew, { type: Type }>;
    if (heard?.type === 'failed') {
      const error = errorFrom(heard.error);
      throw new SluiceError('ERR_UPGRADE_FAILED', `the new process: ${describeOf(error)}`);
    }
    throw await this.#silence(channel.closed, limitMs);
  }

  async #silence(ended: boolean, limitMs: number): Promise<SluiceError> {
    const failed = (text: string) => new SluiceError('ERR_UPGRADE_FAILED', text);
    if (!ended) return failed(`the new process has said nothing for ${limitMs / 1_000} s`);
    const child = this.#child as ChildProcess;
    // Its sockets are closed before it is known how it ended.
    const exit = new Promise((resolve) => child.once('exit', resolve));
    if (!hasEnded(child)) await Promise.race([exit, delay(EXIT_MS)]);
    const { exitCode, signalCode } = child;
    const how = signalCode ?? (exitCode === null ? '' : `status ${exitCode}`);
    return failed(`the new process has ended${how === '' ? '' : ` (${how})`}`);
  }

  /** Until the dataplane is so far. `limitMs`: without progress. */
  async #reach(phases: HandOverState['phase'][], limitMs: number): Promise<void> {
    let told = -1;
    let since = performance.now();
    for (;;) {
      const state = this.#house.native.handOverState();
      if (state && phases.includes(state.phase)) return;
      if (!state || state.phase === 'broken') {
        throw await this.#silence(true, limitMs);
      }
      if (state.told !== told && state.phase === 'copying') since = performance.now();
      told = state.told;
      if (performance.now() - since > limitMs) {
        throw await this.#silence(false, limitMs);
      }
      await delay(LOOK_MS);
    }
  }
}

const hasEnded = ({ exitCode, signalCode, pid }: ChildProcess) =>
  exitCode !== null || signalCode !== null || pid === undefined;

function describeOf(error: Error): string {
  const code = codeOf(error);
  return code === undefined ? error.message : `${error.message} [${code}]`;
}

function mapValues<From, To>(of: Record<string, From>, to: (value: From) => To) {
  return Object.fromEntries(Object.entries(of).map(([key, value]) => [key, to(value)]));
}

function delay(ms: number): Promise<void> {
  return new Promise((done) => {
    setTimeout(done, ms);
  });
}
